"""The gate: what may not be called as good as its network, and what cannot be judged at all."""

import dataclasses
import re
import shutil

import keras
import numpy as np
import pytest
from export_graded import GRADES, graded, graded_source
from known_cases import LABELS, answer, values, write_case

import edge
import imaging
from export.artifact import folder as artifact
from export.artifact.folder import export_run
from export.conversion.convert import convert, convert_checked
from export.errors import FidelityError, UnjudgedError
from export.source.model_file import open_model
from export.verify.comparison import compare
from export.verify.fidelity import LabelFidelity
from export.verify.gate import FAIL, TARGETS, UNJUDGED, judge
from export.verify.references import check_references
from export.verify.sanity import check_classes
from imaging.io.cases import CaseFiles
from imaging.labels import Label
from imaging.scan import Scan
from medseg.errors import InputError


def scores(**changed):
    """A class of which the artifact keeps everything, but for what is ``changed``."""
    kept = LabelFidelity(0.9, 0.9, 0.0, 0.0, "a", 0.0, 1.0, 1.0, 0.9, 0.9, cases=4, beyond_chance=0.88)
    return dataclasses.replace(kept, **changed)


@pytest.mark.parametrize(
    ("label", "argmax_changed", "verdict", "reason"),
    [
        ({}, 0.0, "99.9 %", ""),
        ({"dice_artifact": 0.8991}, 0.0099, "99.9 %", ""),
        ({"dice_artifact": 0.8990}, 0.0, "99 %", ""),
        ({"dice_artifact": 0.8911}, 0.0, "99 %", ""),
        ({"dice_artifact": 0.8909}, 0.0, FAIL, "mean Dice of liver falls from 0.9000 to 0.8909, 99.0% of it"),
        ({"worst_drop": 0.05}, 0.0, "99.9 %", ""),
        ({"worst_drop": 0.06}, 0.0, "99 %", ""),
        ({"worst_drop": 0.11}, 0.0, FAIL, r"case a loses 0.1100 of its Dice of liver \(expected at most 0.1\)"),
        ({}, 0.02, "99 %", ""),
        ({}, 0.051, FAIL, r"5.1% of the voxels change class \(expected at most 5%\)"),
        ({"dice_network": 0.0, "dice_artifact": 0.0, "beyond_chance": 0.0}, 0.0, UNJUDGED, "0.000, no better than"),
        (
            {"dice_network": 0.6, "beyond_chance": 0.09},
            0.0,
            UNJUDGED,
            "is 0.600, only 0.09 better than chance",
        ),
        ({"cases": 0, "beyond_chance": 0.0}, 0.0, UNJUDGED, "no case's labels hold liver"),
    ],
)
def test_the_rule(label, argmax_changed, verdict, reason):
    judgement = judge({"liver": scores(**label)}, argmax_changed)
    assert judgement.verdict == verdict
    assert bool(judgement.reasons) == bool(reason)
    assert re.search(reason, " ".join(judgement.reasons))


def test_one_bad_class_decides_and_an_unseen_one_does_not():
    assert judge({"liver": scores(), "tumour": scores(dice_artifact=0.5)}, 0.0).verdict == FAIL
    judgement = judge({"liver": scores(), "tumour": scores(cases=0, beyond_chance=0.0)}, 0.0)
    assert (judgement.verdict, judgement.unseen) == (TARGETS[0].name, ("tumour",))


def test_a_network_that_finds_nothing_or_all_is_not_judged(tmp_path):
    case = write_case(tmp_path, "a", values(400, 100))
    for predicted in (values(0, 0), values(1000), values(0, 100)):
        fidelity = compare(answer(predicted), answer(predicted), (case,), LABELS)
        assert fidelity.verdict == UNJUDGED
        assert fidelity.labels["one"].beyond_chance == pytest.approx(0.0)
    right = compare(answer(values(400, 100)), answer(values(400, 100)), (case,), LABELS)
    assert right.labels["one"].beyond_chance == 1.0
    # 100 of 400 voxels found, none wrongly: Dice 0.4, of which 2 x 0.1 x 0.4 / 0.5 = 0.16 by chance
    part = compare(answer(values(100, 100)), answer(values(100, 100)), (case,), LABELS)
    assert part.labels["one"].beyond_chance == pytest.approx((0.4 - 0.16) / (1 - 0.16))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return graded_source(tmp_path_factory.mktemp("graded"))


def export(source, out, **options):
    (folder,) = export_run(source, ["tflite-int8"], out, calibration="minmax", tell=lambda line: None, **options)
    return folder


TAMPERED = {
    "shuffled classes": graded(order=(1, 2, 0)),
    "two classes exchanged": graded(order=(0, 2, 1)),
    "a class lost": graded((0.0, 0.0, -100.0)),
    "all background": graded((100.0, 0.0, 0.0)),
}


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("tampering", TAMPERED)
def test_an_artifact_that_computes_something_else_is_refused(source, tmp_path, monkeypatch, tampering, verify):
    monkeypatch.setattr(artifact, "convert_checked", lambda model, *args: convert_checked(TAMPERED[tampering], *args))
    with pytest.raises(FidelityError, match="on 3 patches the artifact agrees with its network in "):
        export(source, tmp_path, verify=verify)
    assert list(tmp_path.iterdir()) == []
    folder = export(source, tmp_path, verify=verify, ship_anyway=True)
    manifest = edge.load_manifest(folder)
    assert "agrees with its network in" in manifest.source["sanity"]["problem"]
    assert manifest.fidelity.get("verdict") == (FAIL if verify else None)
    for name in ("CARD.md", "report.html"):
        assert "written all the same, as was asked" in (folder / name).read_text()


@pytest.mark.parametrize("tampering", TAMPERED)
def test_labelled_cases_alone_tell_it_too(source, tampering):
    good, bad = graded(), TAMPERED[tampering]

    def classes(model):
        return lambda scan: np.asarray(model(scan.voxels[None]))[0].argmax(-1)

    assert compare(classes(good), classes(good), source.validation, GRADES).verdict == "99.9 %"
    assert compare(classes(good), classes(bad), source.validation, GRADES).verdict == FAIL
    assert compare(classes(bad), classes(bad), source.validation, GRADES).verdict == UNJUDGED


def test_a_good_artifact_passes_and_says_what_was_compared(source, tmp_path):
    manifest = edge.load_manifest(export(source, tmp_path))
    assert manifest.fidelity["verdict"] == "99.9 %"
    assert manifest.source["sanity"] == {"patches": 3, "agreement": 1.0}
    unverified = edge.load_manifest(export(source, tmp_path, verify=False))
    assert unverified.fidelity == {}
    assert unverified.source["sanity"]["agreement"] == 1.0


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("format", ["tflite-int8", "onnx-float32"])
def test_a_network_that_learnt_nothing_is_refused(source, tmp_path, verify, format):
    path = tmp_path / "model.keras"
    graded((100.0, 0.0, 0.0)).save(path)
    nothing = dataclasses.replace(source, model_file=path)
    with pytest.raises(UnjudgedError, match=r"finds nothing but background|own mean Dice on core is 0.000, no better"):
        export_run(nothing, [format], tmp_path / "out", verify=verify, tell=lambda line: None)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_network_of_zeros_is_refused_without_any_scan(source, tmp_path):
    model = graded()
    model.set_weights([0 * weight for weight in model.get_weights()])
    model.save(tmp_path / "model.keras")
    alone = dataclasses.replace(source, model_file=tmp_path / "model.keras", training=(), validation=())
    with pytest.raises(UnjudgedError, match="finds nothing but background in all 12 patches"):
        export_run(alone, ["onnx-float32"], tmp_path / "out", verify=False, tell=lambda line: None)
    good = dataclasses.replace(alone, model_file=source.model_file)
    (folder,) = export_run(good, ["onnx-float32"], tmp_path / "out", verify=False, tell=lambda line: None)
    assert edge.load_manifest(folder).source["sanity"] == {"patches": 12, "agreement": 1.0}


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("scans", [True, False])
def test_a_network_of_nan_is_refused_with_and_without_scans(source, tmp_path, scans, value):
    model = graded()
    *weights, bias = model.get_weights()
    model.set_weights([*weights, np.where([False, True, False], value, bias)])
    model.save(tmp_path / "model.keras")
    broken = dataclasses.replace(source, model_file=tmp_path / "model.keras")
    if not scans:
        broken = dataclasses.replace(broken, training=(), validation=())
    with pytest.raises(InputError, match="logits/bias holds NaN or infinite values, expected numbers"):
        export_run(broken, ["onnx-float32"], tmp_path / "out", verify=False, tell=lambda line: None)
    with pytest.raises(InputError, match="logits/bias holds NaN"):
        convert(model, "onnx-float32", (24, 20))


def test_a_network_whose_logits_are_nan_is_refused(source, tmp_path):
    model = graded()
    root = keras.Model(model.input, model.output + keras.ops.sqrt(model.input - 2.0))  # NaN wherever x < 2
    root.save(tmp_path / "model.keras")
    broken = dataclasses.replace(source, model_file=tmp_path / "model.keras", training=(), validation=())
    with pytest.raises(UnjudgedError, match="logits on patches are NaN or infinite"):
        export_run(broken, ["onnx-float32"], tmp_path / "out", verify=False, tell=lambda line: None)
    (folder,) = export_run(
        broken, ["onnx-float32"], tmp_path / "out", verify=False, ship_anyway=True, tell=lambda line: None
    )
    assert "NaN" in edge.load_manifest(folder).source["sanity"]["problem"]


@pytest.mark.parametrize("odd", [0.0, 1e-4, 0.3])
def test_calibration_on_constants_is_refused(source, tmp_path, odd):
    """Also where the scans are constant but for one voxel, or for noise."""
    cases = []
    for number in range(3):
        voxels = np.full((24, 20, 1), 0.1, "float32")
        voxels[number, 3] += odd
        path = tmp_path / f"{number}.nii.gz"
        imaging.write(path, Scan(voxels, np.eye(4)))
        cases.append(CaseFiles(str(number), (str(path),), None))
    constant = dataclasses.replace(source, training=tuple(cases))
    with pytest.raises(InputError, match=r"are constant|finds nothing but background in all 3"):
        export(constant, tmp_path / "out", verify=False)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def in_white(source, folder):
    """The folders of a saved model's scans and labels, whose foreground is 255."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    for case in source.training + source.validation:
        shutil.copy(case.images[0], folder / "images" / f"{case.name}.nii.gz")
        label = imaging.read_labels(case.label)
        white = np.where(label.voxels == 0, 0, 255).astype("uint8")
        imaging.write(folder / "labels" / f"{case.name}.nii.gz", Scan(white, label.affine))
    model = graded((0.0, 0.0, -100.0))
    model = keras.Model(model.input, model.output[..., :2])
    model.save(folder / "model.keras")
    return folder / "model.keras", source.model_file.with_name("recipe.json"), folder / "images"


def test_labels_of_0_and_255_are_refused_before_any_work_or_named(source, tmp_path):
    given = in_white(source, tmp_path)
    with pytest.raises(InputError, match=r"holds label value 255, .* 0 background, 1 class 1; .*'class 1=255'"):
        open_model(*given, labels=tmp_path / "labels", patch=(24, 20))
    classes = ("background", "tissue=255")
    opened = open_model(*given, labels=tmp_path / "labels", patch=(24, 20), classes=classes)
    assert opened.labels == (Label("background", 0), Label("tissue", 255))
    folder = export(opened, tmp_path / "out")
    assert edge.load_manifest(folder).fidelity["verdict"] == "99.9 %"
    with pytest.raises(InputError, match=r"expected 2 different values, got \[1, 1\]"):
        open_model(*given, labels=tmp_path / "labels", patch=(24, 20), classes=("background=1", "tissue"))


def test_labels_of_other_values_or_places_are_not_compared(tmp_path):
    case = write_case(tmp_path, "a", values(400, 100))
    with pytest.raises(InputError, match=r"a_label.nii.gz: holds label value 5, expected .* 0 background, 1 one"):
        compare(answer(values(400)), answer(values(400)), (case,), LABELS[:2])
    label = imaging.read_labels(case.label)
    affine = np.eye(4)
    affine[0, 3] = 3.0
    imaging.write(case.label, Scan(label.voxels, affine))
    with pytest.raises(InputError, match="3 mm"):
        compare(answer(values(400)), answer(values(400)), (case,), LABELS)
    imaging.write(case.label, Scan(label.voxels * 0, np.eye(4)))
    with pytest.raises(InputError, match="mark nothing but background"):
        check_references([case], LABELS, 1)


def test_a_rare_class_does_not_decide_on_patches_and_a_lost_one_does():
    network = np.zeros((2, 100, 100), int)
    network[:, :40] = 1
    network[0, 99, :30] = 2
    artifact = np.where(network == 2, 0, network)
    names = ("background", "liver", "vessel")
    assert check_classes(network, artifact, names).problem == ""
    network[:, 90:, :30] = 2
    assert "in 0% of vessel" in check_classes(network, artifact, names).problem
    assert check_classes(network, network, names) == check_classes(network, network, names)
    assert check_classes(network * 0, network * 0, names).only == "background"
    assert check_classes(network * 0, network * 0, names, scans=False).problem == ""
    assert "finds nothing but background" in check_classes(network, network * 0, names).problem


def test_a_class_that_the_artifact_invents_is_told():
    network = np.zeros((4, 100, 100), int)
    network[:, :10] = 1
    names = ("background", "liver", "vessel")
    few, many = network.copy(), network.copy()
    few[0, 50, :80] = 2
    many[:, 50:60] = 2
    assert check_classes(network, few, names).problem == ""
    assert "in 0% of vessel" in check_classes(network, many, names).problem


def test_voxels_that_nobody_labelled_count_neither_in_chance_nor_in_shares(tmp_path):
    """Of 1000 voxels ten are labelled, five of each class: all foreground has Dice 2/3 by chance."""
    labels = np.full(1000, 9, "uint8")
    labels[:5], labels[5:10] = 1, 0
    case = write_case(tmp_path, "scribble", labels)
    fidelity = compare(answer(values(1000)), answer(values(1000)), (case,), LABELS[:2], ignore=9)
    assert fidelity.verdict == UNJUDGED
    assert fidelity.labels["one"].dice_network == pytest.approx(2 / 3)
    assert fidelity.labels["one"].beyond_chance == pytest.approx(0.0)
    changed = compare(answer(values(5)), answer(values(6)), (case,), LABELS[:2], ignore=9)
    assert changed.argmax_changed == pytest.approx(0.1)
    assert changed.per_case[0].argmax_changed == pytest.approx(0.1)
