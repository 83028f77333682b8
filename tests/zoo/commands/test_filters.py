"""``zoo filters`` and ``zoo filter``: the registry in words, and a filter tried on a scan."""

import json

import numpy as np
import pytest

import imaging
from imaging.filters import FILTERS, names
from imaging.scan import Scan
from zoo.cli import main


@pytest.fixture
def scan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    index = np.meshgrid(*(np.linspace(-1, 1, n) for n in (16, 14, 12)), indexing="ij")
    body = 120 * np.exp(-((index[0] - 0.2) ** 2 + index[1] ** 2 + 2 * index[2] ** 2) / 0.3)
    voxels = np.round(50 + body + 3 * random.normal(size=body.shape)).astype(np.float32)[..., None]
    affine = np.diag([1.0, 1.0, 2.5, 1.0])
    affine[:3, 3] = (-5, 6, 7)
    imaging.write("scan.nii.gz", Scan(voxels, affine))
    imaging.write("ct.nii.gz", Scan(voxels[:, :, 0] - 1000, affine))
    imaging.write("picture.png", Scan(np.clip(voxels[:, :, 0], 0, 255).astype(np.uint8), np.eye(4)))
    return imaging.read("scan.nii.gz")


def test_the_list_shows_every_filter(capsys):
    assert main(["filters"]) == 0
    said = capsys.readouterr().out
    for entry in FILTERS:
        assert any(line.startswith(entry.name) and entry.summary in line for line in said.splitlines())
    assert main(["filters", "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == list(names())


@pytest.mark.parametrize("name", names())
def test_a_filter_is_described_with_its_parameters(capsys, name):
    assert main(["filters", name]) == 0
    said = capsys.readouterr().out
    (entry,) = [entry for entry in FILTERS if entry.name == name]
    assert all(parameter.name in said and parameter.help in said for parameter in entry.parameters)
    assert f"zoo filter {name} SCAN -o OUT" in said


def test_a_filter_is_applied(scan, capsys):
    assert main(["filter", "gaussian=sigma_mm:2", "scan.nii.gz", "-o", "out/smooth.nii.gz"]) == 0
    assert "out/smooth.nii.gz written, 16 x 14 x 12 voxels of 1 x 1 x 2.5 mm" in capsys.readouterr().out
    filtered = imaging.read("out/smooth.nii.gz")
    np.testing.assert_allclose(filtered.voxels, imaging.filters.apply(scan, "gaussian", sigma_mm=2).voxels, rtol=1e-6)
    np.testing.assert_allclose(filtered.affine, scan.affine)
    assert main(["filter", "resize=spacing_mm:2x2x2.5", "scan.nii.gz", "-o", "small.mha"]) == 0
    np.testing.assert_allclose(imaging.read("small.mha").spacing, (2, 2, 2.5), rtol=1e-6)
    assert main(["filter", "equalise", "picture.png", "-o", "equal.png"]) == 0
    assert imaging.read("equal.png").shape == (16, 14)
    assert main(["filter", "register=reference:scan.nii.gz", "scan.nii.gz", "-o", "same.nii.gz"]) == 0
    np.testing.assert_allclose(imaging.read("same.nii.gz").affine, scan.affine, atol=0.2)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["gausian", "scan.nii.gz"], 2, "did you mean gaussian?"),
        (["gaussian=sigma_mm:0", "scan.nii.gz"], 2, "sigma_mm 0.0, expected a number from"),
        (["gaussian=sigma_mm:one", "scan.nii.gz"], 2, "sigma_mm 'one', expected a number from"),
        (["gaussian", "none.nii.gz"], 1, "none.nii.gz: no such file"),
        (["register", "scan.nii.gz"], 1, "filter register: needs a reference scan"),
        (["resize=spacing_mm:0.000001", "scan.nii.gz"], 1, "expected sizes less than 10000 times apart"),
        (["resize=spacing_mm:0.001", "scan.nii.gz"], 1, "would take"),
        (["diffusion=sigma_mm:500", "scan.nii.gz"], 1, "expected at most 2000"),
        (["bilateral", "flat.nii.gz", "-o", "scan.nii.gz/x.nii.gz"], 1, "cannot be written"),
        (["gaussian", "ct.nii.gz", "-o", "ct.png"], 1, ".png takes whole numbers from 0 to 65535"),
        (["frangi=smallest_mm:4,largest_mm:2", "scan.nii.gz"], 2, "expected smallest to be at most largest"),
    ],
)
def test_bad_input(scan, tmp_path, capsys, words, status, message):
    before = sorted(tmp_path.iterdir())
    out = [] if "-o" in words else ["-o", "out.nii.gz"]
    assert main(["filter", *words, *out]) == status
    said = capsys.readouterr().err
    assert message in said
    assert len([line for line in said.splitlines() if "error:" in line]) == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("out", "status", "message"),
    [
        ("scan.nii.gz", 2, "is the scan itself and would be overwritten"),
        ("out.jpg", 2, "JPEG alters values"),
        ("out.txt", 1, "its suffix is not one of"),
        ("scan.nii.gz/out.nii.gz", 1, "out.nii.gz"),
    ],
)
def test_bad_places(scan, tmp_path, capsys, out, status, message):
    content = (tmp_path / "scan.nii.gz").read_bytes()
    assert main(["filter", "median", "scan.nii.gz", "-o", out]) == status
    assert message in capsys.readouterr().err
    assert (tmp_path / "scan.nii.gz").read_bytes() == content


def test_nan_needs_a_word(scan, capsys):
    voxels = scan.voxels.copy()
    voxels[0] = np.nan
    imaging.write("holes.nii.gz", Scan(voxels, scan.affine))
    assert main(["filter", "median", "holes.nii.gz", "-o", "out.nii.gz"]) == 1
    assert "are NaN or infinite" in capsys.readouterr().err
    assert main(["filter", "median", "holes.nii.gz", "--nan", "0", "-o", "out.nii.gz"]) == 0
    assert np.isfinite(imaging.read("out.nii.gz").voxels).all()


def test_unknown_filter_to_show(capsys):
    assert main(["filters", "sharpen"]) == 2
    assert "filter 'sharpen': unknown; expected one of gaussian" in capsys.readouterr().err
