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

        # The browser too is killed, with a stroke that the server never got.
        server.kill()
        anna.stroke(centre - (8, 0, 0), centre + np.array((8, 0, 0)))
        anna.until("document.getElementById('saved').textContent.includes('trying again')")
        last = anna.bitmap()
        anna.page.close()
        server.start()
        anna.page = anna.new_window()
        anna.open("case")
        assert np.array_equal(anna.bitmap(), last)
        anna.saved()
        draft = requests.get(f"{server.address}api/cases/case/draft", headers={"X-User": "Anna"}, timeout=10)
        assert np.array_equal(ras(draft.content), VALUES[last])
        assert anna.faults == []
    finally:
        anna.context.close()
        server.stop()
