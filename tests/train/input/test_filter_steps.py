"""Every filter as a step of a recipe: what a network is trained on is what a device gives it, bit for bit."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from edge_artifacts import FLAT, LABELS, VOLUME, build_onnx, write_artifact

import edge
import imaging
from edge.manifest import Tensor
from edge.runtime import segmenter
from imaging.filters import FILTERS, FilterStep, parse_step
from imaging.recipe import Recipe
from imaging.scan import Scan
from medseg import record
from train.data.dataset import Case
from train.input.cache import cached
from train.planning.filter_learning import learn_filters

GRIDS = {2: ((0.8, 1.2), (26, 22)), 3: ((1.0, 1.2, 2.5), (22, 20, 12))}
PATCHES = {2: (16, 16), 3: (8, 16, 12)}
TEXTS = {
    "n4": "n4=levels:1,iterations:3",
    "tv": "tv=iterations:10",
    "resize": "resize=spacing_mm:1.5",
    "window": "window=centre:40,width:60",
    "crop_body": "crop_body=margin_mm:1",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Artifacts without filters, by rank, and for each two cases of a bright body with a structure in it."""
    place = tmp_path_factory.mktemp("steps")
    for rank, (spacing, shape) in GRIDS.items():
        sizes = (1, *PATCHES[rank], 1)
        build_onnx(place / "model.onnx", sizes)
        tensors = [Tensor(name, (*sizes[:-1], last), "float32") for name, last in (("x", 1), ("y", 3))]
        recipe = {2: FLAT, 3: VOLUME}[rank]
        write_artifact(place / f"{rank}D", (place / "model.onnx").read_bytes(), tensors, recipe, False, "onnx-float32")
        for number in range(2):
            random = np.random.default_rng(number)
            index = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
            far = np.sqrt(sum(axis**2 for axis in index))
            body = 5 + 60.0 * (far < 0.7) + 40.0 * (np.hypot(index[0] - 0.2 + 0.1 * number, index[1]) < 0.35)
            body += random.normal(0, 2, shape)
            affine = np.diag([*spacing, *[1.0] * (4 - rank)])
            affine[:rank, 3] = 3.0 * number
            label = (far < 0.5).astype(np.uint8) * LABELS[1].value
            imaging.write(place / f"image{rank}_{number}.nii.gz", Scan(np.maximum(body, 1)[..., None], affine))
            imaging.write(place / f"label{rank}_{number}.nii.gz", Scan(label[..., None], affine))
    return place


def cases_of(folder, rank):
    return [
        Case(f"{n}", (folder / f"image{rank}_{n}.nii.gz",), folder / f"label{rank}_{n}.nii.gz", f"{n}")
        for n in range(2)
    ]


def step_of(name, folder, rank):
    if name == "register":
        return parse_step(f"register=kind:affine,iterations:15,reference:{folder / f'image{rank}_0.nii.gz'}")
    return parse_step(TEXTS.get(name, name))


def with_recipe(source, recipe, place):
    """A copy of an artifact with another recipe."""
    shutil.copytree(source, place)
    data = json.loads((place / "manifest.json").read_text())
    data["recipe"] = json.loads(json.dumps(record.to_dict(recipe)))
    (place / "manifest.json").write_text(json.dumps(data))
    return place


@pytest.mark.parametrize("rank", GRIDS)
@pytest.mark.parametrize("name", [entry.name for entry in FILTERS])
def test_training_and_device_prepare_alike(folder, tmp_path, monkeypatch, name, rank):
    cases = cases_of(folder, rank)
    asked = dataclasses.replace({2: FLAT, 3: VOLUME}[rank], filters=(step_of(name, folder, rank),))
    recipe = learn_filters(asked, cases)
    trained = np.load(cached(cases[1], recipe, LABELS, tmp_path / "cache").folder / "image.npy")
    artifact = with_recipe(folder / f"{rank}D", recipe, tmp_path / "artifact")

    prepared, prepare = [], segmenter.prepare
    monkeypatch.setattr(
        segmenter, "prepare", lambda scan, recipe: prepared.append(prepare(scan, recipe)) or prepared[-1]
    )
    segmentation = edge.load(artifact).predict_file(cases[1].images[0])
    assert prepared[0].voxels.dtype == trained.dtype == np.float32
    assert prepared[0].voxels.tobytes() == trained.tobytes()
    unfiltered = imaging.prepare(imaging.read(cases[1].images[0]), {2: FLAT, 3: VOLUME}[rank])
    assert not np.array_equal(unfiltered.voxels, trained)  # the step did something
    assert segmentation.labels.shape == imaging.read(cases[1].images[0]).shape


def test_steps_run_in_order(folder):
    scan = imaging.read(folder / "image3_0.nii.gz")
    steps = parse_step("gaussian=sigma_mm:1"), parse_step("gamma=gamma:3")
    both, turned = (
        imaging.prepare(scan, dataclasses.replace(VOLUME, filters=order)).voxels for order in (steps, steps[::-1])
    )
    by_hand = imaging.filters.apply(imaging.filters.apply(scan, "gaussian", sigma_mm=1), "gamma", gamma=3)
    np.testing.assert_array_equal(both, imaging.prepare(by_hand, VOLUME).voxels)
    assert not np.array_equal(both, turned)


def test_filters_come_after_the_crop_and_before_the_normalisation(folder):
    scan = imaging.read(folder / "image3_0.nii.gz")
    padded = Scan(np.pad(scan.voxels, [(4, 3)] * 3 + [(0, 0)]), scan.affine)
    recipe = Recipe(3, crop_nonzero=True, filters=(FilterStep("gaussian", {"sigma_mm": 2.0}),))
    expected = imaging.prepare(imaging.filters.apply(scan, "gaussian", sigma_mm=2), Recipe(3))
    np.testing.assert_array_equal(imaging.prepare(padded, recipe).voxels, expected.voxels)


def test_zero_background_stays_that_of_the_scan(folder):
    """A filter spreads values into the background; "zscore_foreground" is of what was not zero before it."""
    scan = imaging.read(folder / "image3_0.nii.gz")
    scan.voxels[:8] = 0
    normalise = imaging.Normalise("zscore_foreground")
    step = FilterStep("gaussian", {"sigma_mm": 2.0})
    done = imaging.prepare(scan, Recipe(3, normalise=normalise, filters=(step,))).voxels[..., 0]
    inside = scan.voxels[..., 0] != 0
    smooth = imaging.filters.apply(scan, "gaussian", sigma_mm=2).voxels[..., 0]
    expected = (smooth - smooth[inside].mean()) / smooth[inside].std()
    np.testing.assert_allclose(done[inside], expected[inside], atol=1e-4)
    assert not done[~inside].any()


def test_nan_stands_for_the_same_in_training_and_on_the_device(folder, tmp_path):
    case = cases_of(folder, 3)[0]
    scan = imaging.read(case.images[0])
    scan.voxels[:4] = np.nan
    imaging.write(tmp_path / "scan.nii.gz", scan)
    case = dataclasses.replace(case, images=(tmp_path / "scan.nii.gz",))
    recipe = dataclasses.replace(VOLUME, nan=3.0)
    trained = np.load(cached(case, recipe, LABELS, tmp_path / "cache").folder / "image.npy")
    assert (trained[:4] == 3).all()
    filled = dataclasses.replace(scan, voxels=np.nan_to_num(scan.voxels, nan=3.0))
    artifact = edge.load(with_recipe(folder / "3D", recipe, tmp_path / "artifact"))
    labels = artifact.predict_file(case.images[0]).labels.voxels
    np.testing.assert_array_equal(labels, artifact.predict(filled).labels.voxels)
    strict = edge.load(with_recipe(folder / "3D", VOLUME, tmp_path / "strict"))
    with pytest.raises(imaging.InputError, match="are NaN or infinite"):
        strict.predict_file(case.images[0])
