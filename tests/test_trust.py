"""Whoever opens an artifact takes ``--trust``, and with it opens nothing that no trusted key has signed.

The commands are found by walking the parsers, so that one which is added is missed here before it is anywhere else.
"""

import argparse
import importlib
import json
import shutil
import sys
from argparse import Namespace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

import edge
import zoo.cli
from edge.shipped import locate
from edge.trust.signature import SIGNATURE, sign
from export.bench.compare import compare as compare_in_processes
from export.release.cross_validated_scores import cross_validated_artifacts
from medseg.errors import InputError
from zoo.commands.evaluate import open_artifact

# Command to words that make it open the artifact ARTIFACT; SIGNED is one that is whole.
WORDS = {
    "zoo-edge info": ["ARTIFACT"],
    "zoo-edge predict": ["ARTIFACT", "scan.nii", "-o", "out.nii"],
    "zoo-edge predict of several": ["SIGNED,ARTIFACT", "scan.nii", "-o", "out.nii"],
    "zoo-edge predict --roi": ["SIGNED", "scan.nii", "-o", "out.nii", "--roi", "ARTIFACT"],
    "zoo-edge predict --cohort": ["ARTIFACT", "scans", "--cohort", "-o", "out"],
    "zoo-edge stream": ["ARTIFACT", "video.mp4"],
    "zoo-edge bench": ["SIGNED", "ARTIFACT"],
    "zoo-edge verify": ["ARTIFACT"],
    "zoo predict": ["ARTIFACT", "scan.nii", "-o", "out.nii"],
    "zoo evaluate": ["ARTIFACT", "scans"],
    "zoo annotate": ["scan.nii", "--artifact", "ARTIFACT", "-o", "out.nii"],
    "zoo review": ["scans", "--artifact", "SIGNED", "ARTIFACT", "--port", "0", "--no-browser"],
    "zoo bench": ["SIGNED", "ARTIFACT"],
    "zoo weights pack": [
        *("run", "--name", "x", "--about", "about.json", "--artifact", "ARTIFACT", "--scores", "run", "--out", "out"),
    ],
}
# Options that speak of artifacts and open none that somebody else made.
OTHERS = {
    ("zoo-edge predict", "runtime"), ("zoo-edge stream", "runtime"), ("zoo-edge verify", "runtime"),
    ("zoo predict", "runtime"), ("zoo evaluate", "threads"), ("zoo evaluate", "out"), ("zoo annotate", "method"),
    ("zoo weights pack", "command"), ("zoo export", "sign"),
}  # fmt: skip
# It changes an artifact before that is signed, and refuses one that is.
CHANGES = {("zoo weights fingerprint", "folder")}


def parsers():
    """Command to its parser: all of ``zoo-edge`` and ``zoo``."""
    by_name = {}

    def walk(name, parser):
        inner = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
        for action in inner:
            for word, sub in action.choices.items():
                walk(f"{name} {word}", sub)
        if not inner:
            by_name[name] = parser

    walk("zoo-edge", importlib.import_module("edge.cli").build_parser())
    for module in sorted({module for module, _ in zoo.cli.COMMANDS.values()}):
        walk("zoo", importlib.import_module(module).build_parser("zoo"))
    return by_name


def speaks_of_artifacts(action):
    """Whether an option or argument that takes a value says that this is an artifact."""
    words = f"{action.dest} {action.metavar} {action.help}".lower()
    return action.nargs != 0 and action.dest not in ("help", "trust") and "artifact" in words


def test_every_command_that_takes_an_artifact_takes_trust():
    takes = {
        (name, action.dest) for name, parser in parsers().items() for action in parser._actions
        if speaks_of_artifacts(action)
    }  # fmt: skip
    assert takes >= OTHERS | CHANGES, "name none that is gone"
    takes -= OTHERS | CHANGES
    known = {" ".join(name.split(" ")[: 3 if "weights" in name else 2]) for name in WORDS}
    assert {name for name, _ in takes} == known
    without = {name for name in known if "--trust" not in parsers()[name]._option_string_actions}
    assert without == set()


def test_the_walk_sees_an_artifact():
    parser = argparse.ArgumentParser()
    assert speaks_of_artifacts(parser.add_argument("folder", help="an artifact folder"))
    assert speaks_of_artifacts(parser.add_argument("--artifact"))
    assert not speaks_of_artifacts(parser.add_argument("--artifacts", action="store_true"))


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """A signed artifact, and the key that it is signed by."""
    place = tmp_path_factory.mktemp("signed")
    private = ed25519.Ed25519PrivateKey.generate()
    secret, public = place / "own.key", place / "own.pem"
    secret.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    folder = shutil.copytree(locate("unet3d-hippocampus"), place / "artifact")
    sign(folder, secret)
    return folder, public


@pytest.fixture
def place(tmp_path, monkeypatch, signed):
    """A folder with a scan and an artifact that a test may change."""
    (tmp_path / "scans").mkdir()
    nibabel.Nifti1Image(np.zeros((8, 8, 8), np.float32), np.eye(4)).to_filename(tmp_path / "scan.nii")
    shutil.copy(tmp_path / "scan.nii", tmp_path / "scans")
    about = dict.fromkeys(("data", "source", "licence", "attribution", "use", "limits"), "x")
    (tmp_path / "about.json").write_text(json.dumps(about))
    shutil.copytree(signed[0], tmp_path / "artifact")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def noted():
    """A list that gets the path of every file that is opened, by a hook that Python never takes away again."""
    paths, watching = [], [True]

    def hook(event, args):
        if watching and event == "open" and isinstance(args[0], str):
            paths.append(args[0])

    sys.addaudithook(hook)
    yield paths
    watching.clear()


@pytest.fixture
def opened(noted, place):
    """Names of the files of the artifact that were opened since it was last asked."""

    def names():
        opened_files = [Path(path).name for path in noted if str(place / "artifact") in path]
        noted.clear()
        return opened_files

    noted.clear()
    return names


def run(name, words, place, signed):
    """Exit status of a command with ``--trust``."""
    values = {"ARTIFACT": str(place / "artifact"), "SIGNED": str(signed[0])}
    values["SIGNED,ARTIFACT"] = f"{values['SIGNED']},{values['ARTIFACT']}"
    program, *commands = name.split(" ")
    commands = commands[: 2 if "weights" in commands else 1]
    main = importlib.import_module({"zoo": "zoo.cli", "zoo-edge": "edge.cli"}[program]).main
    return main([*commands, *(values.get(word, word) for word in words), "--trust", str(signed[1])])


@pytest.mark.parametrize("name", WORDS)
def test_commands_open_nothing_that_is_not_signed(place, signed, opened, capsys, name):
    (place / "artifact" / SIGNATURE).unlink()
    assert run(name, WORDS[name], place, signed) == 1
    assert f"{place / 'artifact'}: is not signed" in capsys.readouterr().err
    assert opened() == []


@pytest.mark.parametrize("name", WORDS)
def test_commands_open_nothing_that_was_changed(place, signed, opened, capsys, name):
    for path in sorted((place / "artifact").iterdir()):
        whole = path.read_bytes()
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])  # no JSON any more, and no gzip
        opened()
        assert run(name, WORDS[name], place, signed) == 1
        said = capsys.readouterr().err
        refused = "not readable as JSON" if path.name == SIGNATURE else "altered since it was signed"
        assert f"{path}: {refused}" in said
        # Each at most once, for its checksum.
        names = opened()
        assert len(names) == len(set(names)), names
        path.write_bytes(whole)


def test_commands_open_what_is_signed(place, signed, capsys):
    assert run("zoo-edge info", ["ARTIFACT"], place, signed) == 0
    assert f"SCAN -o OUT --trust {signed[1]}" in capsys.readouterr().out
    assert run("zoo-edge bench", ["ARTIFACT", "--rounds", "1", "--warmup", "1"], place, signed) == 0
    assert run("zoo bench", ["ARTIFACT", "--rounds", "1", "--warmup", "1"], place, signed) == 0
    assert str(place / "artifact") in capsys.readouterr().out


@pytest.mark.parametrize(
    "opening",
    [
        lambda folder, keys: edge.load(folder, trust=keys),
        lambda folder, keys: edge.compare([folder], trust=keys),
        lambda folder, keys: edge.check_artifact(folder, trust=keys),
        lambda folder, keys: compare_in_processes([folder], trust=keys),
        lambda folder, keys: open_artifact(folder, trust=keys),
        lambda folder, keys: cross_validated_artifacts(Namespace(labels=(), regions=()), [folder], {}, keys),
    ],
)
def test_functions_open_nothing_that_is_not_signed(place, signed, opened, opening):
    (place / "artifact" / SIGNATURE).unlink()
    with pytest.raises(InputError, match="is not signed"):
        opening(place / "artifact", signed[1])
    assert opened() == []


def test_a_worker_of_a_cohort_opens_nothing_that_is_not_signed(place, signed, opened):
    from edge.cases import Case
    from edge.cohort.records import task_of
    from edge.cohort.tasks import options_of, segment_task

    (place / "artifact" / SIGNATURE).unlink()
    parser = importlib.import_module("edge.cli").build_parser()
    words = ["predict", str(place / "artifact"), "scans", "--cohort", "-o", "out", "--trust", str(signed[1])]
    case = Case((Path("scan.nii"),), Path("out/scan.nii.gz"))
    report = segment_task(options_of(parser.parse_args(words)), task_of(case, {}, "", Path("out")))
    assert "is not signed" in report["error"]
    assert opened() == []


def test_a_process_of_a_contest_opens_nothing_that_is_not_signed(place, signed, opened):
    from export.bench.runtimes import artifact as runtime

    (place / "artifact" / SIGNATURE).unlink()
    job = {"artifact": str(place / "artifact"), "trust": str(signed[1]), "threads": 1, "input": "input.npy"}
    for act in (runtime.prepare, lambda job: runtime.open_runner(job, {"files": [""]})):
        with pytest.raises(InputError, match="is not signed"):
            act(job)
    assert opened() == []


def test_a_node_opens_nothing_that_is_not_signed(place, signed, opened):
    from edge.node.opening import open_segmenters

    (place / "artifact" / SIGNATURE).unlink()
    rule = Namespace(name="r", artifact=str(place / "artifact"), trust=str(signed[1]), codes=None)
    config = importlib.import_module("edge.node.config")
    whole = config.Config(config.NodeSettings(place / "node"), rule=(rule,))
    with pytest.raises(InputError, match="is not signed"):
        open_segmenters(whole)
    assert opened() == []


def test_trust_of_what_is_no_artifact(place, signed, capsys):
    for name, words in (("zoo evaluate", ["scans"]), ("zoo bench", ["--peers", "--model", "run"])):
        assert run(name, words, place, signed) == 2
        assert f"--trust {signed[1]}" in capsys.readouterr().err
