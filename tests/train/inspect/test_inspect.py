"""A look at a dataset: faults that were put in are found, nothing else is, and a mended copy lacks them."""

import html
import json
import re
import shlex
import shutil

import nibabel
import numpy as np
import pytest
from objects import write_objects

import imaging
from imaging import Scan
from train.cli import main
from train.data.dataset import open_dataset
from train.inspect.findings import KINDS, findings
from train.inspect.looks import CaseLook, ClassLook, look_at
from train.inspect.mend import mended

CLEAN = 10


def write(folder, name, voxels, labels, spacing=(1.0, 1.0, 2.0)):
    affine = np.diag([*spacing, 1.0])
    imaging.write(folder / "images" / f"{name}.nii.gz", Scan(voxels.astype(np.float32)[..., None], affine))
    imaging.write(folder / "labels" / f"{name}.nii.gz", Scan(labels[..., None], affine))


def case(seed):
    """A scan with a left and a right structure, and its labels."""
    random = np.random.default_rng(seed)
    labels = np.zeros((24, 20, 10), np.uint8)
    shift = random.integers(-1, 2)
    labels[4 + shift : 9 + shift, 6:13, 3:7] = 1
    labels[15 + shift : 20 + shift, 6:13, 3:7] = 2
    smooth = np.repeat(np.repeat(random.normal(size=(6, 5, 5)), 4, 0), 4, 1)
    return random.normal(0, 1, labels.shape) + np.repeat(smooth, 2, 2) * 3 + 8 * (labels > 0), labels


@pytest.fixture
def folder(tmp_path):
    for seed in range(CLEAN):
        write(tmp_path / "set", f"case{seed}", *case(seed))
    return tmp_path / "set"


def found_in(folder):
    dataset = open_dataset(folder, groups="none")
    return {(f.kind, f.case) for f in findings(look_at(dataset), dataset.instances)}


def test_a_clean_set_has_nothing(folder):
    assert found_in(folder) == set()


def islands(voxels, labels):
    labels[1, 1, 1] = 1
    return voxels, labels


def hole(voxels, labels):
    labels[17, 8:11, 4:6] = 0
    return voxels, labels


def mirrored(voxels, labels):
    return voxels, np.array([0, 2, 1], np.uint8)[labels]


def far(voxels, labels):
    return voxels, np.where(labels == 2, 2, np.roll(np.where(labels == 1, 1, 0), 6, axis=1)).astype(np.uint8)


def empty(voxels, labels):
    return voxels, labels * 0


def bright(voxels, labels):
    return voxels * 40, labels


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (islands, "island"),
        (hole, "hole"),
        (mirrored, "mirrored"),
        (far, "far"),
        (empty, "empty"),
        (bright, "intensity"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_was_put_in_is_found_and_mended(folder, tmp_path, capsys, change, kind):
    write(folder, "odd", *change(*case(77)))
    assert (kind, "odd") in found_in(folder)
    assert {name for _, name in found_in(folder)} == {"odd"}
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*.nii.gz"))}
    out = tmp_path / "mended"
    assert main(["inspect", str(folder), "--groups", "none", "--mend", str(out), "--only", kind]) == 0
    assert (kind, "odd") not in found_in(out)
    assert {path: path.read_bytes() for path in sorted(folder.rglob("*.nii.gz"))} == before
    names = {case.name for case in open_dataset(out).cases}
    if kind in ("island", "hole", "mirrored"):
        labels = imaging.read_labels(out / "labels" / "odd.nii.gz").voxels[..., 0]
        np.testing.assert_array_equal(labels, case(77)[1])
    else:
        assert "odd" not in names
    assert names >= {f"case{n}" for n in range(CLEAN)}


def test_a_mended_copy_holds_scans_of_two_files_whole(folder, tmp_path, capsys):
    write(folder, "odd", *islands(*case(77)))
    for name in ("case0", "case1"):
        for part in ("images", "labels"):
            place = folder / part / f"{name}.nii.gz"
            nibabel.save(nibabel.Nifti1Pair.from_image(nibabel.load(place)), folder / part / f"{name}.hdr")
            place.unlink()
    out = tmp_path / "mended"
    assert main(["inspect", str(folder), "--groups", "none", "--mend", str(out), "--only", "island"]) == 0
    assert found_in(out) == set()
    for name in ("case0", "case1"):
        copies = [imaging.read(next((out / part).glob(f"{name}.*"))) for part in ("images", "labels")]
        for copy, part in zip(copies, ("images", "labels"), strict=True):
            np.testing.assert_array_equal(copy.voxels, imaging.read(folder / part / f"{name}.hdr").voxels)


def look_of(name, places):
    """A case of classes at given places."""
    return CaseLook(
        name, (10, 10), (1.0, 1.0), (0.0,) * 5, name, classes={k: ClassLook(9, (9,), 0, v) for k, v in places.items()}
    )


def test_of_three_classes_in_a_row_only_the_two_that_were_exchanged_are_told_and_mended():
    usual = {"a": (0.2, 0.2), "b": (0.5, 0.5), "c": (0.8, 0.8)}
    looks = [look_of(f"case{n}", usual) for n in range(9)]
    exchanged = look_of("odd", {**usual, "a": usual["c"], "c": usual["a"]})
    exchange = findings([*looks, exchanged])
    assert [(f.kind, f.case, f.of) for f in exchange] == [("mirrored", "odd", ("a", "c"))]
    np.testing.assert_array_equal(mended(np.array([3, 2, 1]), exchange, ["background", "a", "b", "c"]), [1, 2, 3])
    flipped = look_of("odd", {name: (1 - x, y) for name, (x, y) in usual.items()})  # along one axis: no exchange helps
    assert {(f.kind, f.case) for f in findings([*looks, flipped])} == {("far", "odd")}


def test_other_sizes_and_spacings(folder):
    voxels, labels = case(50)
    write(folder, "thick", voxels, labels, (1.0, 1.0, 9.0))
    assert {("size", "thick"), ("spacing", "thick")} <= found_in(folder)


def test_the_same_scan_and_nearly_the_same(folder):
    shutil.copy(folder / "images" / "case3.nii.gz", folder / "images" / "twin.nii.gz")
    shutil.copy(folder / "labels" / "case3.nii.gz", folder / "labels" / "twin.nii.gz")
    voxels, labels = case(5)
    write(folder, "near", voxels * 1.02 + 0.001 * np.arange(10), labels)
    assert found_in(folder) == {("duplicate", "twin"), ("near_duplicate", "near")}


def test_the_page(folder, tmp_path, capsys, monkeypatch):
    write(folder, "odd", *mirrored(*case(77)))
    page = tmp_path / "page.html"
    assert main(["inspect", str(folder), "--groups", "none", "-o", str(page)]) == 0
    printed = capsys.readouterr().out
    assert "mirrored" in printed
    assert f"--mend {folder.name}-mended --only mirrored" in printed
    text = page.read_text(encoding="utf-8")
    # The command on the page works as it is typed, options included, beside the one that was printed.
    typed = shlex.split(html.unescape(re.search(r"zoo (inspect .*--only mirrored)", text)[1]))
    assert typed[2:4] == ["--groups", "none"]
    monkeypatch.chdir(tmp_path)
    assert main(typed) == 0
    assert main([*typed[:4], "--mend", "again", "--only", "hole"]) == 1
    assert "nothing was found of hole" in capsys.readouterr().err
    assert KINDS["mirrored"] in text
    assert "lie the other way round along axis 0" in text
    assert "zscore" in text or "Intensities, step by step" in text
    assert len(re.findall(r"data:image/png;base64,", text)) >= 3
    assert not re.search(r"""(src|href)=['"]https?:""", text)
    assert main(["inspect", str(folder), "--groups", "none", "-o", str(page), "--json"]) == 0
    assert [f["kind"] for f in json.loads(capsys.readouterr().out)] == ["mirrored"]


def test_numbered_objects_are_no_islands(tmp_path, capsys):
    folder = write_objects(tmp_path / "cells", count=4)
    assert main(["inspect", str(folder), "-o", str(tmp_path / "page.html")]) == 0
    assert main(["inspect", str(folder), "--mend", str(tmp_path / "mended")]) == 2
    assert "labels of objects or regions are not mended" in capsys.readouterr().err


def test_bad_requests(folder, tmp_path, capsys):
    for words, message in (
        (["--only", "hole"], "--only: goes with --mend"),
        (["--mend", str(tmp_path / "new"), "--only", "dust"], "--only dust: expected some of"),
        (["-o", str(tmp_path / "page.txt")], "expected the name of an HTML file"),
        (["-o", str(tmp_path)], "inspection.html"),
    ):
        assert main(["inspect", str(folder), *words]) in (1, 2)
        assert message in capsys.readouterr().err
    assert main(["inspect", str(folder), "--mend", str(folder)]) == 1
    assert "exists" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "nothing")]) == 1
    (folder / "images" / "case0.nii.gz").write_bytes(b"no scan")
    assert ("unreadable", "case0") in found_in(folder)
