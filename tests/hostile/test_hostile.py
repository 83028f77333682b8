"""Files from strangers, one harness for every reader: each ends in one line, soon, in little memory, touching nothing.

An entry is made in a folder of its own and given to a command in a process that has the device's packages loaded; see
``hostile_server``. What must stay as it is around it is compared afterwards.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_artifacts import ARTIFACTS
from hostile_datasets import DATASETS, PLANS, SCORES, SITES, SUMMARIES
from hostile_dicom import DICOM
from hostile_labels import LABELS, ON_SCAN, OVERLAPS, labelled
from hostile_labels import LARGE as LARGE_LABELS
from hostile_labels import ON_SERIES as LABELS_ON_SERIES
from hostile_models import MODELS, PLACES
from hostile_nodes import CONFIGS, NAMED
from hostile_scans import NO_FILES, SCANS, nifti
from hostile_sets import CARDS
from hostile_strokes import STROKES
from hostile_volumes import VOLUMES

HERE = Path(__file__).parent
PEAK_BYTES = 512 * 2**20
SECONDS = 5.0
FLAT = (".png", ".tif", ".jpg")


@pytest.fixture(scope="module")
def server():
    """The process that forks: a function from command and folder to how it ended."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MEDSEG_")} | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, str(HERE / "hostile_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        cwd=HERE.parents[1],
    ) as process:

        def ask(command, folder):
            print(json.dumps({"command": [str(word) for word in command], "folder": str(folder)}), file=process.stdin)
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()


@pytest.fixture
def place(tmp_path):
    """A folder to work in, beside a file that nobody may touch; checked afterwards."""
    (tmp_path / "beside").write_text("untouched")
    work = tmp_path / "work"
    work.mkdir()
    yield work
    assert sorted(p.name for p in tmp_path.iterdir()) == ["beside", "work"]
    assert (tmp_path / "beside").read_text() == "untouched"


def check(ended, place, before):
    """One line, status 1 or 2, little time and memory, no misdeed, nothing left behind."""
    said = ended["said"]
    assert ended["status"] in (1, 2), said[-2000:]
    assert "Traceback" not in said, said[-3000:]
    errors = [line for line in said.split("\n") if "error:" in line]
    assert len(errors) == 1, said[-2000:]
    assert len(errors[0]) < 1000, errors[0][:2000]
    assert errors[0].isprintable(), errors[0]
    assert ended["peak"] < PEAK_BYTES, f"{ended['peak'] / 2**20:.0f} MB: {errors[0]}"
    assert ended["seconds"] < SECONDS, f"{ended['seconds']:.1f} s: {errors[0]}"
    assert not ended["misdeeds"], ended["misdeeds"]
    assert "root:" not in said, "the content of /etc/passwd"
    assert listed(place) - before <= {"out"}, "files left behind"


def listed(place) -> set[str]:
    """Every path below a folder."""
    return {str(path.relative_to(place)) for path in place.rglob("*")}


def ends_in_a_line(server, place, command):
    before = listed(place)
    check(server(command, place), place, before)


def artifact_for(suffix):
    """A shipped artifact that takes such scans."""
    return "unet-hc18" if suffix in FLAT else "unet3d-hippocampus"


@pytest.mark.parametrize("name", SCANS)
def test_scans(server, place, name):
    suffix, content = SCANS[name]
    (place / f"scan{suffix}").write_bytes(content())
    out = "out.png" if suffix in FLAT else "out.nii.gz"
    ends_in_a_line(server, place, ["zoo-edge", "predict", artifact_for(suffix), f"scan{suffix}", "-o", out])


@pytest.mark.parametrize("name", ["a\x1b[2J.nii", "a\nerror: b.nii", "a\r.nii", "a\x9b31m.nii"])
def test_names_of_control_characters(server, place, name):
    ends_in_a_line(server, place, ["zoo-edge", "predict", artifact_for(".nii"), name, "-o", "out/"])
    (place / name).write_bytes(nifti())
    ends_in_a_line(server, place, ["zoo-edge", "predict", artifact_for(".nii"), name, "-o", "out/"])


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes(server, place, name):
    file, make = VOLUMES[name]
    make(place)
    ends_in_a_line(server, place, ["zoo-edge", "predict", "unet3d-hippocampus", file, "-o", "out/"])


@pytest.mark.parametrize("name", DICOM)
def test_dicom(server, place, name):
    suffix, content = DICOM[name]
    (place / f"scan{suffix}").write_bytes(content())
    ends_in_a_line(server, place, ["zoo-edge", "predict", artifact_for(suffix), f"scan{suffix}", "-o", "out.nii.gz"])


@pytest.mark.parametrize("name", LABELS)
def test_labels(server, place, name):
    (place / "label.dcm").write_bytes(LABELS[name]())
    ends_in_a_line(server, place, ["call", "imaging", "read_labels", "label.dcm"])
    ends_in_a_line(server, place, ["zoo-edge", "predict", artifact_for(".dcm"), "label.dcm", "-o", "out.nii.gz"])


@pytest.mark.parametrize("name", LABELS_ON_SERIES | OVERLAPS)
def test_labels_on_a_series(server, place, name):
    labelled((LABELS_ON_SERIES | OVERLAPS)[name])(place / "dataset")
    ends_in_a_line(server, place, ["call", "imaging", "read_labels", f"dataset/{ON_SCAN}"])
    if name not in OVERLAPS:
        ends_in_a_line(server, place, ["zoo", "plan", "dataset", "-o", "out/plan.json"])


@pytest.mark.parametrize("name", LARGE_LABELS)
def test_large_labels_take_little(server, place, name):
    labelled(LARGE_LABELS[name])(place / "dataset")
    label = "label.dcm" if name.startswith("seg") else ON_SCAN
    ended = server(["call", "imaging", "read_labels", f"dataset/{label}"], place)
    assert ended["status"] == 0, ended["said"][-2000:]
    assert ended["peak"] < PEAK_BYTES, f"{ended['peak'] / 2**20:.0f} MB"
    assert ended["seconds"] < SECONDS, f"{ended['seconds']:.1f} s"


def check_configuration(server, place):
    before = listed(place)
    ended = server(["zoo-edge", "serve", "node.toml", "--check"], place)
    # The mistakes are told together, below the line of the error.
    head, *lines = ended["said"].splitlines()
    assert all(line.startswith("  ") and line.isprintable() and len(line) < 1000 for line in lines)
    assert len(lines) < 50
    check(ended | {"said": head}, place, before)


@pytest.mark.parametrize("name", CONFIGS)
def test_configurations_of_nodes(server, place, name):
    (place / "node.toml").write_bytes(CONFIGS[name]())
    check_configuration(server, place)


@pytest.mark.parametrize("name", NAMED)
def test_files_that_configurations_name(server, place, name):
    make, trap = NAMED[name]
    (place / "node.toml").write_bytes(make("named"))
    trap(place / "named")
    check_configuration(server, place)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".hdr", *FLAT])
@pytest.mark.parametrize("kind", NO_FILES)
def test_scans_that_are_no_files(server, place, suffix, kind):
    NO_FILES[kind](place / f"scan{suffix}")
    command = ["zoo-edge", "predict", artifact_for(suffix), f"scan{suffix}", "-o", "out/"]
    ends_in_a_line(server, place, command)
    ends_in_a_line(server, place, ["call", "imaging", "read", f"scan{suffix}"])
    ends_in_a_line(server, place, ["call", "imaging", "read_labels", f"scan{suffix}"])


@pytest.mark.parametrize("name", ARTIFACTS)
def test_artifacts(server, place, name):
    ARTIFACTS[name](place / "artifact")
    (place / "scan.nii").write_bytes(nifti((20, 20, 20)))
    ends_in_a_line(server, place, ["zoo-edge", "predict", "artifact", "scan.nii", "-o", "out.nii.gz"])


def load_words(suffix):
    if suffix == ".npz":
        return ["call", "zoo.weights.storage", "read_arrays", "model.npz"]
    export = ["zoo", "export", f"model{suffix}", "--recipe", "recipe.json", "--format", "tflite-float32"]
    return [*export, "--no-verify", "--out", "out"]


@pytest.mark.parametrize("name", MODELS)
def test_models(server, place, name):
    suffix, content = MODELS[name]
    (place / f"model{suffix}").write_bytes(content())
    (place / "recipe.json").write_text('{"rank": 2}')
    ends_in_a_line(server, place, load_words(suffix))


@pytest.mark.parametrize(("suffix", "kind", "trap"), PLACES)
def test_models_that_are_no_files(server, place, suffix, kind, trap):
    trap(place / f"model{suffix}")
    (place / "recipe.json").write_text('{"rank": 2}')
    ends_in_a_line(server, place, load_words(suffix))


@pytest.mark.parametrize("name", CARDS)
def test_cards_of_weights(server, place, name):
    CARDS[name](place / "set")
    (place / "other").mkdir()
    ends_in_a_line(server, place, ["zoo", "weights", "show", "set"])
    ends_in_a_line(server, place, ["zoo", "weights", "fingerprint", "set", "."])
    ends_in_a_line(server, place, ["call", "zoo.weights", "artifact", "unet3d", "set"])


@pytest.mark.parametrize("name", DATASETS)
def test_datasets(server, place, name):
    DATASETS[name](place / "dataset")
    ends_in_a_line(server, place, ["zoo", "plan", "dataset", "-o", "out/plan.json"])


@pytest.mark.parametrize("name", PLANS)
def test_plans(server, place, name):
    (place / "plan.json").write_bytes(PLANS[name]())
    (place / "run").mkdir()
    (place / "run" / "plan.json").write_bytes(PLANS[name]())
    (place / "run" / "run.json").write_text('{"fold": null, "dataset": "d"}')
    (place / "recipe.json").write_bytes(PLANS[name]())
    ends_in_a_line(server, place, ["call", "train.fitting.run", "open_run", "run"])
    ends_in_a_line(server, place, ["call", "export.source.model_file", "open_model", "model.h5", "recipe.json"])


@pytest.mark.parametrize("name", STROKES)
def test_strokes(server, place, name):
    (place / "scan.nii").write_bytes(nifti((20, 20, 20)))
    (place / "strokes.json").write_bytes(STROKES[name]())
    ends_in_a_line(server, place, ["zoo", "annotate", "scan.nii", "strokes.json", "-o", "out.nii.gz"])


@pytest.mark.parametrize("kind", NO_FILES)
def test_strokes_that_are_no_files(server, place, kind):
    (place / "scan.nii").write_bytes(nifti((20, 20, 20)))
    NO_FILES[kind](place / "strokes.json")
    ends_in_a_line(server, place, ["zoo", "annotate", "scan.nii", "strokes.json", "-o", "out.nii.gz"])


@pytest.mark.parametrize("name", SCORES)
def test_scores(server, place, name):
    (place / "metrics.json").write_bytes(SCORES[name]())
    ends_in_a_line(server, place, ["call", "train.comparison.results", "read_scores", "metrics.json"])


@pytest.mark.parametrize("name", SUMMARIES)
def test_summaries(server, place, name):
    (place / "summary.json").write_bytes(SUMMARIES[name]())
    ends_in_a_line(server, place, ["call", "train.evaluation.cross_validation", "load_decision", "."])


@pytest.mark.parametrize("name", [name for name in SITES if "100 MB" in name or "UTF-8" in name])
def test_groups(server, place, name):
    (place / "groups.csv").write_bytes(SITES[name]())
    ends_in_a_line(server, place, ["call", "train.data.grouping", "group_names", "ab", "groups.csv"])


@pytest.mark.parametrize("name", SITES)
def test_sites(server, place, name):
    (place / "sites.csv").write_bytes(SITES[name]())
    ends_in_a_line(server, place, ["call", "train.external.sites", "read_sites", "sites.csv", "ab"])


def test_there_are_fifty():
    assert len(SCANS) + len(VOLUMES) + len(ARTIFACTS) + len(MODELS) + len(DATASETS) + len(PLANS) >= 50


def test_the_harness_can_fail(server, place):
    (place / "script.py").write_text("import socket\nsocket.create_connection(('127.0.0.1', 9))\n")
    ended = server(["call", "runpy", "run_path", "script.py"], place)
    assert [note for note in ended["misdeeds"] if "socket.connect" in note]
    (place / "script.py").write_text("open('../beside/x', 'w')\n")
    assert [
        note for note in server(["call", "runpy", "run_path", "script.py"], place)["misdeeds"] if "beside/x" in note
    ]
    (place / "script.py").write_text("b'1' * (1 << 29)\n")
    assert server(["call", "runpy", "run_path", "script.py"], place)["peak"] > PEAK_BYTES
    (place / "script.py").write_text("1 / 0\n")
    ended = server(["call", "runpy", "run_path", "script.py"], place)
    with pytest.raises(AssertionError):
        check(ended, place, listed(place))
    (place / "script.py").write_text("raise KeyError('x')\n")
    assert "Traceback" in server(["call", "runpy", "run_path", "script.py"], place)["said"]
