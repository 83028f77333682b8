"""Files of strangers sent as labels and as scans: each is answered by one line, and nothing is kept of it."""

import itertools

from edge_artifacts import graded_scan
from hostile_scans import SCANS
from hostile_volumes import VOLUMES
from review_phantoms import SHAPE, label_file

from review.server.routes import cases

# Bombs take long to make; that they are told by their ratio is shown in tests/hostile. Voxels of odd sizes are a fault
# only for recipes that resample, which the network here has not.
_SIZES = ("nifti tiny voxels", "nifti huge voxels")
SENT = {
    name: entry
    for name, entry in SCANS.items()
    if "bomb" not in name and name not in _SIZES and entry[0] in (".nii", ".nii.gz")
}
NRRD = {name: entry for name, entry in VOLUMES.items() if entry[0].endswith(".nrrd") and "bomb" not in name}


def contents(tmp_path):
    for name, (suffix, make) in SENT.items():
        yield name, suffix, make()
    for number, (name, (file, make)) in enumerate(NRRD.items()):
        place = tmp_path / str(number)
        place.mkdir()
        make(place)
        if (place / file).is_file():
            yield name, ".nrrd", (place / file).read_bytes()


def one_line(answer, name):
    assert 400 <= answer.status_code < 500, name
    assert "\n" not in answer.json()["error"], name
    assert "/incoming/" not in answer.json()["error"], name


def test_labels_and_scans_of_strangers(client, segmented, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_MAX_BYTES", "256MB")
    count = 0
    for name, suffix, content in contents(tmp_path):
        count += 1
        one_line(client.put("/api/cases/case_a/draft?base=1&seq=1", content=content), name)
        form = {"label": (f"x{suffix}", content)}
        one_line(client.put("/datastore/label?image=case_a", files=form), name)
        one_line(client.post("/api/cases", files={"file": (f"bad{suffix}", content)}), name)
    assert count > 30
    assert client.get("/api/cases/case_a").json()["version"] == 1
    assert client.get("/api/cases").json()["total"] == 3
    assert not list(segmented.workspace.uploads.iterdir())
    assert not [path for path in segmented.workspace.incoming.iterdir() if path.name != "sessions"]


BODIES = (
    b"", b"[]", b"{", b"null", b'{"action": 5}', b'{"version": []}', b"[" * 100_000, b'{"a": NaN}', b"\xff\xfe\x00",
)  # fmt: skip
PATHS = (
    "/api/cases/case_a/decision", "/api/cases/case_a/tools/clicks", "/api/cases/case_a/presence", "/api/login",
    "/api/improve", "/api/improve/promote", "/activelearning/random", "/train/graded", "/infer/graded",
)  # fmt: skip


def test_json_of_strangers(client):
    for path, body in itertools.product(PATHS, BODIES):
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code < 500, (path, body[:20])
        if answer.status_code >= 400:
            assert "\n" not in answer.json()["error"], (path, body[:20])


def test_nothing_is_kept_of_a_scan_that_takes_too_much_memory(client, segmented, monkeypatch):
    def read(*_):
        raise MemoryError

    monkeypatch.setattr(cases, "read", read)
    answer = client.post("/api/cases", files={"file": ("new.nii", b"x")})
    assert answer.status_code == 503
    assert not list(segmented.workspace.uploads.iterdir())


def test_two_scans_of_one_name_at_one_moment(client, segmented, monkeypatch):
    """The second is told, and its removal does not take the first with it."""
    content = label_file(graded_scan(SHAPE), compressed=False)
    answers = []

    def slow(*arguments):
        if not answers:
            answers.append(None)
            answers[0] = client.post("/api/cases", files={"file": ("New.nii", b"no scan")})
        return read(*arguments)

    read = cases.read
    monkeypatch.setattr(cases, "read", slow)
    assert client.post("/api/cases", files={"file": ("new.nii", content)}).status_code == 201
    assert answers[0].status_code == 409
    assert [path.name for path in segmented.workspace.uploads.iterdir()] == ["new.nii"]
    assert client.post("/api/cases", files={"file": ("new.nii", content)}).status_code == 409
