"""The tools of the page in a real browser against the real server: what is drawn is what is saved."""

import cv2
import nibabel
import numpy as np
import pytest
import requests
import scipy.ndimage
from page_browser import Person
from page_cases import OBLIQUE, SHAPE, VALUES, disc, ras
from review_phantoms import wait_for

CASES = ("case_b", "case_c", "case_d", "case_f", "case_g", "flat", "whole")


@pytest.mark.parametrize("axis", [0, 1])
def test_tools_draw_what_they_say(anna, axis):
    anna.open("case_b")
    before = anna.bitmap()
    centre = np.array(before.shape) // 2
    u, v = (in_plane for in_plane in range(3) if in_plane != axis)

    def corner(a, b):
        voxel = centre.copy()
        voxel[[u, v]] += a, b
        return voxel

    anna.tool("f")
    anna.stroke(*(corner(*c) for c in ((-4, -4), (4, -4), (4, 4), (-4, 4), (-4, -4))), axis=axis)
    anna.saved()
    expected = before.copy()
    square = [slice(c - 4, c + 5) for c in centre]
    square[axis] = centre[axis]
    expected[tuple(square)] = 1
    assert np.array_equal(anna.bitmap(), expected)
    anna.tool("e")
    anna.set("#size", 0.5)
    anna.click(centre, axis)
    anna.saved()
    expected[tuple(centre)] = 0
    assert np.array_equal(anna.bitmap(), expected)
    anna.tool("h")
    anna.saved()
    shown = np.take(expected, centre[axis], axis)
    shown[(shown == 0) & scipy.ndimage.binary_fill_holes(shown == 1)] = 1
    np.moveaxis(expected, axis, 0)[centre[axis]] = shown
    assert expected[tuple(centre)] == 1
    assert np.array_equal(anna.bitmap(), expected)
    for _ in range(3):
        anna.page.keyboard.press("Control+z")
    anna.saved()
    assert np.array_equal(anna.bitmap(), before)
    anna.page.get_by_role("button", name="Discard changes").click()
    anna.page.get_by_role("button", name="Discard", exact=True).click()
    anna.until("document.getElementById('saved').dataset.state === 'unchanged'")


def test_picture_is_that_of_the_label(anna):
    """A stroke, undo and redo send the graphics card what they touched: the picture is that of the whole label."""
    anna.open("case_b")
    centre = np.array(anna.bitmap().shape) // 2
    anna.page.evaluate("voxel => review.moveTo(voxel)", centre.tolist())

    def picture():
        anna.page.mouse.move(5, 5)
        anna.page.evaluate("document.activeElement.blur()")
        return anna.page.locator("#main-pane").screenshot()

    def comes(expected):
        return wait_for(lambda: picture() == expected, 60)

    def at_rest():
        """The picture once the 3D view is drawn too."""
        before, now = None, picture()
        while before != now:
            anna.page.wait_for_timeout(1500)
            before, now = now, picture()
        return now

    first = at_rest()
    anna.tool("b")
    anna.stroke(centre - (0, 6, 3), centre + np.array((0, 6, 3)), axis=0)
    anna.saved()
    anna.tool("v")
    drawn = at_rest()
    assert drawn != first
    anna.page.keyboard.press("Control+z")
    assert comes(first)
    anna.page.keyboard.press("Control+y")
    assert comes(drawn)
    anna.saved()
    anna.page.reload()
    anna.open("case_b")
    anna.page.evaluate("voxel => review.moveTo(voxel)", centre.tolist())
    assert comes(drawn)
    anna.page.keyboard.press("Control+z")


@pytest.mark.parametrize("case", ["case_c", "whole"])
def test_scan_is_grey_in_its_window(anna, server, case):
    """Real numbers and integers: black at the window's low end, white at its high end, each voxel where it lies."""
    anna.open(case)
    scan = _scan(server, case)
    window = requests.get(f"{server.address}api/cases/{case}", timeout=10).json()["window"]
    grey = np.clip(255 * (scan - window["low"]) / (window["high"] - window["low"]), 0, 255)
    centre = np.array(scan.shape) // 2
    voxels = [centre + np.array((a, b, 0)) for a in range(-20, 21, 4) for b in range(-15, 16, 5) if a and b]
    places = [anna.place(voxel, 2) for voxel in voxels]
    anna.page.locator("#overlay").set_checked(False)
    try:
        wait_for(lambda: np.allclose(_shown(anna, places), [grey[tuple(voxel)] for voxel in voxels], atol=2))
    finally:
        anna.page.locator("#overlay").set_checked(True)


def _scan(server, case):
    content = requests.get(f"{server.address}api/cases/{case}/volume.nii", timeout=10).content
    return nibabel.as_closest_canonical(nibabel.Nifti1Image.from_bytes(content)).get_fdata()


def _shown(person, places):
    """What the page shows at places, which has to be grey."""
    picture = cv2.imdecode(np.frombuffer(person.page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    colours = np.array([picture[int(y), int(x)] for x, y in places], float)
    assert np.ptp(colours, axis=1).max() == 0
    return colours[:, 0]


def test_threshold_brush_keeps_to_its_range(anna, server):
    anna.open("case_c")
    scan = _scan(server, "case_c")
    before, centre = anna.bitmap(), np.array(scan.shape) // 2
    low, high = np.quantile(scan[:, :, centre[2]], [0.4, 0.8])
    anna.tool("t")
    anna.set("#size", 30)
    anna.set("#low", low)
    anna.set("#high", high)
    anna.click(centre)
    anna.saved()
    spacing = nibabel.affines.voxel_sizes(OBLIQUE)[[1, 0, 2]]
    within = disc(scan.shape, spacing, [centre], 15, axis=2) & (scan >= low) & (scan <= high)
    assert 0 < within.sum() < disc(scan.shape, spacing, [centre], 15, axis=2).sum()
    assert np.array_equal(anna.bitmap(), np.where(within, 1, before))


def test_flat_picture(anna, server):
    anna.open("flat")
    before = anna.bitmap()
    assert before.shape == (40, 48, 1)
    anna.tool("b")
    anna.stroke((5, 6, 0), (9, 6, 0))
    anna.saved()
    drawn = anna.bitmap()
    assert (drawn != before).any()
    draft = requests.get(f"{server.address}api/cases/flat/draft", headers={"X-User": "Anna"}, timeout=10).content
    assert np.array_equal(ras(draft), VALUES[drawn])


def test_measures_millimetres(anna):
    anna.open("case_d")
    anna.tool("m")
    anna.stroke((10, 20, 12), (30, 20, 12))
    spacing = nibabel.affines.voxel_sizes(OBLIQUE)[1]
    (length,) = anna.until("review.measured().length === 1 && review.measured()")
    assert length == pytest.approx(20 * spacing, rel=0.02)


def _answer(server, tool, marks):
    """What the server itself says to marks: where the label shall be, in right-anterior-superior order."""
    answer = requests.post(f"{server.address}api/cases/case_f/tools/{tool}", json=marks, timeout=60)
    answer.raise_for_status()
    return ras(answer.content) == 1


def _in_file(voxel):
    """[i, j, k] in the file of a voxel in right-anterior-superior order, by the affines alone."""
    canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), OBLIQUE))
    world = nibabel.affines.apply_affine(canonical.affine, voxel)
    return np.round(nibabel.affines.apply_affine(np.linalg.inv(OBLIQUE), world)).astype(int).tolist()


def test_marks_reach_the_server_where_they_were_made(anna, server):
    anna.open("case_f")
    before = anna.bitmap()
    centre = np.array(before.shape) // 2
    anna.tool("2")
    anna.tool("c")
    places = [centre - (14, 14, 0), centre - (14, 10, 0)]
    marks = {"label": 300, "foreground": [_in_file(places[0])], "background": [], "base": 1}
    mask = _answer(server, "clicks", marks)
    anna.answered(lambda: anna.click(places[0], axis=0))
    expected = np.where(mask, 2, np.where(before == 2, 0, before))
    assert mask[tuple(places[0])]
    assert np.array_equal(anna.bitmap(), expected)
    anna.page.keyboard.down("Shift")
    anna.answered(lambda: anna.click(places[1], axis=0))
    anna.page.keyboard.up("Shift")
    assert anna.bitmap()[tuple(places[1])] != 2
    assert anna.bitmap()[tuple(places[0])] == 2
    anna.answered(lambda: anna.page.keyboard.press("l"))
    assert scipy.ndimage.label(anna.bitmap() == 2, np.ones((3, 3, 3)))[1] == 1


def test_a_finger_draws_too(browser, server):
    tablet = Person(browser, server.address, "Clara", touch=True)
    try:
        tablet.open("case_g")
        before, centre = tablet.bitmap(), np.array(SHAPE)[[1, 0, 2]] // 2
        tablet.page.get_by_role("radio", name="Eraser").tap()
        tablet.swipe(centre - (6, 0, 0), centre, centre + np.array((6, 0, 0)))
        tablet.saved()
        radius = float(tablet.page.locator("#size").input_value()) / 2
        row = [centre + np.array((step, 0, 0)) for step in range(-6, 7)]
        spacing = nibabel.affines.voxel_sizes(OBLIQUE)[[1, 0, 2]]
        assert np.array_equal(tablet.bitmap(), np.where(disc(before.shape, spacing, row, radius, 2), 0, before))
        assert tablet.faults == []
    finally:
        tablet.context.close()
