"""The node between a scanner (dcmtk's storescu) and an archive (Orthanc), as processes of their own."""

import io
import subprocess

import highdicom
import numpy as np
import pydicom
import pytest
from node_parts import Orthanc, config_text, free_port, listens, phantom, quick_artifact, scan_sent, serving, until
from servers import program

import edge
import imaging
from edge.node.database import Database
from imaging.io.dicom import choose, find_series, read_dicom_labels, read_series


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return quick_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture
def parts(tmp_path, artifact):
    """Configuration file and ports of node and archive."""
    ports = free_port(), free_port()
    path = tmp_path / "node.toml"
    path.write_text(config_text(tmp_path / "state", artifact, ports))
    return path, ports


def labels_from_nifti(artifact, series, folder):
    """What the artifact says of the same volume in a NIfTI file."""
    imaging.write(folder / "same.nii.gz", read_series(series))
    return edge.load(artifact).predict_file(folder / "same.nii.gz").labels


def test_series_in_seg_and_report_out(parts, artifact, tmp_path):
    path, (port, archive_port) = parts
    scans = phantom(tmp_path / "scan", PatientName="Secret^Name", PatientID="SECRET-ID", StudyDate="Secret")
    with Orthanc(tmp_path / "archive", archive_port) as archive, serving(path) as node:
        until(lambda: listens(port))
        echo = subprocess.run(
            [str(program("storescu")).replace("storescu", "echoscu"), "-aet", "SCANNER", "-aec", "MEDSEG",
             "127.0.0.1", str(port)]
        )  # fmt: skip
        assert echo.returncode == 0
        sent = scan_sent(port, scans)
        assert sent.returncode == 0, sent.stderr
        held = until(lambda: (instances := archive.instances()) and len(instances) == 2 and instances)
        # The same series again, and a second one: two results, not three.
        assert scan_sent(port, scans).returncode == 0
        assert scan_sent(port, phantom(tmp_path / "second", seed=1)).returncode == 0
        both = until(lambda: (instances := archive.instances()) and len(instances.get("SR", ())) == 2 and instances)
        assert {kind: len(files) for kind, files in both.items()} == {"SEG": 2, "SR": 2}
        node.terminate()
        assert node.wait(20) == 0
    series = choose(find_series(scans))
    for kind in ("SEG", "SR"):
        (tmp_path / f"{kind}.dcm").write_bytes(held[kind][0])
        said = subprocess.run([program("dciodvfy"), tmp_path / f"{kind}.dcm"], capture_output=True, text=True)
        assert not [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
    expected = labels_from_nifti(artifact, series, tmp_path)
    values = {"core": 7, "rim": 300}
    back = read_dicom_labels(tmp_path / "SEG.dcm", series, values)
    np.testing.assert_array_equal(back.voxels, expected.voxels)
    assert len(np.unique(back.voxels)) == 3
    report = highdicom.sr.srread(io.BytesIO(held["SR"][0]))
    assert len(report.content.get_volumetric_roi_measurement_groups()) == 2
    assert pydicom.dcmread(io.BytesIO(held["SEG"][0])).PatientID == "SECRET-ID"
    # Nothing of the patient in logs or names.
    names = [str(file.relative_to(tmp_path)) for file in (tmp_path / "state").rglob("*")]
    log = path.with_suffix(".log").read_text()
    for word in ("Secret", "SECRET", series.uid):
        assert word not in log
        assert not [name for name in names if word in name]
    assert "Traceback" not in log


def test_killed_and_started_again(parts, tmp_path):
    path, (port, archive_port) = parts
    with serving(path) as node:
        until(lambda: listens(port))
        assert scan_sent(port, phantom(tmp_path / "scan")).returncode == 0
        node.kill()  # before the series is complete
        node.wait(20)
    with serving(path) as node:  # the archive is down: results wait
        until(lambda: listens(port))
        database = Database(tmp_path / "state")
        until(lambda: database.row("select 1 from deliveries where attempts > 0 and state = 'waiting'"))
        node.kill()
        node.wait(20)
    assert len(database.rows("select * from jobs where state = 'done'")) == 1
    with Orthanc(tmp_path / "archive", archive_port) as archive, serving(path):
        until(lambda: len(archive.instances()) == 2)
        until(lambda: not database.row("select 1 from deliveries where state != 'done'"))
    database.close()


def test_callers_that_are_not_allowed(parts, tmp_path):
    path, (port, _) = parts
    scans = phantom(tmp_path / "scan")
    with serving(path):
        until(lambda: listens(port))
        stranger = scan_sent(port, scans, calling="STRANGER")
        assert stranger.returncode != 0
        assert "Calling AE Title Not Recognized" in stranger.stderr
        wrong = scan_sent(port, scans, called="OTHER")
        assert wrong.returncode != 0
        assert "Called AE Title Not Recognized" in wrong.stderr
        assert scan_sent(port, scans).returncode == 0
