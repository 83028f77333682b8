"""HTTP beside the DICOM service, asked by requests; measures read by Prometheus' own parser."""

import io
import shutil

import cv2
import numpy as np
import pytest
import requests
import schemathesis
from described import draw_requests
from edge_artifacts import graded_scan
from node_parts import config_text, free_port, phantom, quick_artifact, scan_sent, until
from prometheus_client.parser import text_string_to_metric_families
from schemathesis import GenerationMode

import edge
import imaging
from edge.node.config import read_config
from edge.node.service import Node
from edge.trust.fingerprint import make_fingerprint
from imaging.io.dicom import choose, find_series, read_dicom_labels, read_series
from medseg import record
from medseg.errors import InputError

TOKEN = "a-token-of-letters"


def fingerprinted(folder):
    """The quick artifact with a fingerprint of other scans: those with twice the spacing."""
    artifact = quick_artifact(folder)
    manifest = record.load(artifact / "manifest.json", edge.Manifest)
    segmenter = edge.load(artifact)
    affine = np.diag([2.0, 2, 2, 1])
    bare = make_fingerprint([{"spacing, smallest": 2.0 + n / 100} for n in range(6)])
    record.save(artifact / "manifest.json", edge.Manifest(**{**manifest.__dict__, "training": bare}))
    assert segmenter.predict(imaging.Scan(graded_scan((8, 8, 8))[..., None], affine)).features == {}
    return artifact


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A running node with HTTP and a token, whose archive is away."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "token").write_text(TOKEN)
    http = f'port = {free_port()}\ntoken_file = "token"\nmax_mb = 1'
    text = config_text(folder / "state", fingerprinted(folder), (free_port(), free_port()))
    (folder / "node.toml").write_text(text.replace("[http]\nport = 0", f"[http]\n{http}"))
    with Node(read_config(folder / "node.toml")) as running:
        yield running


@pytest.fixture
def ask(node):
    """A function that asks the node with its token."""
    base = f"http://127.0.0.1:{node.config.http.port}"

    def call(path, method="get", **options):
        headers = {"Authorization": f"Bearer {TOKEN}"} | options.pop("headers", {})
        return requests.request(method, base + path, headers=headers, timeout=20, **options)

    return call


def done(ask, number):
    return until(lambda: (job := ask(f"/jobs/{number}").json())["state"] in ("done", "parked") and job)


def test_a_nifti_is_segmented(ask, tmp_path, node):
    imaging.write(tmp_path / "scan.nii.gz", imaging.Scan(graded_scan((12, 18, 10))[..., None], np.diag([2.0, 2, 2, 1])))
    with open(tmp_path / "scan.nii.gz", "rb") as file:
        posted = ask("/scans", "post", files={"scan": ("Secret Name.nii.gz", file)})
    assert posted.status_code == 202
    job = done(ask, posted.json()["id"])
    assert (job["state"], job["files"], job["deliveries"]) == ("done", ["labels.nii.gz", "overlay.png"], [])
    (tmp_path / "labels.nii.gz").write_bytes(ask(f"/jobs/{job['id']}/files/labels.nii.gz").content)
    expected = edge.load(node.config.rule[0].artifact).predict_file(tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(imaging.read_labels(tmp_path / "labels.nii.gz").voxels, expected.labels.voxels)
    assert job["volumes"] == pytest.approx(expected.volumes_ml)
    overlay = ask(f"/jobs/{job['id']}/overlay")
    assert cv2.imdecode(np.frombuffer(overlay.content, np.uint8), cv2.IMREAD_COLOR).ndim == 3
    assert not list(node.config.node.folder.rglob("*Secret*"))


def test_a_zip_of_dicom_is_segmented(ask, tmp_path):
    scans = phantom(tmp_path / "scan", seed=3)
    shutil.make_archive(tmp_path / "scan", "zip", scans)
    posted = ask("/scans?rule=graded", "post", files={"scan": ("a.zip", (tmp_path / "scan.zip").read_bytes())})
    job = done(ask, posted.json()["id"])
    assert job["files"] == ["labels.nii.gz", "overlay.png", "seg.dcm", "sr.dcm"]
    (tmp_path / "seg.dcm").write_bytes(ask(f"/jobs/{job['id']}/files/seg.dcm").content)
    (tmp_path / "labels.nii.gz").write_bytes(ask(f"/jobs/{job['id']}/files/labels.nii.gz").content)
    series = choose(find_series(scans))
    labels = imaging.read_labels(tmp_path / "labels.nii.gz")
    assert labels.shape == read_series(series).shape
    back = read_dicom_labels(tmp_path / "seg.dcm", series, {"core": 7, "rim": 300})
    np.testing.assert_array_equal(back.voxels, labels.voxels)


def test_bad_requests(ask, node):
    def post(name, content=b"x", query=""):
        return ask(f"/scans{query}", "post", files={"scan": (name, content)})

    assert post("scan.exe").status_code == 415
    answer = post("scan.nii", query="?rule=other")
    assert (answer.status_code, answer.json()["detail"]) == (422, "rule: expected one of graded, got 'other'")
    assert ask("/scans", "post", data={"a": "b"}).status_code == 422
    assert ask("/scans", "post", data=iter([b"chunk"])).status_code == 411
    too_large = ask("/scans", "post", files={"scan": ("a.nii", bytes(3 * 2**20))}, headers={"Connection": "close"})
    assert too_large.status_code == 413
    assert ask("/jobs/99999").status_code == 404
    assert ask("/jobs/x").status_code == 422
    assert ask(f"/jobs/{10**30}").status_code == 404
    assert ask("/jobs", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert ask("/jobs", headers={"Authorization": ""}).status_code == 401
    assert ask("/health", headers={"Authorization": ""}).json() == {"status": "ok"}
    for origin in ("https://elsewhere.example", "http://[", "null"):
        assert ask("/jobs", headers={"Origin": origin}).status_code == 403


def test_a_damaged_scan_is_parked_with_its_reason(ask):
    posted = ask("/scans", "post", files={"scan": ("zoe.nii.gz", b"no gzip at all")})
    job = done(ask, posted.json()["id"])
    assert job["state"] == "parked"
    assert "zoe" not in job["reason"]  # names of uploads are hexadecimal
    assert ask(f"/jobs/{job['id']}/overlay").status_code == 409
    assert ask(f"/jobs/{job['id']}/retry", "post", data=b"").json()["attempts"] in (0, 1)
    assert done(ask, job["id"])["state"] == "parked"


def test_names_lead_nowhere(ask):
    flat = cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1].tobytes()
    posted = ask("/scans", "post", files={"scan": ("a.png", flat)})
    assert done(ask, posted.json()["id"])["state"] == "parked"  # a volume is expected
    for name in ("%2e%2e%2fnode.sqlite", "..%2f..%2fnode.sqlite", "none"):
        assert ask(f"/jobs/1/files/{name}").status_code == 404


def test_measures(ask, node, tmp_path):
    before = len(node.database.rows("select * from jobs where state = 'done'"))
    assert scan_sent(node.config.dicom.port, phantom(tmp_path / "scan", seed=7)).returncode == 0
    until(lambda: len(node.database.rows("select * from jobs where state = 'done'")) == before + 1)
    text = ask("/metrics").text
    values = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert values["medseg_instances_received_total", ()] == 10
    assert values["medseg_jobs", (("state", "done"),)] == before + 1
    assert values["medseg_rule_jobs_total", (("rule", "graded"),)] == before + 1
    assert values["medseg_job_seconds_total", (("rule", "graded"),)] > 0
    assert values["medseg_flags_total", (("rule", "graded"),)] >= 1  # the phantom's spacing is unlike the fingerprint's
    key = (("feature", "spacing, smallest"), ("rule", "graded"))
    assert values["medseg_outside_share", key] > 0
    assert "NaN" not in text


def test_ready_says_what_is_wrong(ask, node, monkeypatch):
    assert ask("/ready").json() == {"ready": True, "problems": []}
    monkeypatch.setattr("edge.node.web.app.has_room", lambda *_: False)
    answer = ask("/ready")
    assert (answer.status_code, answer.json()["problems"]) == (503, ["the disk is full"])


def test_port_in_use(node, tmp_path):
    text = config_text(tmp_path / "state", quick_artifact(tmp_path), (free_port(), free_port()))
    port = node.config.http.port
    (tmp_path / "node.toml").write_text(text.replace("[http]\nport = 0", f"[http]\nport = {port}"))
    with pytest.raises(InputError, match=r"http.port: cannot listen on 127.0.0.1 port \d+ .*in use"):
        Node(read_config(tmp_path / "node.toml")).__enter__()


def test_images_of_a_flat_network(tmp_path):
    """Each image of a series goes through a 2D network by itself, with files of its own."""
    from dicom_files import US, image

    folder = tmp_path / "us"
    folder.mkdir()
    for number in (1, 2):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 50)).astype(np.uint8)
        made = image(pixels, number, US, Modality="US", FrameOfReferenceUID=None, PixelSpacing=[0.5, 0.5])
        made.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    text = config_text(tmp_path / "state", "unet-hc18", (free_port(), free_port())).replace('"MR"', '"US"')
    (tmp_path / "node.toml").write_text(text)
    with Node(read_config(tmp_path / "node.toml")) as running:
        assert scan_sent(running.config.dicom.port, folder).returncode == 0
        until(lambda: running.database.row("select 1 from jobs where state = 'done'"))
        rows = running.database.rows("select kind, file from deliveries")
    assert sorted(row["file"].rpartition("/")[2] for row in rows) == ["1-seg.dcm", "1-sr.dcm", "2-seg.dcm", "2-sr.dcm"]
    assert io.BytesIO((tmp_path / "state" / rows[0]["file"]).read_bytes()).read(132)[128:] == b"DICM"


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_requests_drawn_from_the_description(node, mode):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    schema = schemathesis.openapi.from_url(
        f"http://127.0.0.1:{node.config.http.port}/openapi.json", headers=headers, wait_for_schema=10
    )
    assert len(draw_requests(schema, mode, {"number": 1}, headers=headers)) >= 2
