"""The command line, in process: information, timing, and mistakes that every command tells alike."""

import json
import shutil

import pytest
from edge_scans import fails

from edge.cli import main


def test_info(artifacts, capfd):
    assert main(["info", str(artifacts["folded-int8"])]) == 0
    out, _ = capfd.readouterr()
    lines = dict(line.split("  ", 1) for line in out.split("\n") if "  " in line)
    shown = {key.strip(): value.strip() for key, value in lines.items()}
    assert shown["labels"] == "background = 0, core = 7, rim = 300"
    assert shown["patch"] == "8 x 16 x 12, overlap 0.5"
    assert shown["scan"] == "3D, RAS, fixed"
    assert shown["source network"] == "closed form"
    assert "zoo-edge predict" in out
    assert not set("()[]{}") & set(out.replace("(matches)", ""))
    assert max(map(len, out.splitlines())) <= 120
    assert len(out.splitlines()) <= 20
    assert main(["info", str(artifacts["folded-int8"]), "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == json.loads((artifacts["folded-int8"] / "manifest.json").read_text())


def test_info_of_figures_that_are_none(artifacts, tmp_path, capfd):
    folder = shutil.copytree(artifacts["folded-int8"], tmp_path / "artifact")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["source"] |= {"parameters": 10**400, "macs": "many", "first": {"size_bytes": 10**400, "macs": None}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert main(["info", str(folder)]) == 0
    shown = capfd.readouterr().out
    assert not any(word in shown for word in ("parameters", "GMAC", "with the first"))


def test_bench(artifacts, capfd):
    folders = [str(artifacts["native-float"]), str(artifacts["folded-int8"])]
    assert main(["bench", *folders, "--rounds", "2", "--warmup", "1"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert [line.split()[0] for line in out.split("\n")[1:3]] == folders
    assert out.splitlines()[-1].split()[0] in folders
    assert out.splitlines()[-1].endswith("is the quickest on this machine, by the median")
    assert main(["bench", *folders, "--rounds", "2", "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert [row["name"] for row in report["artifacts"]] == folders
    assert report["threads"] == 2
    assert report["quickest"] == min(report["artifacts"], key=lambda row: row["median_ms"])["name"]


@pytest.mark.parametrize("action", ["predict", "info", "bench"])
def test_bad_artifacts(artifacts, here, capfd, action):
    more = ["scan.nii.gz", "-o", "seg.nii.gz"] if action == "predict" else []
    fails(capfd, [action, "absent", *more], 1, "absent: no such folder")
    fails(capfd, [action, ".", *more], 1, ".: holds no manifest.json")
    altered = shutil.copytree(artifacts["folded-int8"], here / "altered")
    with open(altered / "model.tflite", "ab") as file:
        file.write(b"\0")
    fails(capfd, [action, "altered", *more], 1, "model.tflite: altered since it was exported")
    schema = json.loads((altered / "manifest.json").read_text()) | {"schema": 99}
    (altered / "manifest.json").write_text(json.dumps(schema))
    fails(capfd, [action, "altered", *more], 1, "manifest.json: manifest schema 99, expected 1 to ")
    assert not (here / "seg.nii.gz").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["segment"],
        ["predict", "artifact"],
        ["predict", "artifact", "scan.nii.gz"],
        ["predict", "artifact", "scan.nii.gz", "-o", "x.nii", "--threads", "0"],
        ["predict", "artifact", "scan.nii.gz", "-o", "x.nii", "--threads", "many"],
        ["bench", "artifact", "--rounds", "-3"],
    ],
)
def test_wrong_usage(arguments, capfd):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: zoo-edge" in capfd.readouterr().err


def test_version(capsys):
    from importlib.metadata import version

    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == version("medseg-zoo") + "\n"
