"""What filters learn: of the training cases of a fold and of no other, kept in its run, forgotten between runs."""

import dataclasses
import json

import nibabel
import numpy as np
import pytest
from tiny import STILL, make_plan

import imaging
from imaging.filters import FilterStep, parse_step
from imaging.filters.standardise import landmarks_of
from medseg import record
from medseg.errors import InputError, UsageError
from train.cli import main
from train.data.dataset import open_dataset
from train.fitting.fit import fit
from train.fitting.resuming import require_same_plan
from train.fitting.run import open_run
from train.planning.filter_learning import forgotten, learn_filters, moved_sizes
from train.planning.plan import load_plan


def planned(dataset, *texts, **training):
    plan = make_plan(dataset, epochs=1, steps_per_epoch=1, augmentation=STILL, **training)
    return dataclasses.replace(
        plan, recipe=dataclasses.replace(plan.recipe, filters=tuple(parse_step(text) for text in texts))
    )


def by_hand(cases):
    """Mean landmarks of cases, as Nyúl and Udupa have it."""
    rows = []
    for case in cases:
        own = landmarks_of(imaging.read(case.images[0]).voxels[..., 0], 1, 99)
        rows.append((own - own[0]) / (own[-1] - own[0]) * 100)
    return np.mean(rows, axis=0)


def test_a_fold_learns_from_its_training_cases_only(dataset, cache, tmp_path):
    plan = planned(dataset, "nyul")
    whole = dataclasses.replace(plan, recipe=learn_filters(plan.recipe, dataset.cases))
    run = fit(whole, dataset, tmp_path / "run", 1, cache=cache, verbose=False)
    landmark = open_run(run.folder).plan.recipe.filters[0].parameters["landmarks"][0]
    np.testing.assert_allclose(
        landmark, by_hand([case for case in dataset.cases if case.name not in plan.folds[1]]), rtol=1e-5
    )
    of_all = whole.recipe.filters[0].parameters["landmarks"][0]
    np.testing.assert_allclose(of_all, by_hand(dataset.cases), rtol=1e-5)
    assert np.abs(np.subtract(landmark, of_all)).max() > 1e-3
    # What a fold learnt is no other plan; another filter is.
    require_same_plan(run, whole)
    with pytest.raises(UsageError, match="recipe"):
        require_same_plan(run, planned(dataset, "nyul=low:2"))


def test_a_scan_that_cannot_be_read_gives_no_run(tmp_path, cache):
    import tiny

    dataset = tiny.write_dataset(tmp_path / "data")
    plan = planned(dataset, "match=points:16")
    first = next(case for case in dataset.cases if case.name not in plan.folds[0])
    first.images[0].write_bytes(b"no scan")
    with pytest.raises(InputError, match=first.images[0].name):
        fit(plan, dataset, tmp_path / "run", 0, cache=cache, verbose=False)
    assert not (tmp_path / "run").exists()


def test_steps_learn_from_what_the_steps_before_made(dataset):
    plan = planned(dataset, "stretch", "match=points:16")
    recipe = learn_filters(plan.recipe, dataset.cases)
    tables = [
        np.percentile(imaging.filters.apply(imaging.read(case.images[0]), "stretch").voxels, np.linspace(0, 100, 16))
        for case in dataset.cases
    ]
    np.testing.assert_allclose(recipe.filters[1].parameters["quantiles"][0], np.mean(tables, axis=0), atol=1e-5)
    assert forgotten(recipe).filters == forgotten(plan.recipe).filters
    assert "quantiles" not in forgotten(recipe).filters[1].parameters


def test_sizes_after_filters_that_move_the_grid(dataset):
    plan = planned(dataset, "resize=spacing_mm:3x2x4")
    sizes = moved_sizes(plan.recipe, dataset.cases)
    expected = imaging.resample(imaging.read(dataset.cases[0].images[0]), (3, 2, 4))
    assert tuple(sizes["shape"]) == expected.shape
    np.testing.assert_allclose(sizes["extent_mm"], np.multiply(expected.shape, expected.spacing))
    assert moved_sizes(make_plan(dataset).recipe, dataset.cases) is None


def test_plan_takes_filters_and_says_what_it_did(dataset, tmp_path, capsys):
    out = tmp_path / "plan.json"
    words = ["--filter", "median=radius_mm:1.5", "--filter", "nyul"]
    assert main(["plan", str(dataset.folder), *words, "--folds", "3", "-o", str(out), "--explain"]) == 0
    said = capsys.readouterr().out
    assert "median, nyul" in said.replace(" -> ", ", ")
    assert "recipe.filters" in said
    plan = load_plan(out)
    assert [step.name for step in plan.recipe.filters] == ["median", "nyul"]
    assert plan.recipe.filters[0] == FilterStep("median", {"radius_mm": 1.5})
    assert len(plan.recipe.filters[1].parameters["landmarks"][0]) == 11


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--filter", "sharpen"], 2, "filter 'sharpen': unknown; expected one of gaussian"),
        (["--filter", "median=radius_mm:0"], 2, "filter median: radius_mm 0.0, expected a number from"),
        (["--filter", "median=size:3"], 2, "filter median: 'size:3', expected NAME:VALUE"),
        (["--filter", "register"], 1, "filter register: needs a reference scan: register=reference:FILE"),
        (["--filter", "register=reference:none.nii"], 1, "none.nii: no such file"),
        (["--filter", "resize=spacing_mm:1x1"], 2, "filter resize: spacing_mm"),
        (["--nan", "nan"], 2, "--nan nan: expected a finite number"),
    ],
)
def test_plan_refuses_what_no_filter_is(dataset, tmp_path, capsys, words, status, message):
    out = tmp_path / "plan.json"
    assert main(["plan", str(dataset.folder), *words, "--folds", "3", "-o", str(out)]) == status
    said = capsys.readouterr()
    assert message in said.err
    assert len([line for line in said.err.splitlines() if "error:" in line]) == 1
    assert not out.exists()


def test_a_plan_edited_by_hand(dataset, tmp_path, capsys, cache):
    plan = planned(dataset, "median")
    data = record.to_dict(plan)
    data["recipe"]["filters"] = [{"name": "sharpen", "parameters": {}}]
    (tmp_path / "plan.json").write_text(json.dumps(data))
    command = ["train", str(dataset.folder), "--plan", str(tmp_path / "plan.json"), "--out", str(tmp_path / "run")]
    assert main(command) == 2
    assert "filter 'sharpen': unknown" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_nan_outside_the_field_of_view_from_plan_to_cache(tmp_path, cache):
    import tiny

    dataset = tiny.write_dataset(tmp_path / "data")
    path = dataset.cases[0].images[0]
    image = nibabel.load(path)
    voxels = image.get_fdata().astype(np.float32)
    voxels[:2] = np.nan
    nibabel.save(nibabel.Nifti1Image(voxels, image.affine), path)
    out = tmp_path / "plan.json"
    assert main(["plan", str(dataset.folder), "--folds", "3", "-o", str(out)]) == 1
    assert main(["plan", str(dataset.folder), "--folds", "3", "--nan", "0", "-o", str(out)]) == 0
    plan = load_plan(out)
    assert plan.recipe.nan == 0
    from train.input.cache import cached

    made = cached(open_dataset(dataset.folder).cases[0], plan.recipe, plan.labels, cache)
    assert np.isfinite(np.load(made.folder / "image.npy")).all()
