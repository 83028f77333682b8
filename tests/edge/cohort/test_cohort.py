"""Cohorts by Dask: every case once, past those that are done, whatever happens to a worker."""

import csv
import shutil

import numpy as np
import pytest
from cohort_worker import die_so_often, refuse
from edge_artifacts import graded_scan
from node_parts import phantom, quick_artifact

import edge
import imaging
from edge.cli import main
from edge.cohort.cluster import connected, run_tasks
from edge.cohort.listing import list_cohort
from medseg.errors import InputError

CASES = 5


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return quick_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def scheduler():
    """The address of a scheduler with two workers that are processes."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def scans(tmp_path):
    """A folder of scans."""
    folder = tmp_path / "scans"
    for number in range(CASES):
        scan = imaging.Scan(graded_scan((10 + number, 18, 12), number)[..., None], np.diag([1.0, 1, 2, 1]))
        imaging.write(folder / f"case{number}.nii.gz", scan)
    return folder


def table(out):
    with open(out / "cohort.csv", newline="") as file:
        return {row["scan"].rpartition("/")[2]: row for row in csv.DictReader(file)}


def cohort(artifact, folder, out, scheduler, *options):
    return main(["predict", str(artifact), str(folder), "-o", str(out), "--scheduler", scheduler, *options])


def test_every_case_once_and_past_those_done(artifact, scans, scheduler, tmp_path, capsys):
    out = tmp_path / "out"
    (scans / "broken.nii.gz").write_bytes(b"no gzip")
    assert cohort(artifact, scans, out, scheduler, "--save", "measurements") == 1
    said = capsys.readouterr()
    assert f"{CASES} cases done, 0 of them before" in said.out
    assert "1 of 6 cases could not be segmented" in said.err
    rows = table(out)
    assert len(rows) == CASES + 1
    assert rows["broken.nii.gz"]["state"] == "failed"
    assert "broken.nii.gz" in rows["broken.nii.gz"]["error"]
    for number in range(CASES):
        expected = edge.load(artifact).predict_file(scans / f"case{number}.nii.gz")
        np.testing.assert_array_equal(imaging.read_labels(out / f"case{number}.nii.gz").voxels, expected.labels.voxels)
        row = rows[f"case{number}.nii.gz"]
        assert float(row["core ml"]) == pytest.approx(expected.volumes_ml["core"])
        assert int(row["rim voxels"]) == np.count_nonzero(expected.labels.voxels == 300)
        assert (out / f"case{number}_measurements.csv").is_file()
    # Again: only what is not done, or whose output or input changed.
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.nii.gz")}
    (scans / "broken.nii.gz").unlink()
    (out / "case1.nii.gz").unlink()
    (out / "case2_measurements.csv").write_text("cut")
    shutil.copy(scans / "case4.nii.gz", scans / "case3.nii.gz")
    assert cohort(artifact, scans, out, scheduler, "--save", "measurements") == 0
    assert f"{CASES} cases done, 2 of them before" in capsys.readouterr().out
    again = {path.name for path in out.glob("*.nii.gz") if path.stat().st_mtime_ns != before[path]}
    assert again == {"case1.nii.gz", "case2.nii.gz", "case3.nii.gz"}
    assert {row["state"] for row in table(out).values()} == {"done"}
    # Nothing to do: no scheduler is asked.
    assert cohort(artifact, scans, out, "tcp://127.0.0.1:1", "--save", "measurements") == 0
    # Another artifact, or other options: all of them.
    assert cohort(artifact, scans, out, scheduler) == 0
    assert f"{CASES} cases done, 0 of them before" in capsys.readouterr().out


def test_dicom_studies(artifact, scheduler, tmp_path):
    studies = tmp_path / "studies"
    first, second = phantom(studies / "a" / "deep", seed=1), phantom(studies / "b", seed=2)
    phantom(studies / "b" / "more", seed=3, SeriesNumber=2, StudyInstanceUID="1.2.3")
    shutil.make_archive(studies / "c", "zip", phantom(tmp_path / "c", seed=4))
    (studies / "d").mkdir()
    (studies / "d" / "readme.txt").write_text("nothing")
    out = tmp_path / "out"
    assert cohort(artifact, studies, out, scheduler, "--write", "nifti,seg") == 1
    rows = table(out)
    assert {name: row["state"] for name, row in rows.items()} == {
        "a": "done", "b#1": "done", "b#2": "done", "c.zip": "done", "d": "failed"
    }  # fmt: skip
    assert "no DICOM file" in rows["d"]["error"]
    expected = edge.load(artifact).predict_file(first)
    np.testing.assert_array_equal(imaging.read_labels(out / "a.nii.gz").voxels, expected.labels.voxels)
    assert (out / "b-1-seg.dcm").is_file()
    assert second.is_dir()


def test_a_killed_worker_costs_only_its_case(tmp_path):
    places = []
    for number, deaths in enumerate((0, 1, 0, 99, 0)):
        places.append(tmp_path / f"{number}")
        places[-1].write_text(str(deaths))
    with connected(None, 2) as client:
        outcomes = dict(run_tasks(client, die_so_often, places))
        raised = dict(run_tasks(client, refuse, ["x"]))
    failed = outcomes.pop(3)
    assert outcomes == {number: str(number) for number in (0, 1, 2, 4)}
    assert isinstance(failed, InputError)
    assert "its worker ended 3 times" in str(failed)
    assert isinstance(raised[0], KeyError)


def test_wrong_command_lines(artifact, scans, tmp_path, capsys):
    out = str(tmp_path / "out")
    for words, match in (
        ([scans, "--scheduler", "host:8786"], "--scheduler host:8786: expected an address such as tcp://host:8786"),
        ([scans, scans / "case1.nii.gz", "--cohort"], "takes one folder and neither --series nor --report"),
        ([scans, "--cohort", "--save", "all"], "--save all: expected some of"),
        ([scans / "none", "--cohort"], "no such folder; a cohort is a folder"),
    ):
        assert main(["predict", str(artifact), *map(str, words), "-o", out]) in (1, 2)
        said = capsys.readouterr().err
        assert match in said
        assert len(said.splitlines()) == 1


def test_mixed_folders(scans, tmp_path):
    shutil.copytree(phantom(tmp_path / "series"), scans / "series")
    with pytest.raises(InputError, match=r"holds case0.nii.gz and DICOM files; give a folder of one kind"):
        list_cohort(scans, tmp_path / "out", 1, 3)
    beside = phantom(tmp_path / "beside")
    phantom(beside / "study", seed=1)
    with pytest.raises(InputError, match=r"holds 001.dcm beside folders"):
        list_cohort(beside, tmp_path / "out", 1, 3)
