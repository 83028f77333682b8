"""Several people, or several windows of one, at once: what was acknowledged is what is kept."""

import sqlite3

import nibabel
import numpy as np
import pytest
import review_load
import review_load_checks
from page_browser import Server
from review_phantoms import SHAPE, label_file

from review.corrections import correct, correct_by_draft
from review.errors import ConflictError
from review.store import drafts
from review.store.cases import get_case
from review.store.drafts import Draft, discard_draft, read_draft, remove_draft, save_draft

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


def test_larger_number_of_a_window_that_saw_nothing_replaces_nothing(store):
    """A window that got no answer counts on, past the number that another one saved meanwhile."""
    save_draft(*store, CASE, Draft("Anna", 5, 1, "", "left"), b"seen by both")
    save_draft(*store, CASE, Draft("Anna", 6, 1, "", "right"), b"acknowledged", "left/5")
    with pytest.raises(ConflictError, match="right/6") as refused:
        save_draft(*store, CASE, Draft("Anna", 7, 1, "", "left"), b"unseeing")
    assert refused.value.facts == {"seq": 6, "window": "right"}
    assert read_draft(*store, CASE, "Anna")[1] == b"acknowledged"
    save_draft(*store, CASE, Draft("Anna", 7, 1, "", "left"), b"chosen", "right/6")
    save_draft(*store, CASE, Draft("Anna", 9, 1, "", "left"), b"of the same window")
    assert read_draft(*store, CASE, "Anna")[1] == b"of the same window"


def test_window_discards_only_what_it_has_seen(store):
    save_draft(*store, CASE, Draft("Anna", 6, 1, "", "right"), b"acknowledged")
    for window, seen in (("left", ""), ("left", "left/5"), ("", "right/5")):
        with pytest.raises(ConflictError, match="right/6"):
            discard_draft(*store, CASE, "Anna", window, seen)
    assert read_draft(*store, CASE, "Anna")[1] == b"acknowledged"
    discard_draft(*store, CASE, "Anna", "left", "right/6")
    discard_draft(*store, CASE, "Anna", "left")  # of none there is nothing to say
    assert store[0].row("SELECT * FROM drafts") is None


def _drawn(value, size=4):
    voxels = np.zeros(SHAPE, np.int16)
    voxels[:size] = value
    return label_file(voxels)


def test_draft_begun_while_a_correction_is_saved_stays(segmented, store, monkeypatch):
    """Its number is smaller, as numbers begin at 1 after a draft is gone."""
    from review import corrections

    save_draft(*store, CASE, Draft("Anna", 5, 1, "", "left"), _drawn(7))
    write = corrections.write_final

    def other_window_begins(*given):
        discard_draft(*store, CASE, "Anna", "left")
        save_draft(*store, CASE, Draft("Anna", 1, 1, "", "right"), _drawn(300))
        return write(*given)

    monkeypatch.setattr(corrections, "write_final", other_window_begins)
    correct_by_draft(segmented, get_case(segmented.database, CASE), 1, "Anna")
    assert read_draft(*store, CASE, "Anna")[0].mark == "right/1"


def test_correction_is_the_draft_that_the_window_sees(client):
    path = f"/api/cases/{CASE}"
    client.put(f"{path}/draft?base=1&seq=1&window=left", content=_drawn(7))
    replacing = client.put(f"{path}/draft?base=1&seq=2&window=right&seen=left/1", content=_drawn(300))
    assert replacing.status_code == 200
    decision = {"action": "correct", "version": 1}
    late = client.post(f"{path}/decision", json={**decision, "draft": "left/1"})
    assert late.status_code == 409
    assert (late.json()["seq"], late.json()["window"]) == (2, "right")
    assert client.get(f"{path}/draft").headers["x-window"] == "right"
    assert client.post(f"{path}/decision", json={**decision, "draft": "right/2"}).json()["version"] == 2


def test_label_sent_in_one_call_leaves_what_another_window_drew(client):
    path = f"/api/cases/{CASE}"
    client.put(f"{path}/draft?base=1&seq=2&window=right", content=_drawn(300))
    for version, query in ((1, ""), (2, "?draft=left/1"), (3, "?draft=right/1")):
        sent = client.put(f"{path}/label{query}", content=_drawn(7, version), headers={"If-Match": str(version)})
        assert sent.json()["version"] == version + 1
        assert client.get(f"{path}/draft").headers["x-seq"] == "2"


@pytest.mark.parametrize(("value", "query"), [(300, ""), (7, "?draft=right/2")])
def test_label_sent_in_one_call_takes_the_draft_that_it_was(client, value, query):
    path = f"/api/cases/{CASE}"
    client.put(f"{path}/draft?base=1&seq=2&window=right", content=_drawn(300))
    client.put(f"{path}/label{query}", content=_drawn(value), headers={"If-Match": "1"})
    assert client.get(f"{path}/draft").status_code == 404


def test_check_of_the_load_finds_a_lost_draft():
    """What was acknowledged and neither is kept, nor a version, nor was seen by what replaced it."""
    left, right = (review_load.Client("", "Anna") for _ in range(2))
    left.drafts = [(CASE, "left/1", "/0", 11), (CASE, "left/2", "left/1", 12)]
    right.drafts = [(CASE, "right/3", "left/1", 13)]
    detail = {"drafts": [{"user": "Anna", "window": "right", "seq": 3}]}
    lost = review_load_checks.check_lost_drafts(CASE, detail, {}, [left, right])
    assert lost == [f"{CASE}: draft left/2 of Anna was acknowledged and is lost"]
    assert review_load_checks.check_lost_drafts(CASE, detail, {2: 12}, [left, right]) == []


def test_database_of_an_older_review_learns_windows(tmp_path):
    from review.store import database
    from review.store.database import Database

    Database(tmp_path / "new.sqlite").close()
    with sqlite3.connect(tmp_path / "old.sqlite") as connection:
        connection.executescript(database._SCHEMA.replace(", window TEXT NOT NULL DEFAULT ''", ""))
        connection.execute("INSERT INTO cases (id, files, state, added, changed) VALUES ('a', '[]', 'x', '', '')")
        connection.execute(
            "INSERT INTO drafts (case_id, user, seq, base, saved, file) VALUES ('a', 'Anna', 4, 1, '', 'f')"
        )
        connection.execute("PRAGMA user_version=1")
    connection.close()
    opened = Database(tmp_path / "old.sqlite")
    assert drafts.drafts_of(opened) == {"a": [Draft("Anna", 4, 1, "")]}
    columns = "SELECT name FROM pragma_table_info('drafts')"
    new = Database(tmp_path / "new.sqlite")
    assert {row["name"] for row in opened.rows(columns)} == {row["name"] for row in new.rows(columns)}
    assert opened.row("PRAGMA user_version")["user_version"] == database.VERSION
    for each in (opened, new):
        each.close()


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
