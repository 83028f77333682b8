"""A client that nobody here wrote: PyPI's ``monailabel``, installed without its dependencies, against a real server."""

import json
import threading

import nibabel
import numpy as np
import pytest
import SimpleITK
import uvicorn
from edge_artifacts import graded_scan, values_of
from monailabel.client import MONAILabelClient
from monailabel.client.client import MONAILabelClientException
from review_phantoms import OBLIQUE, SHAPE, label_file, wait_for
from starlette.testclient import TestClient

from review.server.app import create_app
from review.server.settings import Settings


class Running:
    """uvicorn in a thread, at a free port."""

    def __init__(self, app):
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self):
        self._thread.start()
        wait_for(lambda: self._server.started)
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def __exit__(self, *_):
        self._server.should_exit = True
        self._thread.join(10)


@pytest.fixture
def monai(segmented, tmp_path):
    (tmp_path / "client").mkdir()
    with Running(create_app(segmented)) as address:
        yield MONAILabelClient(address, tmpdir=str(tmp_path / "client"), client_id="Anna")


def lps(affine):
    return np.diag([-1, -1, 1, 1]) @ affine


def assert_lies_where_the_scan_does(image):
    """What ITK makes of a file is where the scan lies, in ITK's own LPS."""
    for corner in np.ndindex(2, 2, 2):
        index = [int(c * (n - 1)) for c, n in zip(corner, SHAPE, strict=True)]
        place = image.TransformIndexToPhysicalPoint(index)
        assert np.allclose(place, (lps(OBLIQUE) @ [*index, 1])[:3], atol=1e-3)


def write_label(path, voxels):
    """As 3D Slicer does: NRRD in LPS, by ITK."""
    image = SimpleITK.GetImageFromArray(voxels.transpose(2, 1, 0).astype(np.int16))
    affine = lps(OBLIQUE)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    SimpleITK.WriteImage(image, str(path))
    return str(path)


def test_the_whole_way(monai, tmp_path):
    info = monai.info()
    assert not monai.auth_enabled()
    assert info["labels"] == ["core", "rim"]
    assert info["models"]["graded"]["type"] == "segmentation"
    assert {model["type"] for model in info["models"].values()} == {"segmentation", "deepgrow", "deepedit", "scribbles"}
    sample = monai.next_sample("uncertainty", {})
    name = sample["id"]
    assert nibabel.load(sample["path"]).shape == SHAPE

    result, params = monai.infer("graded", name, {})
    expected = values_of(graded_scan(SHAPE, ["case_a", "case_b", "case_c"].index(name)))
    image = SimpleITK.ReadImage(result)
    assert np.array_equal(SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), expected)
    assert_lies_where_the_scan_does(image)
    assert params["label_names"] == {"core": 7, "rim": 300}
    assert monai.datastore()["objects"][name]["labels"].keys() == {"original"}

    session = monai.create_session(sample["path"])
    assert monai.get_session(session["session_id"])["name"] == session["session_id"]
    again, _ = monai.infer("graded", "", {}, session_id=session["session_id"])
    assert np.array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(again)).transpose(2, 1, 0), expected)
    monai.remove_session(session["session_id"])
    with pytest.raises(MONAILabelClientException, match="there is none"):
        monai.get_session(session["session_id"])

    corrected = expected.copy()
    corrected[2:6, 3:9, 4:7] = 7
    saved = monai.save_label(name, write_label(tmp_path / "mine.nrrd", corrected))
    assert saved["image"] == name
    assert monai.datastore()["objects"][name]["labels"].keys() == {"original", "final"}
    loaded = nibabel.load(monai.download_label(name, "final"))
    assert np.array_equal(np.asarray(loaded.dataobj), corrected)
    assert np.allclose(loaded.affine, OBLIQUE, atol=1e-4)
    assert monai.next_sample("random", {})["id"] != name

    assert monai.train_start("graded", {"max_epochs": 1})["status"] == "RUNNING"
    assert wait_for(lambda: monai.train_status()["status"] != "RUNNING")
    assert "accept or correct" in monai.train_status()["details"][-1]  # one case is too few
    assert monai.train_status(check_if_running=True) is False
    assert monai.train_stop() == {}


def test_image_uploaded_and_inferred_from_a_file(monai, tmp_path):
    path = str(tmp_path / "new.nii.gz")
    nibabel.save(nibabel.Nifti1Image(graded_scan(SHAPE, 5), OBLIQUE), path)
    assert monai.upload_image(path, "fresh") == {"image": "fresh"}
    result, _ = monai.infer("graded", "fresh", {})
    direct, _ = monai.infer("graded", "", {}, file=path)
    for file in (result, direct):
        labels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(file)).transpose(2, 1, 0)
        assert np.array_equal(labels, values_of(graded_scan(SHAPE, 5)))


def test_clicks_and_scribbles(monai, tmp_path):
    inside, outside = (
        np.argwhere(graded_scan(SHAPE, 0) == 1)[0].tolist(),
        np.argwhere(graded_scan(SHAPE, 0) == 0)[0].tolist(),
    )
    for model in ("clicks", "network-clicks"):
        params = {"foreground": [inside], "background": [outside], "label": "core"}
        result, answered = monai.infer(model, "case_a", params)
        labels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(result)).transpose(2, 1, 0)
        assert labels[tuple(inside)] == 7
        assert labels[tuple(outside)] == 0
        assert "core" in answered["label_names"]
    marks = np.zeros(SHAPE, int)
    marks[tuple(outside)], marks[tuple(inside)] = 3, 4  # n + 1 and n + 2 of two structures
    for model in ("graph-cut", "random-walker"):
        scribbled = write_label(tmp_path / f"{model}.nrrd", marks)
        result, _ = monai.infer(model, "case_a", {}, label_in=scribbled)
        labels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(result)).transpose(2, 1, 0)
        assert labels[tuple(inside)] == 7
        assert labels[tuple(outside)] == 0


def test_segments_that_slicer_numbers_by_their_order(monai, tmp_path):
    voxels = np.zeros(SHAPE, int)
    voxels[2:5, 2:5, 2:5], voxels[8:12, 8:12, 4:8] = 1, 2
    path = write_label(tmp_path / "slicer.nrrd", voxels)
    info = [{"name": "rim", "idx": 1}, {"name": "core", "idx": 2}]
    monai.save_label("case_b", path, params={"label_info": info})
    loaded = np.asarray(nibabel.load(monai.download_label("case_b", "final")).dataobj)
    assert np.array_equal(loaded, np.select([voxels == 1, voxels == 2], [300, 7]))
    with pytest.raises(MONAILabelClientException, match="expected one of background, core, rim"):
        monai.save_label("case_b", path, params={"label_info": [{"name": "liver", "idx": 1}]})
    for numbers in ((1, 1), (0, 2)):  # two structures of one number, the background's number
        given = [{"name": name, "idx": number} for name, number in zip(("rim", "core"), numbers, strict=True)]
        with pytest.raises(MONAILabelClientException, match="a number of its own for each of background, core, rim"):
            monai.save_label("case_b", path, params={"label_info": given})
    with pytest.raises(MONAILabelClientException, match=r"values 1, 2; expected 0"):
        monai.save_label("case_b", path)


def test_other_outputs_notes_and_tags(client, tmp_path):
    image = client.post("/infer/graded?image=case_a&output=image")
    assert image.content.startswith(b"NRRD")
    assert client.post("/infer/graded?image=case_a&output=json").json()["label_names"] == {"core": 7, "rim": 300}
    assert client.post("/infer/graded?image=case_a&output=dicom_seg").status_code == 422
    labels = label_file(np.zeros(SHAPE))
    files = {"label": ("/tmp/x/label.nii.gz", labels)}
    assert client.put("/datastore/label?image=case_a&tag=second", files=files).json()["tag"] == "second"
    assert client.head("/datastore/label?image=case_a&tag=second").status_code == 200
    assert client.head("/datastore/label?image=case_a&tag=final").status_code == 404
    noted = client.put("/datastore/updatelabelinfo?label=case_a&tag=second", data={"params": '{"level": "easy"}'})
    assert noted.json()["level"] == "easy"
    assert client.get("/datastore/label/info?label=case_a&tag=second").json()["level"] == "easy"
    assert client.put("/datastore/image/info?image=case_a", data={"info": '{"dose": 2}'}).json() == {"dose": 2}
    assert client.get("/datastore/image/info?image=case_a").json()["dose"] == 2
    assert client.get("/datastore/?output=stats").json()["total"] == 3
    assert client.get("/datastore/?output=train").json() == []
    sent = client.get("/datastore/image?image=case_a")
    import hashlib

    digest = hashlib.sha256(sent.content).hexdigest()
    assert client.head(f"/datastore/image?image=case_a&check_sum=SHA256:{digest}").status_code == 200
    assert client.head("/datastore/image?image=case_a&check_sum=SHA256:00").status_code == 404
    assert client.delete("/datastore/label?id=case_a&tag=second").status_code == 403
    assert client.get("/logs/").text.count("\n") > 3


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("post", "/infer/none?image=case_a", 404),
        ("post", "/infer/graded?image=case_x", 404),
        ("post", "/infer/graded", 422),
        ("post", "/infer/graded?image=case_a&output=mesh", 422),
        ("post", "/infer/graph-cut?image=case_a", 422),
        ("post", "/infer/clicks?image=case_a", 422),
        ("post", "/activelearning/psychic", 422),
        ("put", "/datastore/label?image=case_a", 422),
        ("put", "/datastore/label?image=case_a&tag=../../x", 422),
        ("put", "/datastore/image", 422),
        ("put", "/session/", 422),
        ("get", "/session/none", 404),
        ("get", "/datastore/?output=everything", 422),
        ("get", "/datastore/label?label=case_a&tag=final", 404),
        ("post", "/scoring/charm", 404),
        ("get", "/scoring/", 404),
        ("post", "/batch/infer/clicks", 422),
        ("get", "/auth/", 404),
    ],
)
def test_wrong_requests_are_one_line(client, method, path, status):
    answer = getattr(client, method)(path)
    assert answer.status_code == status
    assert "\n" not in answer.json()["error"]


def test_bad_labels_and_forms(client):
    for content, words in ((b"NRRD0004\ngarbage", "the label"), (label_file(np.zeros((3, 3, 3))), "shape (3, 3, 3)")):
        answer = client.put("/datastore/label?image=case_a", files={"label": ("x.nrrd", content)})
        assert answer.status_code == 400
        assert words in answer.json()["error"]
    answer = client.put(
        "/datastore/label?image=case_a", files={"label": ("x", label_file(np.zeros(SHAPE)))}, data={"params": "{"}
    )
    assert answer.status_code == 400
    assert client.get("/api/cases/case_a").json()["version"] == 1


def test_scoring_and_batch(client):
    client.post("/api/cases/case_a/decision", json={"action": "accept", "version": 1})
    assert client.post("/scoring/dice").json()["status"] in ("RUNNING", "DONE")
    done = wait_for(lambda: client.get("/scoring/").json() if client.get("/scoring/").json()["end_ts"] else None)
    assert done["result"]["core"] == {"mean": 1.0, "n": 1}
    client.post("/batch/infer/graded?images=all")
    wait_for(lambda: client.get("/batch/infer").json()["status"] == "DONE")
    assert client.get("/api/cases/case_a").json()["version"] == 1
    assert client.get("/api/cases/case_b").json()["version"] == 2


def test_token_by_password(segmented):
    token = "0123456789abcdef0123"
    with TestClient(create_app(segmented, Settings(token=token))) as calls:
        assert calls.get("/auth/").json()["enabled"] is True
        assert calls.post("/auth/token", data={"username": "a", "password": "b"}).status_code == 401
        given = calls.post("/auth/token", data={"username": "a", "password": token}).json()
        headers = {"Authorization": f"{given['token_type']} {given['access_token']}"}
        assert calls.get("/auth/token/valid").status_code == 401
        assert calls.get("/auth/token/valid", headers=headers).status_code == 200
        assert calls.get("/info/", headers=headers).status_code == 200


@pytest.mark.parametrize("model", ["clicks", "network-clicks", "graph-cut"])
@pytest.mark.parametrize(
    "params",
    [
        {"label": []},
        {"label": {"a": 1}},
        {"label_info": 5},
        {"label_info": [{"name": [], "id": 1}]},
        {"label_info": [{"name": {}, "idx": 1}]},
        {"background": 5},
        {"foreground": {"a": 1}},
        {"core": 7},
    ],
)
def test_parameters_of_another_type(client, model, params):
    label = {"label": ("l.nii.gz", label_file(np.zeros(SHAPE, int)))}
    for method, path in (("post", f"/infer/{model}?image=case_a"), ("put", "/datastore/label?image=case_a&tag=x")):
        answer = client.request(method, path, data={"params": json.dumps(params)}, files=label)
        assert answer.status_code < 500, answer.text


def test_half_a_letter(client):
    content = b'{"action": "reject", "version": 1, "reason": "\\ud800"}'
    answer = client.post("/api/cases/case_a/decision", content=content)
    assert answer.status_code == 400
    assert "surrogates not allowed" in answer.json()["error"]


@pytest.mark.parametrize("value", ['"\\ud800"', "NaN", "1e999"])
def test_a_note_that_cannot_be_told_again(client, value):
    """Once kept, it would spoil every later answer of the datastore."""
    for path in ("/datastore/image/info?image=case_a", "/datastore/label/info?label=case_a&tag=original"):
        answer = client.put(path, data={"info": f'{{"a": {value}}}'}, files={"x": b""})
        assert answer.status_code == 400, answer.text
    assert client.get("/datastore/?output=all").status_code == 200


def test_an_answer_is_one_line(client):
    answer = client.get("/api/cases/case_a/draft?of=%0d%0aX")
    assert answer.status_code == 404
    assert answer.json()["error"].isprintable()
