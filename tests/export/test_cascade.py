"""A cascade from its run folder to one artifact, and through the device runtime."""

import json
import os
import shutil

import numpy as np
import pytest
from export_cascade import write_cascade
from export_runs import ball_network, write_run

import edge
import imaging
from edge.cli import main as edge_main
from edge.first_pass import FirstAnswer, WhereFound
from edge.runtime.ensemble import Ensemble, load_ensemble
from edge.runtime.options import Options, Outputs
from edge.runtime.region import Threshold
from edge.trust.verification import check_artifact
from export.artifact.folder import export_run
from export.commands.listing import listed
from export.errors import FidelityError
from export.source.source import load_network, open_source
from imaging.tiling import predict_tiled
from medseg.errors import InputError, UsageError

FORMATS = ("tflite-int8", "tflite-float32", "onnx-int8", "openvino-int8")
EXACT = ("tflite-float32",)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_cascade(tmp_path_factory.mktemp("cascade"))


@pytest.fixture(scope="module")
def artifacts(run, tmp_path_factory):
    out, lines = tmp_path_factory.mktemp("artifacts"), []
    export_run(run, FORMATS, out, tell=lines.append)
    return out, lines


def by_hand(run, scan, prior=None):
    """Class indices of a scan by both networks, step by step; ``prior`` instead of what the first one finds."""

    def scores(folder, voxels, patch):
        model = load_network(folder / "model.keras")
        return predict_tiled(voxels, patch, 0.5, lambda patch: np.asarray(model(patch[None])[0]))

    source = open_source(run)
    coarse = imaging.prepare(scan, source.first.recipe)
    assert coarse.spacing == pytest.approx((3, 2, 4))
    first_classes = imaging.restore_classes(scores(run / "first", coarse.voxels, source.first.patch), coarse, scan)
    prepared = imaging.prepare(scan, source.recipe)
    known = first_classes if prior is None else prior
    on_grid = imaging.prepare_labels(imaging.Scan(known[..., None], scan.affine), prepared, source.recipe)
    both = np.concatenate([prepared.voxels, (on_grid.voxels == 1).astype(np.float32)], axis=-1)
    return imaging.restore_classes(scores(run, both, source.patch), prepared, scan), first_classes


@pytest.fixture(scope="module")
def expected(run):
    """Each held-back case, its scan and class indices of it by both networks."""
    results = []
    for case in open_source(run).validation:
        scan = imaging.read(case.images)
        classes, first_classes = by_hand(run, scan)
        without, _ = by_hand(run, scan, np.zeros_like(first_classes))
        assert np.count_nonzero(classes != without) > 0.3 * np.count_nonzero(
            first_classes
        )  # it goes by the first network
        results.append((case, scan, classes))
    return results


@pytest.mark.parametrize("name", FORMATS)
def test_the_device_finds_what_the_two_networks_find(artifacts, expected, name):
    segmenter = edge.load(artifacts[0] / name)
    for case, scan, classes in expected:
        for labels in (segmenter.predict(scan).labels, segmenter.predict_file(case.images[0]).labels):
            differ = np.count_nonzero(labels.voxels[..., 0] != np.array([0, 3])[classes])
            assert differ <= (0 if name in EXACT else 0.02 * np.count_nonzero(classes))
            np.testing.assert_array_equal(labels.affine, scan.affine)


@pytest.mark.parametrize("name", FORMATS)
def test_one_folder_holds_both_and_says_how_they_join(artifacts, run, name):
    folder = artifacts[0] / name
    manifest, first = edge.load_manifest(folder), edge.load_manifest(folder / "first")
    assert manifest.first == edge.cascade.First("first", edge.manifest.sha256(folder / "first" / "manifest.json"))
    assert (manifest.recipe.prior, first.recipe.prior, first.first) == (1, 0, None)
    assert (manifest.input.shape[-1], first.input.shape[-1]) == (2, 1)
    assert manifest.format == first.format == name
    assert set(manifest.files) == set(os.listdir(folder)) - {"manifest.json"}
    assert manifest.fidelity["cases"] == [case.name for case in open_source(run).validation]
    best = {"99.9 %", "99 %"} if name == "openvino-int8" else {"99.9 %"}  # a network of seconds, rounded elsewhere
    assert {manifest.fidelity["verdict"], first.fidelity["verdict"]} <= best
    assert check_artifact(folder).vector.equal
    assert first.training is None
    assert "asked first" in (folder / "CARD.md").read_text(encoding="utf-8")
    assert sorted(os.listdir(artifacts[0])) == sorted(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_size_cost_and_latency_are_told_of_both_networks(artifacts, name, capsys):
    folder = artifacts[0] / name
    manifest, first = edge.load_manifest(folder), edge.load_manifest(folder / "first")
    sizes = [(place / each.model).stat().st_size for place, each in ((folder, manifest), (folder / "first", first))]
    known = manifest.source["first"]
    assert known == {
        "model": f"first/{first.model}",
        "size_bytes": sizes[1],
        **{key: first.source[key] for key in ("network", "parameters", "macs", "int8_share")},
        "patch": list(first.patch),
    }
    parameters = manifest.source["parameters"] + first.source["parameters"]
    together = f"{sum(sizes) / 1e6:.2f} MB, {parameters:,} parameters"
    card = (folder / "CARD.md").read_text(encoding="utf-8")
    assert f"- First network: `first/{first.model}`, {sizes[1] / 1e6:.2f} MB, " in card
    assert f"- Both networks together: {together}" in card
    report, own = (json.loads((place / "report.json").read_text()) for place in (folder, folder / "first"))
    assert report["first"] == known | {"latency": own["latency"]["runs"]}
    assert own["first"] is None
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f"<td>both networks</td><td>{together}</td>" in page
    assert [page.count(f"<td>{which}</td>") for which in ("first", "second", "both")] == [
        len(report["latency"]["runs"])
    ] * 3
    assert any(f"{name}: {folder} ({sum(sizes) / 1e6:.2f} MB for both networks)" in line for line in artifacts[1])
    assert edge_main(["info", str(folder)]) == 0
    said = capsys.readouterr().out
    assert f"{sum(sizes) / 1e6:.2f} MB with the first network's" in said
    assert f"cost of first   {first.source['parameters']:,} parameters" in said
    assert max(map(len, said.splitlines()[:-1])) <= 120 + len(str(folder))


def test_the_list_of_formats_adds_up_both_networks(artifacts, run):
    rows = {row["name"]: row for row in listed(run, artifacts[0])}
    for name in FORMATS:
        places = artifacts[0] / name, artifacts[0] / name / "first"
        assert rows[name]["size_bytes"] == sum((p / edge.load_manifest(p).model).stat().st_size for p in places)
        runs = [json.loads((place / "report.json").read_text())["latency"]["runs"] for place in places]
        together = [
            first_run["median_ms"] + second_run["median_ms"] for first_run, second_run in zip(*runs, strict=True)
        ]
        assert rows[name]["ms"] == pytest.approx(min(together))


def test_the_gate_verifies_both_networks_together(run, tmp_path, monkeypatch):
    """A first network that is lost on the device is found out, whatever its own verification says."""

    def exported(*arguments, **options):
        folders = export_first(*arguments, **options)
        if not options.get("flags", True):
            shutil.copytree(lost / "tflite-float32", folders[0], dirs_exist_ok=True)
        return folders

    from export.artifact import folder as exporting

    blind = write_run(tmp_path / "blind", network=ball_network(threshold=5.0))
    plan = json.loads((run / "first" / "plan.json").read_text())
    (blind / "plan.json").write_text(json.dumps(plan))
    lost = tmp_path / "lost"
    export_run(blind, ["tflite-float32"], lost, verify=False, ship_anyway=True, tell=lambda line: None)
    export_first = exporting._export
    monkeypatch.setattr(exporting, "_export", exported)
    with pytest.raises(FidelityError, match=r"tflite-float32: verdict fail: mean Dice of ball falls"):
        export_run(run, ["tflite-float32"], tmp_path / "out", tell=lambda line: None)
    assert not (tmp_path / "out" / "tflite-float32").exists()


def test_probabilities_flips_and_a_region_of_interest(artifacts, run):
    segmenter = edge.load(artifacts[0] / "tflite-float32")
    scan = imaging.read(open_source(run).validation[0].images)
    plain = segmenter.predict(scan).labels.voxels
    outputs = Outputs(probabilities=True, entropy=True)
    answered = segmenter.predict(scan, options=Options(outputs=outputs))
    np.testing.assert_array_equal(3 * answered.probabilities.voxels.argmax(-1), plain[..., 0])
    assert answered.uncertainty["entropy"].voxels.shape == plain.shape
    flipped = segmenter.predict(scan, options=Options(mirror=(0, 1, 2))).labels.voxels
    assert np.mean(flipped == plain) > 0.95
    looked_at = segmenter.predict(scan, options=Options(region=Threshold(0.5, 4.0))).labels.voxels
    np.testing.assert_array_equal(looked_at, plain)


def test_the_second_network_looks_where_the_first_finds_something(artifacts, run, tmp_path, capsys):
    folder, case = artifacts[0] / "tflite-float32", open_source(run).validation[0]
    scan, segmenter = imaging.read(case.images), edge.load(artifacts[0] / "tflite-float32")
    wide = np.zeros((40, *scan.shape[1:], 1), np.float32)
    wide[14 : 14 + scan.shape[0]] = scan.voxels
    scan = imaging.Scan(wide, scan.affine)
    imaging.write(tmp_path / "scan.nii.gz", scan)
    _, first_classes = by_hand(run, scan)
    region = WhereFound(2.0)
    box = region.around(FirstAnswer(first_classes, 0.0), scan)
    here = np.argwhere(first_classes)
    for axis, step in enumerate(scan.spacing):
        margin = int(np.ceil(2 / step))
        assert box[axis].start == max(0, here[:, axis].min() - margin)
        assert box[axis].stop == min(scan.shape[axis], here[:, axis].max() + 1 + margin)
    looked_at, everywhere = [], []
    plain = segmenter.predict(scan, lambda done, total: everywhere.append(done)).labels.voxels
    options = Options(region=region)
    boxed = segmenter.predict(scan, lambda done, total: looked_at.append(done), options=options).labels.voxels
    assert len(looked_at) < len(everywhere)
    np.testing.assert_array_equal(boxed, plain)
    words = ["predict", str(folder), str(tmp_path / "scan.nii.gz"), "-o", str(tmp_path / "found.nii.gz")]
    assert edge_main([*words, "--roi", "first", "--roi-margin", "2"]) == 0
    np.testing.assert_array_equal(imaging.read_labels(tmp_path / "found.nii.gz").voxels, plain)
    with pytest.raises(InputError, match="--roi first: the first network found nothing in the scan"):
        segmenter.predict(imaging.Scan(0 * wide, scan.affine), options=options)
    with pytest.raises(UsageError, match="--roi first: is of a cascade alone"):
        edge.load(folder / "first").predict(scan, options=options)
    words[1] = str(folder / "first")
    assert edge_main([*words, "--roi", "first"]) == 1
    assert "first: no such folder" in capsys.readouterr().err


def test_progress_is_of_both_networks(artifacts, run):
    segmenter, calls = edge.load(artifacts[0] / "tflite-float32"), []
    scan = imaging.read(open_source(run).validation[0].images)
    segmentation = segmenter.predict(scan, progress=lambda done, total: calls.append((done, total)))
    assert [done for done, _ in calls] == list(range(1, len(calls) + 1))
    assert calls[-1][0] == calls[-1][1]
    assert min(segmentation.stages.values()) >= 0
    assert sum(segmentation.stages.values()) == pytest.approx(segmentation.seconds)


def test_cascades_are_averaged_each_with_its_own_first_network(artifacts, run):
    names = [artifacts[0] / name for name in ("tflite-float32", "onnx-int8")]
    ensemble = load_ensemble(names)
    assert isinstance(ensemble, Ensemble)
    scan = imaging.read(open_source(run).validation[0].images)
    wanted = Options(outputs=Outputs(probabilities=True))
    each = [edge.load(name).predict(scan, options=wanted).probabilities.voxels for name in names]
    together = ensemble.predict(scan, options=wanted)
    np.testing.assert_allclose(together.probabilities.voxels, sum(each) / 2, atol=1e-6)
    assert min(together.stages.values()) >= 0


def test_the_command_line_predicts_and_verifies(artifacts, run, tmp_path, capsys):
    folder, case = artifacts[0] / "tflite-int8", open_source(run).validation[0]
    assert edge_main(["predict", str(folder), case.images[0], "-o", str(tmp_path / "found.nii.gz")]) == 0
    labels = imaging.read_labels(tmp_path / "found.nii.gz").voxels
    np.testing.assert_array_equal(labels, edge.load(folder).predict(imaging.read(case.images)).labels.voxels)
    assert edge_main(["verify", str(folder)]) == 0
    assert edge_main(["info", str(folder)]) == 0
    assert "takes what the network of low resolution in first/ (" in capsys.readouterr().out


def test_an_export_again_takes_the_place_of_the_first(run, artifacts, tmp_path):
    folder = shutil.copytree(artifacts[0] / "tflite-float32", tmp_path / "out" / "tflite-float32")
    export_run(run, ["tflite-float32"], tmp_path / "out", verify=False, tell=lambda line: None)
    assert edge.load(folder).first is not None
    assert edge.load_manifest(folder).fidelity == {}
