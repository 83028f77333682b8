"""A server, then the browser too, killed in the middle: nothing that was acknowledged is lost."""

import nibabel
import numpy as np
import requests
from page_browser import Person, Server, phantom
from page_cases import OBLIQUE, SHAPE, VALUES, counts, ras
from review_phantoms import wait_for


def test_killed_server_loses_nothing_acknowledged(tmp_path, browser, artifact):
    folder = tmp_path / "scans"
    folder.mkdir()
    nibabel.save(nibabel.Nifti1Image(phantom(SHAPE, 1), OBLIQUE), folder / "case.nii.gz")
    server = Server(folder, artifact)
    anna = Person(browser, server.address)
    try:
        wait_for(lambda: counts(server).get("segmented"), 60)
        anna.open("case")
        anna.tool("b")
        centre = np.array(anna.bitmap().shape) // 2
        anna.stroke(centre - (8, 8, 0), centre - (3, 8, 0))
        anna.saved()
        acknowledged = anna.bitmap()
        server.kill()
        anna.stroke(centre + np.array((3, 8, 0)), centre + np.array((8, 8, 0)))
        anna.until("document.getElementById('saved').textContent.includes('trying again')")
        assert not anna.page.evaluate("review.saved()")
        unsent = anna.bitmap()

        server.start()
        draft = requests.get(f"{server.address}api/cases/case/draft", headers={"X-User": "Anna"}, timeout=10)
        assert np.array_equal(ras(draft.content), VALUES[acknowledged])
        anna.saved()
        draft = requests.get(f"{server.address}api/cases/case/draft", headers={"X-User": "Anna"}, timeout=10)
        assert np.array_equal(ras(draft.content), VALUES[unsent])

        # Two windows are killed, each with a stroke that the server never got: the newer is opened, the other offered.
        windows = [anna.page, anna.new_window()]
        anna.page = windows[1]
        anna.open("case")
        server.kill()
        lost = []
        for anna.page, away in zip(windows, ((8, 0, 0), (0, 8, 0)), strict=True):
            anna.page.bring_to_front()
            anna.tool("b")
            anna.stroke(centre - np.array(away), centre + np.array(away))
            anna.until("document.getElementById('saved').textContent.includes('trying again')")
            lost.append(anna.bitmap())
        for window in windows:
            window.close()
        server.start()
        anna.page = anna.new_window()
        anna.open("case")
        assert np.array_equal(anna.bitmap(), lost[1])
        anna.saved()
        anna.says("changes of another window")
        anna.page.get_by_text("Show them").click()
        anna.says("saved a newer draft")  # that of the other window, a moment ago
        assert np.array_equal(anna.bitmap(), lost[0])
        anna.page.get_by_text("Keep what is on this screen").click()
        anna.saved()
        draft = requests.get(f"{server.address}api/cases/case/draft", headers={"X-User": "Anna"}, timeout=10)
        assert np.array_equal(ras(draft.content), VALUES[lost[0]])
        assert anna.faults == []
    finally:
        anna.context.close()
        server.stop()
