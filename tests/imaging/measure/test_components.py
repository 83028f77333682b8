"""Connected parts, against a flood fill written out."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from imaging import InputError
from imaging.measure.components import fill_holes, label_components, largest_component, remove_small, share_of_largest


def flood(mask):
    """Sets of voxels that touch by face, edge or corner, in the order met."""
    left, parts = set(map(tuple, np.argwhere(mask).tolist())), []
    for start in sorted(left):
        if start not in left:
            continue
        left.discard(start)
        part, front = {start}, [start]
        while front:
            here = front.pop()
            for step in itertools.product((-1, 0, 1), repeat=mask.ndim):
                there = tuple(a + b for a, b in zip(here, step, strict=True))
                if there in left:
                    left.discard(there)
                    part.add(there)
                    front.append(there)
        parts.append(part)
    return parts


@pytest.mark.parametrize(("shape", "density"), [((14, 15), 0.25), ((9, 8, 10), 0.07), ((9, 8, 10), 0.15)])
@pytest.mark.parametrize("seed", range(4))
def test_parts(shape, density, seed):
    mask = np.random.default_rng(seed).random(shape) < density
    parts = flood(mask)
    numbered, counts = label_components(mask)
    assert sorted(counts[1:]) == sorted(map(len, parts))
    assert counts[0] == 0
    for part in parts:
        assert len({int(numbered[v]) for v in part}) == 1
    largest = max(map(len, parts))
    expected = next(p for p in parts if len(p) == largest)
    assert set(map(tuple, np.argwhere(largest_component(mask)).tolist())) == expected
    spacing = (0.5, 2.0, 1.5)[: len(shape)]
    kept = remove_small(mask, 3 * np.prod(spacing), spacing)
    assert set(map(tuple, np.argwhere(kept).tolist())) == set().union(*(p for p in parts if len(p) >= 3))
    assert share_of_largest(mask) == max(map(len, parts)) / mask.sum()


def test_empty_and_full():
    empty, full = np.zeros((4, 5), bool), np.ones((4, 5), bool)
    assert not largest_component(empty).any()
    assert largest_component(full).all()
    assert not remove_small(empty, 1, (1, 1)).any()
    assert remove_small(full, 20, (1, 1)).all()
    assert not remove_small(full, 20.1, (1, 1)).any()


def test_the_minimum_itself_stays_despite_rounding():
    mask = np.zeros((5, 5, 5), bool)
    mask[:1, :1, :3] = True
    assert remove_small(mask, 0.003, (0.1, 0.1, 0.1)).sum() == 3


def test_fill_holes():
    shell = ((np.indices((15, 15, 15)) - 7) ** 2).sum(axis=0) < 36
    hollow = shell & ~ndimage.binary_erosion(shell, iterations=2)
    np.testing.assert_array_equal(fill_holes(hollow), shell)
    hollow[:, 7, 7] = False  # a channel to the outside: no hole any more
    np.testing.assert_array_equal(fill_holes(hollow), hollow)
    ring = np.ones((3, 3), bool)
    ring[1, 1] = ring[0, 0] = False  # only a corner leads out
    assert fill_holes(ring)[1, 1]


def test_spacing_must_fit():
    with pytest.raises(InputError, match="expected 2 numbers"):
        remove_small(np.ones((2, 2), bool), 1, (1, 1, 1))


def test_an_empty_mask_has_no_largest_part():
    assert share_of_largest(np.zeros((3, 4), bool)) is None
