import numpy as np
import pytest
from dataset_folders import ball, scan_3d, write_flat, write_msd

import imaging
from imaging.scan import Scan
from train.data.dataset import open_dataset
from train.planning.fingerprint import fingerprint, ordered_classes
from train.planning.inspection import inspect, measure_case


def facts_of(indices, spacing=1.0, classes=3, image=None):
    affine = np.diag([*([spacing] * 3), 1.0])
    image = indices.astype(np.float32) if image is None else image
    return measure_case("x", Scan(image[..., None], affine), Scan(indices[..., None], affine), classes)


def test_facts_of_a_case_by_hand():
    indices = np.zeros((10, 12, 14), np.uint8)
    indices[2:4, 3:7, 5] = 1
    indices[6, 6, 6] = 2
    facts = facts_of(indices)
    assert facts.shape == (10, 12, 14)
    assert facts.counts.tolist() == [10 * 12 * 14 - 9, 8, 1]
    assert facts.centres[1].tolist() == [2.5, 4.5, 5]
    assert facts.spreads[1].tolist() == [0.5, pytest.approx(np.std([3, 4, 5, 6])), 0]
    assert facts.cropped == (5, 4, 2)
    assert sorted(facts.samples[:, 0].tolist()) == [1] * 8 + [2]


def test_facts_are_those_of_the_ras_scan():
    image, labels = scan_3d()
    turned = measure_case("x", imaging.reorient(image, "SLP"), imaging.reorient(labels, "SLP"), 3)
    straight = measure_case("x", image, labels, 3)
    assert turned.shape == straight.shape
    assert turned.spacing == straight.spacing
    np.testing.assert_allclose(turned.centres, straight.centres)


@pytest.mark.parametrize("width", [1, 3, 4, 8, 20])
def test_thickness_of_a_band(width):
    indices = np.zeros((200, 64), np.uint8)
    indices[50 : 50 + width] = 1
    scan = Scan(indices[..., None].astype(np.float32), np.eye(4))
    thickness = measure_case("x", scan, Scan(indices[..., None], np.eye(4)), 2).thickness
    assert thickness[1] == pytest.approx(width, abs=1.1)


def test_same_content_same_digest():
    image, labels = scan_3d()
    second_scan, _ = scan_3d(1)
    digests = [measure_case("x", scan, labels, 3).digest for scan in (image, image, second_scan)]
    assert digests[0] == digests[1] != digests[2]


def test_fingerprint_of_a_dataset(tmp_path):
    dataset = open_dataset(write_msd(tmp_path, cases=3))
    measured = fingerprint(dataset, inspect(dataset).facts)
    assert measured["cases"] == 3
    assert measured["rank"] == 3
    assert measured["has_spacing"] is True
    assert measured["shape"]["median"] == [20, 24, 16]
    assert measured["spacing"]["median"] == [1, 1, 2]
    assert measured["extent_mm"] == [20, 24, 32]
    _, labels = scan_3d()
    body, front = (int((labels.voxels == k).sum()) for k in (1, 2))
    assert measured["classes"]["back"]["volume"] == 2 * body
    assert measured["classes"]["front"]["voxel_share"] == pytest.approx(front / labels.voxels.size, rel=1e-5)
    assert measured["classes"]["front"]["thickness"] is None
    values = np.concatenate([scan_3d(n)[0].voxels[labels.voxels > 0] for n in (1, 2, 3)])
    (intensity,) = measured["intensity"]
    assert intensity["mean"] == pytest.approx(values.mean(), rel=1e-4)
    assert intensity["std"] == pytest.approx(values.std(), rel=1e-4)
    assert intensity["percentile_99_5"] == pytest.approx(np.percentile(values, 99.5), rel=1e-4)
    assert measured["ordered"] == {"1": [["back", "front"]]}


def test_flat_images_have_no_spacing(tmp_path):
    dataset = open_dataset(write_flat(tmp_path, ["a", "b"]))
    measured = fingerprint(dataset, inspect(dataset).facts)
    assert measured["has_spacing"] is False
    # a disc of radius 12: the mean distance to its border is a third of the radius
    assert measured["classes"]["foreground"]["thickness"] == pytest.approx(4 / 3 * 12, rel=0.1)


def test_classes_that_lie_side_by_side_are_ordered_and_nested_ones_are_not():
    shape = (30, 30, 30)
    left_right, nested = [], []
    for seed in range(10):
        shift = np.random.default_rng(seed).integers(-2, 3, 3)
        indices = np.zeros(shape, np.uint8)
        indices[ball(shape, np.add((8, 15, 15), shift), 4)] = 1
        indices[ball(shape, np.add((22, 15, 15), shift), 4)] = 2
        left_right.append(facts_of(indices))
        indices = np.zeros(shape, np.uint8)
        indices[ball(shape, np.array((15, 15, 15)) + shift, 8)] = 1
        indices[ball(shape, np.array((15, 15, 15)) - shift, 4)] = 2
        nested.append(facts_of(indices))
    assert ordered_classes(left_right, ["background", "left", "right"]) == {"0": [["left", "right"]]}
    assert ordered_classes(nested, ["background", "organ", "tumour"]) == {}


def test_an_order_that_changes_sides_does_not_count():
    shape = (30, 30, 30)
    facts = []
    for first, second in ((8, 22), (22, 8)) * 5:
        indices = np.zeros(shape, np.uint8)
        indices[ball(shape, (first, 15, 15), 4)] = 1
        indices[ball(shape, (second, 15, 15), 4)] = 2
        facts.append(facts_of(indices))
    assert ordered_classes(facts, ["background", "a", "b"]) == {}
