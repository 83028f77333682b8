"""Several people, or several windows of one, at once: what was acknowledged is what is kept."""

import nibabel
import numpy as np
import pytest
import review_load
import review_load_checks
from page_browser import Server
from review_phantoms import SHAPE, label_file

from review.corrections import correct
from review.errors import ConflictError
from review.store import drafts
from review.store.cases import get_case
from review.store.drafts import Draft, read_draft, remove_draft, save_draft

CASE = "case_a"


@pytest.fixture
def store(segmented):
    return segmented.database, segmented.workspace


def _files(segmented):
    return sorted(segmented.workspace.draft(CASE, "", 0).parent.iterdir())


def test_of_two_windows_that_save_the_same_number_one_is_kept(segmented, store, monkeypatch):
    write = drafts.write_durably

    def other_window_first(path, content):
        monkeypatch.setattr(drafts, "write_durably", write)
        save_draft(*store, CASE, Draft("Anna", 1, 1, ""), b"acknowledged")
        write(path, content)

    monkeypatch.setattr(drafts, "write_durably", other_window_first)
    with pytest.raises(ConflictError):
        save_draft(*store, CASE, Draft("Anna", 1, 1, ""), b"refused")
    assert read_draft(*store, CASE, "Anna")[1] == b"acknowledged"
    assert len(_files(segmented)) == 1


def test_draft_saved_while_the_former_is_removed_stays(segmented, store, monkeypatch):
    save_draft(*store, CASE, Draft("Anna", 1, 1, ""), b"former")
    remove = drafts._remove

    def save_then_remove(path):
        monkeypatch.setattr(drafts, "_remove", remove)
        save_draft(*store, CASE, Draft("Anna", 1, 2, ""), b"new")
        remove(path)

    monkeypatch.setattr(drafts, "_remove", save_then_remove)
    remove_draft(*store, CASE, "Anna")
    assert read_draft(*store, CASE, "Anna")[1] == b"new"
    assert len(_files(segmented)) == 1


def test_draft_that_is_replaced_while_it_is_removed_stays(store, monkeypatch):
    save_draft(*store, CASE, Draft("Anna", 1, 1, ""), b"former")
    look = drafts._row

    def look_then_save(database, case, user):
        row = look(database, case, user)
        monkeypatch.setattr(drafts, "_row", look)
        remove_draft(*store, CASE, "Anna")
        save_draft(*store, CASE, Draft("Anna", 1, 2, ""), b"new")
        return row

    monkeypatch.setattr(drafts, "_row", look_then_save)
    remove_draft(*store, CASE, "Anna")
    assert read_draft(*store, CASE, "Anna")[1] == b"new"


def test_draft_that_is_replaced_while_it_is_read_is_the_newer(store, monkeypatch):
    save_draft(*store, CASE, Draft("Anna", 1, 1, ""), b"former")
    read = drafts.read_limited

    def save_then_read(path, *limits):
        monkeypatch.setattr(drafts, "read_limited", read)
        save_draft(*store, CASE, Draft("Anna", 2, 1, ""), b"newer")
        return read(path, *limits)

    monkeypatch.setattr(drafts, "read_limited", save_then_read)
    draft, content = read_draft(*store, CASE, "Anna")
    assert (draft.seq, content) == (2, b"newer")


def test_file_for_other_programs_is_the_newest_version(segmented, monkeypatch):
    """Anna's version 2 is saved first, but its file comes after that of Ben's version 3."""
    from review import corrections

    case, write = get_case(segmented.database, CASE), corrections.write_final
    voxels = np.zeros(SHAPE, np.int16)
    voxels[:4] = 7
    hers = segmented.parse_labels(case, label_file(voxels))
    his = segmented.parse_labels(case, label_file(300 * (voxels == 0)))

    def ben_first(*given):
        monkeypatch.setattr(corrections, "write_final", write)
        correct(segmented, case, his, 2, "Ben")
        return write(*given)

    monkeypatch.setattr(corrections, "write_final", ben_first)
    correct(segmented, case, hers, 1, "Anna")
    final = nibabel.load(segmented.workspace.final(CASE, ".nii.gz"))
    assert np.array_equal(np.asarray(final.dataobj), 300 * (voxels == 0))


def test_many_clients_lose_and_overwrite_nothing(tmp_path, artifact):
    """A short run of the benchmark, pairs of clients under one name among them."""
    scans = review_load.make_scans(tmp_path / "scans", 2)
    server = Server(scans, artifact)
    try:
        clients = review_load.run(server.address, 8, 4.0, 0.0)
        assert review_load_checks.check(server.address, clients, tmp_path / "scans-review" / "final") == []
        assert sum(len(client.saved) for client in clients) > 0
    finally:
        server.stop()
