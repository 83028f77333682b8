"""The page in a real browser against the real server: what is drawn is what is saved, and nothing acknowledged is lost.

The screenshots of the documentation are made here: ``make screenshots`` keeps them.
"""

import re

import nibabel
import numpy as np
import pytest
import requests
import scipy.ndimage
from page_browser import ROOT, Person, Server, phantom
from page_cases import OBLIQUE, SHAPE, VALUES, counts, disc, label, ras
from review_phantoms import wait_for

CASES = ("case_a", "case_b", "case_c", "case_d", "case_e", "case_f", "case_g", "case_h")


@pytest.fixture(scope="module")
def server(tmp_path_factory, artifact):
    folder = tmp_path_factory.mktemp("page") / "scans"
    folder.mkdir()
    for seed, case in enumerate(CASES):
        nibabel.save(nibabel.Nifti1Image(phantom(SHAPE, seed), OBLIQUE), folder / f"{case}.nii.gz")
    nibabel.save(nibabel.Nifti1Image(phantom((40, 48, 1), 9), np.diag([-1, -1, 3, 1])), folder / "flat.nii.gz")
    started = Server(folder, artifact)
    wait_for(lambda: counts(started).get("segmented", 0) == len(CASES) + 1, 60)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def anna(browser, server):
    person = Person(browser, server.address)
    yield person
    person.context.close()
    assert person.faults == []


def test_correct_by_hand_and_accept(anna, server):
    anna.open("case_a")
    anna.picture("open")
    before = anna.bitmap()
    canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), OBLIQUE))
    assert before.shape == canonical.shape
    assert np.array_equal(VALUES[before], label(server, "case_a")[0])

    anna.tool("b")
    anna.set("#size", 7)
    x, y, z = np.array(before.shape) // 2
    anna.stroke((x - 12, y - 9, z), (x + 6, y - 9, z))
    anna.saved()
    drawn = anna.bitmap()
    row = [(column, y - 9, z) for column in range(x - 12, x + 7)]
    expected = before.copy()
    expected[disc(before.shape, canonical.header.get_zooms(), row, 3.5, axis=2)] = 1
    assert np.array_equal(drawn, expected)
    assert not np.array_equal(drawn, before)

    anna.tool("2")
    anna.tool("c")
    anna.answered(lambda: anna.click((x, y - 14, z)))
    anna.saved()
    clicked = anna.bitmap()
    assert clicked[x, y - 14, z] == 2
    anna.picture("clicks")
    anna.page.keyboard.press("Control+z")
    anna.saved()
    assert np.array_equal(anna.bitmap(), drawn)
    anna.page.keyboard.press("Control+y")
    assert np.array_equal(anna.bitmap(), clicked)
    anna.page.keyboard.press("Control+z")
    anna.saved()

    anna.page.keyboard.press("Control+Enter")
    anna.page.select_option("#reason", "leak")
    anna.page.get_by_role("button", name="Send", exact=True).click()
    anna.says("version 2 saved")
    saved, affine = label(server, "case_a")
    assert np.array_equal(saved, VALUES[drawn])
    assert np.allclose(affine, OBLIQUE, atol=1e-5)
    version = requests.get(f"{server.address}api/cases/case_a", timeout=10).json()["versions"][-1]
    assert (version["user"], version["voxels_changed"]) == ("Anna", int((drawn != before).sum()))

    following = anna.until("review.openCase() !== 'case_a' && review.openCase()")
    anna.page.keyboard.press("a")
    anna.says(f"{following}: accepted")
    assert requests.get(f"{server.address}api/cases/{following}", timeout=10).json()["state"] == "accepted"
    anna.until(f"review.openCase() && review.openCase() !== {following!r}")
    assert {url.split("/")[2] for url in anna.requests if not url.startswith(("data:", "blob:"))} == {
        server.address.split("/")[2]
    }


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


def test_threshold_brush_keeps_to_its_range(anna, server):
    anna.open("case_c")
    scan = nibabel.as_closest_canonical(
        nibabel.Nifti1Image.from_bytes(requests.get(f"{server.address}api/cases/case_c/volume.nii", timeout=10).content)
    ).get_fdata()
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


def test_versions_are_compared(anna, server):
    address = f"{server.address}api/cases/case_h/label"
    first = requests.get(f"{address}.nii?version=1", timeout=10).content
    image = nibabel.Nifti1Image.from_bytes(first)
    changed = np.asarray(image.dataobj).copy()
    changed[changed == 300] = 7
    changed[:10] = 0
    content = nibabel.Nifti1Image(changed, image.affine, image.header).to_bytes()
    requests.put(address, data=content, headers={"If-Match": '"1"', "X-User": "Ben"}, timeout=10).raise_for_status()
    anna.open("case_h")
    newest = anna.bitmap()
    anna.page.select_option("#compare", "1")
    text = anna.until("document.getElementById('difference').textContent")
    old, new = ras(first), VALUES[newest]
    dice = 2 * ((old == 7) & (new == 7)).sum() / ((old == 7).sum() + (new == 7).sum())
    assert text == f"{(old != new).sum()} voxels differ; Dice: core {dice:.3f}, rim 0.000"
    anna.page.keyboard.press("d")
    anna.until("!document.getElementById('beside-pane').hidden && document.getElementById('beside-title').textContent")
    anna.picture("versions")
    anna.page.keyboard.down("g")
    assert np.array_equal(anna.bitmap(), newest)
    anna.page.keyboard.up("g")
    anna.page.keyboard.press("d")


def test_two_windows_of_one_person(anna, server):
    anna.open("case_g")
    centre = np.array(anna.bitmap().shape) // 2
    former, anna.page = anna.page, anna.new_window()
    anna.open("case_g")
    for page, offset in ((former, 9), (anna.page, -9)):
        later, anna.page = anna.page, page
        anna.tool("b")
        anna.stroke(centre - (offset, offset, 0), centre - (offset - 3, offset, 0))
        if page is former:
            anna.saved()
        anna.page = later
    anna.says("Another window of yours saved a newer draft")
    assert not anna.page.evaluate("review.saved()")
    anna.page.get_by_role("button", name="Keep what is on this screen").click()
    anna.saved()
    draft = requests.get(f"{server.address}api/cases/case_g/draft", headers={"X-User": "Anna"}, timeout=10)
    assert np.array_equal(ras(draft.content), VALUES[anna.bitmap()])
    anna.page.close()
    anna.page = former


def _draft(server, case):
    return requests.get(f"{server.address}api/cases/{case}/draft", headers={"X-User": "Anna"}, timeout=10)


def test_window_without_answers_replaces_nothing_unseen(anna, server):
    """It counts on while it gets no answer, draws on after it was told, and discards: another window's draft stays."""
    unanswered = re.compile(r"/draft\?")
    anna.open("case_d")
    centre = np.array(anna.bitmap().shape) // 2
    former, anna.page = anna.page, anna.new_window()
    anna.open("case_d")
    anna.page, later = former, anna.page
    anna.page.route(unanswered, lambda route: route.abort())
    anna.tool("b")
    anna.stroke(centre - (9, 9, 0), centre - (6, 9, 0))
    anna.until("document.getElementById('saved').textContent.includes('trying again')")
    anna.page = later
    anna.tool("b")
    anna.stroke(centre - (-6, -9, 0), centre - (-9, -9, 0))
    anna.saved()
    acknowledged = VALUES[anna.bitmap()]
    anna.page = former
    anna.page.unroute(unanswered)
    anna.says("Another window of yours saved a newer draft")
    anna.stroke(centre - (9, 6, 0), centre - (6, 6, 0))
    anna.until("document.getElementById('saved').dataset.state === 'conflict'")
    anna.page.evaluate("window.dispatchEvent(new Event('online'))")
    anna.page.click("#discard")
    anna.page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    anna.says("Another window")
    assert np.array_equal(ras(_draft(server, "case_d").content), acknowledged)
    assert not anna.page.evaluate("review.saved()")
    anna.page.get_by_role("button", name="Load the newer draft").click()
    anna.until("review.openCase() === 'case_d' && review.saved()")
    assert np.array_equal(VALUES[anna.bitmap()], acknowledged)
    later.close()


def test_two_people_are_told(anna, browser, server):
    ben = Person(browser, server.address, "Ben")
    try:
        for person in (anna, ben):
            person.open("case_e")
            person.tool("b")
        ben.says("Anna has this case open too")
        centre = np.array(anna.bitmap().shape) // 2
        anna.stroke(centre - (9, 9, 0), centre - (5, 9, 0))
        anna.saved()
        ben.stroke(centre + np.array((5, 9, 0)), centre + np.array((9, 9, 0)))
        ben.saved()
        hers, his = anna.bitmap(), ben.bitmap()
        for person in (ben, anna):
            person.page.keyboard.press("Control+Enter")
            person.page.get_by_role("button", name="Send", exact=True).click()
            if person is ben:
                ben.says("version 2 saved")
        anna.until("document.getElementById('dialog-title').textContent === 'Somebody was quicker'")
        assert np.array_equal(label(server, "case_e")[0], VALUES[his])
        anna.picture("two-people")
        anna.page.get_by_role("button", name="Save mine as the newest").click()
        anna.says("version 3 saved")
        assert np.array_equal(label(server, "case_e")[0], VALUES[hers])
    finally:
        ben.context.close()


def test_keys_alone(anna):
    anna.open("case_b")
    anna.page.locator("#cases").focus()
    anna.page.keyboard.press("Home")
    anna.page.keyboard.press("End")
    last = anna.page.locator("#cases li.at").get_attribute("data-id")
    anna.page.keyboard.press("Enter")
    anna.until(f"review.openCase() === {last!r}")
    anna.page.locator("#scan").focus()
    for key, name in (("b", "Brush"), ("e", "Eraser"), ("s", "Scribbles"), ("x", "Box"), ("v", "Look")):
        anna.page.keyboard.press(key)
        assert anna.page.locator("#tools [aria-checked=true]").text_content() == name
    slices = [anna.page.evaluate("review.position()")[2]]
    for key in ("ArrowUp", "ArrowUp", "ArrowDown"):
        anna.page.keyboard.press(key)
        slices.append(anna.page.evaluate("review.position()")[2])
    assert list(np.diff(slices)) == [1, 1, -1]
    anna.page.keyboard.press("?")
    keys = anna.page.locator("#dialog-body kbd").all_text_contents()
    assert len(keys) == len(set(keys)) > 30
    documented = (ROOT / "docs" / "how-to" / "review-page.md").read_text(encoding="utf-8").partition("## Keys")[2]
    assert {key for key in keys if not key.isdigit() and f"`{key}`" not in documented} == set()
    anna.page.keyboard.press("Escape")
    assert not anna.page.locator("#dialog").is_visible()


def test_next_version_and_monitoring_open(anna):
    anna.open("case_b")
    for name, title, word in (
        ("Next version", "Next version of the network", "fixed test cases"),
        ("Monitoring", "Monitoring, the last 90 days", "Audit trail"),
    ):
        anna.page.get_by_role("button", name=name).click()
        anna.until(f"document.getElementById('dialog-title').textContent === {title!r}")
        assert word in anna.page.locator("#dialog-body").text_content()
        anna.page.keyboard.press("Escape")


def test_every_control_has_a_name(anna):
    anna.open("case_b")
    unnamed = anna.page.evaluate(
        """[...document.querySelectorAll('button, input, select, textarea, canvas:not(.marks)')]
             .filter((e) => !e.textContent.trim() && !e.getAttribute('aria-label') && !e.labels?.length)
             .map((e) => e.outerHTML)"""
    )
    assert unnamed == []
