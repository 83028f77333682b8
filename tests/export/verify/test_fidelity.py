"""Fidelity on cases whose Dice is known in closed form."""

import numpy as np
import pytest
from known_cases import LABELS, SIZE, answer, values, write_case

import imaging
from export.verify.comparison import compare
from imaging.io.cases import CaseFiles


def dice(predicted, reference):
    return 2 * min(predicted, reference) / (predicted + reference)


@pytest.fixture
def case(tmp_path):
    return write_case(tmp_path, "a", values(400, 100))


def test_the_same_answer(case):
    fidelity = compare(answer(values(400, 100)), answer(values(400, 100)), (case,), LABELS)
    assert fidelity.verdict == "99.9 %"
    assert fidelity.drop == 0.0
    assert fidelity.argmax_changed == 0.0
    assert fidelity.cases == ("a",)
    assert set(fidelity.labels) == {"one", "five"}
    near = fidelity.labels["one"]
    assert (near.dice_network, near.dice_artifact, near.volume_change) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("predicted", "verdict"),
    [(400, "99.9 %"), (399, "99 %"), (397, "99 %"), (393, "99 %"), (391, "fail"), (200, "fail"), (0, "fail")],
)
def test_the_verdict_is_the_share_of_dice_that_is_kept(case, predicted, verdict):
    kept = dice(predicted, 400)
    assert verdict == ("99.9 %" if kept >= 0.999 else "99 %" if kept >= 0.99 else "fail")
    fidelity = compare(answer(values(400, 100)), answer(values(predicted, 100)), (case,), LABELS)
    assert fidelity.verdict == verdict
    assert fidelity.drop == pytest.approx(1 - kept)
    assert fidelity.labels["one"].volume_change == pytest.approx((400 - predicted) / 400)
    assert fidelity.argmax_changed == pytest.approx((400 - predicted) / SIZE)
    assert fidelity.labels["five"].dice_drop == 0.0


def test_the_worst_class_decides(case):
    fidelity = compare(answer(values(400, 100)), answer(values(400, 90)), (case,), LABELS)
    assert fidelity.verdict == "fail"
    assert fidelity.drop == pytest.approx(1 - dice(90, 100))


def test_a_better_artifact_does_not_fail(case):
    fidelity = compare(answer(values(392, 100)), answer(values(400, 100)), (case,), LABELS)
    assert fidelity.verdict == "99.9 %"
    assert fidelity.labels["one"].dice_drop == pytest.approx(dice(392, 400) - 1)
    assert fidelity.labels["one"].volume_change == pytest.approx(8 / 392)


def test_means_and_the_worst_case(tmp_path):
    cases = tuple(write_case(tmp_path, name, values(400)) for name in "abc")
    network = answer(values(400), values(400), values(400))
    artifact = answer(values(400), values(300), values(380))
    near = compare(network, artifact, cases, LABELS).labels["one"]
    assert near.dice_drop == pytest.approx(1 - (1 + dice(300, 400) + dice(380, 400)) / 3)
    assert near.worst_drop == pytest.approx(1 - dice(300, 400))
    assert near.worst_case == "b"
    assert near.volume_change == pytest.approx((0.25 + 0.05) / 3)


def test_a_class_that_is_nowhere(tmp_path):
    # no reference, none found: Dice 1 for both; found by the artifact alone: 0, and no volume to change from
    case = write_case(tmp_path, "a", values(400))
    empty = compare(answer(values(400)), answer(values(400)), (case,), LABELS)
    assert empty.verdict == "99.9 %"
    assert empty.labels["five"].volume_change == 0.0
    assert empty.unseen == ("five",)
    wrong = compare(answer(values(400)), answer(values(300, 100)), (case,), LABELS)
    assert wrong.labels["five"].dice_drop == 1.0
    assert wrong.verdict == "fail"


def test_cases_without_labels_are_left_out(case):
    bare = CaseFiles("bare", case.images)
    fidelity = compare(answer(values(400, 100)), answer(values(400, 100)), (bare, case), LABELS)
    assert fidelity.cases == ("a",)
    with pytest.raises(
        imaging.InputError, match="expected at least one labelled case held back from training, got none"
    ):
        compare(answer(), answer(), (bare,), LABELS)


def test_as_plain_types_for_the_manifest(case):
    import json

    fidelity = compare(answer(values(400, 100)), answer(values(399, 100)), (case,), LABELS)
    plain = json.loads(json.dumps(fidelity.to_dict()))
    assert plain["labels"]["one"]["worst_case"] == "a"
    assert plain["verdict"] == "99 %"


def test_every_case_is_scored_by_surface_and_volume(tmp_path):
    from imaging.measure.scoring import score_case

    cases = tuple(write_case(tmp_path, name, values(400, 100)) for name in "ab")
    fidelity = compare(
        answer(values(400, 100), values(390, 90)), answer(values(360, 100), values(395, 0)), cases, LABELS
    )
    assert [case.name for case in fidelity.per_case] == ["a", "b"]
    indices = [np.where(v == 5, 2, v).reshape(10, 10, -1) for v in (values(390, 90), values(395, 0), values(400, 100))]
    case = fidelity.per_case[1]
    for which, predicted in (("network", indices[0]), ("artifact", indices[1])):
        expected = score_case(predicted, indices[2], LABELS, (1.0, 1.0, 1.0))
        for label in ("one", "five"):
            scores = getattr(case.labels[label], which)
            assert scores.dice == pytest.approx(expected[label]["dice"])
            assert scores.hd95 == expected[label]["hd95"]
            assert scores.nsd == pytest.approx(expected[label]["nsd"])
            assert scores.volume == pytest.approx(expected[label]["volume_ml"])
    assert case.labels["one"].reference_volume == pytest.approx(0.4)
    assert case.labels["one"].dice_between == pytest.approx(dice(390, 395))
    assert case.labels["five"].artifact.hd95 == np.inf
    assert case.argmax_changed == pytest.approx((5 + 90) / SIZE)
    assert fidelity.labels["five"].hd95_network == fidelity.per_case[0].labels["five"].network.hd95
    assert fidelity.labels["five"].nsd_artifact == pytest.approx(0.5)


def test_the_worst_case_is_kept_to_be_seen(tmp_path):
    cases = tuple(write_case(tmp_path, name, values(400)) for name in "abc")
    network = answer(values(400), values(400), values(400))
    artifact = answer(values(399), values(300), values(380))
    worst = compare(network, artifact, cases, LABELS).worst
    assert worst.name == "b"
    assert worst.drop == pytest.approx(1 - dice(300, 400))
    assert [int(np.count_nonzero(v)) for v in (worst.reference, worst.network, worst.artifact)] == [400, 400, 300]
    assert worst.scan.shape == (10, 10, 10)


def test_the_manifest_holds_no_single_cases(case):
    fidelity = compare(answer(values(400)), answer(values(400)), (case,), LABELS)
    assert set(fidelity.to_dict()) == {"cases", "labels", "argmax_changed", "verdict", "reasons"}
    assert fidelity.labels["five"].hd95_network is None


def test_objects_are_judged_by_their_average_precision(tmp_path):
    from objects import pairs, write_objects

    write_objects(tmp_path, count=1)
    image, label = (next((tmp_path / kind).iterdir()) for kind in ("images", "labels"))
    objects = pairs((96, 96), 0, count=3)
    case = CaseFiles("a", (str(image),), str(label), instances=True)
    labels = (imaging.Label("background", 0), imaging.Label("cell", 7))
    # the same voxels, but two objects of each pair are one: nothing that Dice would see
    merged = np.where(objects > 0, (objects + 1) // 2, 0)
    same = compare(lambda scan: objects, lambda scan: objects, (case,), labels)
    assert (same.verdict, same.objects.ap_network, same.labels["cell"].dice_artifact) == ("99.9 %", 1.0, 1.0)
    worse = compare(lambda scan: objects, lambda scan: merged, (case,), labels)
    assert worse.labels["cell"].dice_artifact == 1
    assert worse.verdict == "fail"
    assert "average precision of the objects falls from 1.0000 to 0.0" in worse.reasons[0]
    assert worse.to_dict()["objects"]["ap_artifact"] == worse.objects.ap_artifact < 0.5
    plain = compare(answer(values(9, 1)), answer(values(9, 1)), (write_case(tmp_path, "b", values(9, 1)),), LABELS)
    assert "objects" not in plain.to_dict()
