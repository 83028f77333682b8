"""Which scans a command line names, and where the results go."""

import os

import pytest

from edge.cases import Case, find_cases
from imaging import InputError, UsageError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def touch(folder, *names):
    for name in names:
        (folder / name).touch()


def named(cases):
    return {case.output.name: [path.name for path in case.scan] for case in cases}


def test_one_scan_to_one_file(folder, tmp_path):
    touch(folder, "a.nii.gz")
    scan, out = folder / "a.nii.gz", tmp_path / "b.nii"
    assert find_cases([str(scan)], str(out), 1) == (Case((scan,), out),)
    into = tmp_path / "new" / "folder" / "b.nii"
    assert find_cases([str(scan)], str(into), 1)[0].output == into


def test_one_scan_into_a_folder(folder, tmp_path):
    touch(folder, "a.nii.gz")
    (tmp_path / "made.nii").mkdir()
    for out in (tmp_path, f"{tmp_path / 'new'}{os.sep}", tmp_path / "results", tmp_path / "made.nii"):
        assert find_cases([str(folder / "a.nii.gz")], str(out), 1)[0].output.name == "a.nii.gz"


def test_several_scans(folder, tmp_path):
    touch(folder, "a.nii", "b.jpg")
    cases = find_cases([str(folder / "b.jpg"), str(folder / "a.nii")], str(tmp_path / "out"), 1)
    assert [case.output for case in cases] == [tmp_path / "out" / "b.png", tmp_path / "out" / "a.nii"]


def test_a_folder_of_scans(folder, tmp_path):
    touch(folder, "b.nii.gz", "a.NII.GZ", "notes.txt", ".c.nii.gz")
    assert named(find_cases([str(folder)], str(tmp_path / "out"), 1)) == {
        "a.nii.gz": ["a.NII.GZ"],
        "b.nii.gz": ["b.nii.gz"],
    }


@pytest.mark.parametrize(
    ("names", "channels", "expected"),
    [
        (["p_0000.nii", "q_0000.nii"], 1, {"p.nii": ["p_0000.nii"], "q.nii": ["q_0000.nii"]}),
        (["p_2023.nii", "p_2024.nii"], 1, {"p_2023.nii": ["p_2023.nii"], "p_2024.nii": ["p_2024.nii"]}),
        (["p_0000.nii", "p_0001.nii"], 2, {"p.nii": ["p_0000.nii", "p_0001.nii"]}),
        (["eye.png", "other.jpg"], 3, {"eye.png": ["eye.png"], "other.png": ["other.jpg"]}),
        (["eye_0000.png"], 3, {"eye.png": ["eye_0000.png"]}),
        (
            ["frame_0411.png", "frame_0412.png"],
            3,
            {"frame_0411.png": ["frame_0411.png"], "frame_0412.png": ["frame_0412.png"]},
        ),
    ],
    ids=["one channel", "numbers that are no channels", "two channels", "colour", "colour by nnU-Net", "colour frames"],
)
def test_channels_in_a_folder(folder, tmp_path, names, channels, expected):
    touch(folder, *names)
    assert named(find_cases([str(folder)], str(tmp_path / "out"), channels)) == expected


def test_a_channel_is_missing(folder, tmp_path):
    touch(folder, "p_0000.nii", "p_0001.nii", "q_0001.nii")
    with pytest.raises(InputError, match="case q has channels 0001; expected 0000 to 0001, all"):
        find_cases([str(folder)], str(tmp_path / "out"), 2)


def test_channels_joined_by_commas(folder, tmp_path):
    touch(folder, "p_0000.nii", "p_0001.nii", "odd,name.nii")
    (case,) = find_cases([f"{folder / 'p_0000.nii'},{folder / 'p_0001.nii'}"], str(tmp_path), 2)
    assert [path.name for path in case.scan] == ["p_0000.nii", "p_0001.nii"]
    assert case.output == tmp_path / "p.nii"
    (case,) = find_cases([str(folder / "odd,name.nii")], str(tmp_path), 1)
    assert case.scan == (folder / "odd,name.nii",)


def test_inputs_are_never_overwritten(folder, tmp_path, monkeypatch):
    touch(folder, "a.nii", "b.nii")
    with pytest.raises(UsageError, match="is an input and would be overwritten"):
        find_cases([str(folder / "a.nii")], str(folder / "a.nii"), 1)
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match="is an input and would be overwritten"):
        find_cases([str(folder)], ".", 1)


def test_two_results_under_one_name(folder, tmp_path):
    touch(folder, "a.png", "a.jpg")
    with pytest.raises(UsageError, match="both would be written to"):
        find_cases([str(folder)], str(tmp_path / "out"), 1)


@pytest.mark.parametrize(
    ("scan", "out", "error", "message"),
    [
        ("absent.nii", "o.nii", InputError, "absent.nii: no such file"),
        ("a.nii,absent.nii", "o.nii", InputError, "absent.nii: no such file"),
        ("a.nii", "o.jpg", UsageError, "JPEG alters values"),
        ("a.nii", "o.xyz", InputError, "its suffix is not one of"),
        ("a.nii", "plain/o.nii", InputError, "plain is not a folder"),
        ("a.nii", "plain/deep/o.nii", InputError, "cannot be written"),
        ("notes.txt", "out/", InputError, "its suffix is not one of"),
        ("empty", "out", InputError, "empty: holds no scan"),
        (".", "plain", UsageError, "is a file; 1 scans need a folder"),
        (".", "o.nii.gz", UsageError, "is a file; 1 scans need a folder"),
        ("a.nii", "plain", InputError, "its suffix is not one of"),
    ],
)
def test_unusable_places(folder, monkeypatch, scan, out, error, message):
    touch(folder, "a.nii", "plain", "notes.txt")
    (folder / "empty").mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(error, match=message):
        find_cases([scan], out, 1)
    assert not (folder / "out").exists()


def test_dotted_names_and_names_in_capitals(folder, tmp_path):
    touch(folder, "pat.01.tif", "pat.02.tif", "._pat.01.tif")
    cases = find_cases([str(folder)], str(tmp_path / "out"), 1, rank=2)
    assert named(cases) == {"pat.01.png": ["pat.01.tif"], "pat.02.png": ["pat.02.tif"]}
    volumes = find_cases([str(folder)], str(tmp_path / "out"), 1, rank=3)
    assert named(volumes) == {"pat.01.tif": ["pat.01.tif"], "pat.02.tif": ["pat.02.tif"]}
    touch(folder, "PAT.01.tif")
    with pytest.raises(UsageError, match=r"pat\.01\.tif: both would be written to"):
        find_cases([str(folder)], str(tmp_path / "out"), 1)


def test_two_files_of_one_channel(folder, tmp_path):
    touch(folder, "p_0000.nii", "p_0000.nii.gz", "p_0001.nii")
    with pytest.raises(InputError, match=r"p_0000\.nii and .*p_0000\.nii\.gz: both are channel 0000 of case p"):
        find_cases([str(folder)], str(tmp_path / "out"), 2)
