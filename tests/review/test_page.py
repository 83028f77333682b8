"""A correction on the page in a real browser, versions, windows and people, keys: nothing acknowledged is lost.

The screenshots of the documentation are made here: ``make screenshots`` keeps them.
"""

import re

import nibabel
import numpy as np
import requests
from page_browser import ROOT, Person
from page_cases import OBLIQUE, SHAPE, VALUES, disc, label, ras

CASES = ("case_a", "case_b", "case_d", "case_e", "case_g", "case_h")


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
