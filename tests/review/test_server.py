"""The paths of the page against phantoms: what is drawn is what is kept, voxel for voxel."""

import json
import sqlite3

import nibabel
import numpy as np
import pytest
from edge_artifacts import graded_scan, values_of
from review_phantoms import OBLIQUE, SHAPE, label_file, read_nifti

CASE = "/api/cases/case_a"


def expected_labels(seed=0):
    return values_of(graded_scan(SHAPE, seed))


def drawn(client, change=np.s_[2:6, 3:9, 4:7], value=7):
    """The newest labels with a box of one class drawn over them."""
    labels, _ = read_nifti(client.get(f"{CASE}/label.nii").content)
    labels = labels.copy()
    labels[change] = value
    return labels


def test_worklist_and_case(client):
    answer = client.get("/api/cases")
    assert answer.status_code == 200
    assert [case["id"] for case in answer.json()["cases"]] == ["case_a", "case_b", "case_c"]
    assert answer.json()["counts"] == {"segmented": 3}
    again = client.get("/api/cases", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code in (200, 304)
    case = client.get(CASE).json()
    assert case["shape"] == list(SHAPE)
    assert case["versions"][0]["kind"] == "network"
    assert np.allclose(case["affine"], OBLIQUE, atol=1e-4)
    info = client.get("/api/info").json()
    assert [label["value"] for label in info["labels"]] == [0, 7, 300]


def test_volume_and_label_are_the_scan_and_its_segmentation(client):
    voxels, affine = read_nifti(client.get(f"{CASE}/volume.nii").content)
    assert np.array_equal(voxels, graded_scan(SHAPE, 0))
    assert np.allclose(affine, OBLIQUE, atol=1e-4)
    labels, affine = read_nifti(client.get(f"{CASE}/label.nii").content)
    assert np.array_equal(labels, expected_labels())
    assert np.allclose(affine, OBLIQUE, atol=1e-4)


def test_correction_by_draft_is_kept_voxel_for_voxel(client, segmented):
    labels = drawn(client)
    saved = client.put(f"{CASE}/draft?base=1&seq=1", content=label_file(labels))
    assert saved.status_code == 200
    assert saved.json()["draft"]["user"] == "Anna"
    decision = {"action": "correct", "version": 1, "reason": "leak", "seconds": 12.5}
    done = client.post(f"{CASE}/decision", json=decision).json()
    changed = int((labels != expected_labels()).sum())
    assert done["version"] == 2
    assert done["voxels_changed"] == changed > 0
    before = expected_labels() == 7
    overlap = 2 * (before & (labels == 7)).sum() / (before.sum() + (labels == 7).sum())
    assert done["dice"]["core"] == pytest.approx(overlap)
    final = nibabel.load(segmented.workspace.root / "final" / "case_a.nii.gz")
    assert np.array_equal(np.asarray(final.dataobj), labels)
    assert np.allclose(final.affine, OBLIQUE, atol=1e-4)
    case = client.get(CASE).json()
    assert case["state"] == "corrected"
    assert case["draft"] is None
    assert case["user"] == "Anna"
    first, _ = read_nifti(client.get(f"{CASE}/label.nii?version=1").content)
    assert np.array_equal(first, expected_labels())


def test_two_people_on_one_case_are_told(client):
    ben = {"X-User": "Ben"}
    client.post(f"{CASE}/presence", json={"open": True}, headers=ben)
    assert [viewer["user"] for viewer in client.post(f"{CASE}/presence").json()["others"]] == ["Ben"]
    first = client.put(f"{CASE}/label", content=label_file(drawn(client)), headers={"If-Match": '"1"', **ben})
    assert first.json()["version"] == 2
    client.put(f"{CASE}/draft?base=1&seq=5", content=label_file(drawn(client, value=300)))
    late = client.post(f"{CASE}/decision", json={"action": "correct", "version": 1})
    assert late.status_code == 412
    assert late.json()["version"] == 2
    assert late.json()["user"] == "Ben"
    assert client.get(f"{CASE}/draft").headers["x-seq"] == "5"  # nothing is lost


def test_draft_of_an_old_tab_is_refused(client):
    content = label_file(drawn(client))
    assert client.put(f"{CASE}/draft?base=1&seq=4", content=content).status_code == 200
    old = client.put(f"{CASE}/draft?base=1&seq=4", content=content)
    assert old.status_code == 409
    assert old.json()["seq"] == 4
    assert client.delete(f"{CASE}/draft").status_code == 204
    assert client.get(f"{CASE}/draft").status_code == 404


def test_label_that_lies_in_another_order_is_turned(client):
    image = nibabel.Nifti1Image.from_bytes(label_file(drawn(client), compressed=False))
    turned = image.as_reoriented([[1, -1], [0, 1], [2, -1]])
    answer = client.put(f"{CASE}/label", content=turned.to_bytes(), headers={"If-Match": "1"})
    assert answer.status_code == 200
    labels, _ = read_nifti(client.get(f"{CASE}/label.nii").content)
    assert np.array_equal(labels, np.asarray(image.dataobj))


def _bad_labels():
    good = np.zeros(SHAPE)
    yield "shape", label_file(np.zeros((20, 24, 11))), "shape (20, 24, 11)"
    yield "value", label_file(good + 3), "values 3; expected 0 (background), 7 (core), 300 (rim)"
    yield "geometry", label_file(good, np.diag([1, 1, 1, 1])), "lies up to"
    yield "truncated", label_file(good)[:-20], "truncated"
    yield "garbage", b"\x93NUMPY" * 100, "is not a NIfTI file"
    yield "empty", b"", "is empty"


@pytest.mark.parametrize(("content", "words"), [pytest.param(*rest, id=name) for name, *rest in _bad_labels()])
def test_bad_labels_are_refused_and_the_draft_stays(client, content, words):
    client.put(f"{CASE}/draft?base=1&seq=1", content=label_file(drawn(client)))
    for answer in (
        client.put(f"{CASE}/label", content=content, headers={"If-Match": "1"}),
        client.put(f"{CASE}/draft?base=1&seq=2", content=content),
    ):
        assert answer.status_code == 400
        assert words in answer.json()["error"]
        assert "/" not in answer.json()["error"]  # no path of the server
    assert client.get(f"{CASE}/draft").headers["x-seq"] == "1"
    assert client.get(CASE).json()["version"] == 1


def test_decisions(client):
    assert client.post(f"{CASE}/decision", json={"action": "reject", "version": 1}).status_code == 422
    assert client.post(f"{CASE}/decision", json={"action": "correct", "version": 1}).status_code == 409
    assert client.post(f"{CASE}/decision", json={"action": "accept", "version": 9}).status_code == 412
    assert client.post(f"{CASE}/decision", json={"action": "paint", "version": 1}).status_code == 422
    assert client.post(f"{CASE}/decision", content=b"{").status_code == 400
    accepted = client.post(f"{CASE}/decision", json={"action": "accept", "version": 1, "seconds": 3})
    assert accepted.json()["case"]["state"] == "accepted"
    assert client.get("/api/cases").json()["cases"][-1]["id"] == "case_a"  # it needs nobody any more
    reopened = client.post(f"{CASE}/decision", json={"action": "reopen", "version": 1})
    assert reopened.json()["case"]["state"] == "segmented"


def test_unknown_things_are_404(client):
    for path in ("case_x", "..%2f..%2fetc%2fpasswd", "%00", "case_a%2f..%2fcase_b"):
        answer = client.get(f"/api/cases/{path}")
        assert answer.status_code == 404
        assert answer.json()["error"]
    assert client.get(f"{CASE}/label.nii?version=7").status_code == 404
    assert client.get(f"{CASE}/volume.nii?channel=4").status_code == 404
    for path in (f"{CASE}/label.nii?version={10**30}", f"/api/artifacts/{10**30}/card"):
        assert "64 bits" in client.get(path).json()["error"]
    assert client.get("/api/nothing").json() == {"error": "Not Found"}
    assert client.get("/api/cases?sort=size").status_code == 422
    assert client.get("/api/cases?limit=x").status_code == 422


def test_audit_trail_is_append_only_and_csv(client, segmented):
    client.post(f"{CASE}/decision", json={"action": "reject", "version": 1, "reason": '=cmd|" calc"'})
    rows = client.get("/api/audit.csv").text.splitlines()
    assert rows[0] == "number,time,user,action,case,version,artifact,details"
    assert any(",Anna,reject,case_a,1," in row for row in rows)
    with sqlite3.connect(segmented.workspace.database) as connection:
        for statement in ("UPDATE audit SET user = 'Eve'", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
    connection.close()


def test_changes(client):
    counter = client.get("/api/changes").json()["counter"]
    assert client.get(f"/api/changes?since={counter}").json()["cases"] == []
    client.post(f"{CASE}/decision", json={"action": "accept", "version": 1})
    assert client.get(f"/api/changes?since={counter}").json()["cases"] == ["case_a"]


def test_full_disk_loses_nothing(client, monkeypatch):
    client.put(f"{CASE}/draft?base=1&seq=1", content=label_file(drawn(client)))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert client.put(f"{CASE}/draft?base=1&seq=2", content=label_file(drawn(client))).status_code == 503
    answer = client.post(f"{CASE}/decision", json={"action": "correct", "version": 1})
    assert answer.status_code == 503
    assert "No space left" in answer.json()["error"]
    monkeypatch.undo()
    assert client.get(f"{CASE}/draft").headers["x-seq"] == "1"
    assert client.post(f"{CASE}/decision", json={"action": "correct", "version": 1}).json()["version"] == 2


def test_locked_database_is_told(client, segmented):
    segmented.database._connection.execute("PRAGMA busy_timeout=50")
    holder = sqlite3.connect(segmented.workspace.database, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    answer = client.put(f"{CASE}/draft?base=1&seq=1", content=label_file(drawn(client)))
    assert answer.status_code == 503
    assert "locked" in answer.json()["error"]
    holder.execute("ROLLBACK")
    holder.close()
    assert client.put(f"{CASE}/draft?base=1&seq=1", content=label_file(drawn(client))).status_code == 200


def test_upload_limit(client, monkeypatch):
    monkeypatch.setenv("MEDSEG_MAX_BYTES", "1KB")
    answer = client.put(f"{CASE}/draft?base=1&seq=1", content=bytes(5000))
    assert answer.status_code == 413
    assert "MEDSEG_MAX_BYTES" in answer.json()["error"]


def test_upload_of_a_scan(client, segmented, tmp_path):
    nibabel.save(nibabel.Nifti1Image(graded_scan(SHAPE, 5), OBLIQUE), tmp_path / "new.nii.gz")
    content = (tmp_path / "new.nii.gz").read_bytes()
    made = client.post("/api/cases", files={"file": ("../../new.nii.gz", content)})
    assert made.status_code == 201
    assert made.json()["case"]["id"] == "new"
    assert client.post("/api/cases", files={"file": ("new.nii.gz", content)}).status_code == 409
    bad = client.post("/api/cases", files={"file": ("bad.nii.gz", content[:50])})
    assert bad.status_code == 400
    assert client.get("/api/cases/bad").status_code == 404
    segmented.look_for_cases()
    assert client.get("/api/cases/new").status_code == 200  # it does not lie in the folder, and stays


def test_openapi_is_json(client):
    assert "/api/cases/{case_id}/draft" in json.loads(client.get("/api/openapi.json").text)["paths"]
