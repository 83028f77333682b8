"""The documentation is true: its Python runs, its commands parse, its generated pages hold everything."""

import dataclasses
import importlib.util
import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from dataset_folders import scan_3d, write_msd

import imaging
from edge.cli import main as edge_main
from edge.manifest import Manifest
from train.planning.plan import Plan
from zoo.cli import main as zoo_main

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
    if path.is_file()
}
FENCE = re.compile(r"^( *)```(\w*)([^\n]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
RUN_BY = re.compile(r'title="run by (\S+)"')
PROGRAMS = ("zoo", "zoo-edge")


def _hooks():
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOOKS = _hooks()
COMMANDS = dict(HOOKS.commands())


def _blocks(path):
    """(language, words after it, text) of every fenced block, with as many empty lines before it as the page has."""
    page = path.read_text(encoding="utf-8")
    for block in FENCE.finditer(page):
        yield block.group(2), block.group(3), "\n" * page.count("\n", 0, block.start(4)) + block.group(4)


def _command_lines(path):
    """The words of every command line of ours in the blocks of a page that are no Python."""
    for language, _, text in _blocks(path):
        if language not in ("", "sh", "bash", "console"):
            continue
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line.strip().removeprefix("$ "), comments=True) if line.strip() else []
            if words and words[0] in PROGRAMS:
                yield words


def _parser(words):
    """The parser of a command and how many words name it; None for a command that there is not."""
    for count in (3, 2):
        if tuple(words[:count]) in COMMANDS:
            return COMMANDS[tuple(words[:count])], count
    return None, 0


@pytest.mark.parametrize("page", PAGES)
def test_command_lines_parse(page, capsys):
    for words in _command_lines(PAGES[page]):
        if len(words) == 2 and words[1].startswith("--"):  # zoo --version
            continue
        parser, count = _parser(words)
        assert parser is not None, f"{shlex.join(words)}: no such command"
        try:
            parser.parse_args(words[count:])
        except SystemExit:
            pytest.fail(f"{shlex.join(words)}: {capsys.readouterr().err.splitlines()[-1]}")


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_sentences_exist(page):
    """A command within a sentence may lack arguments, but names a command and options that there are."""
    prose = FENCE.sub("", PAGES[page].read_text(encoding="utf-8"))
    for text in re.findall(r"`((?:zoo|zoo-edge) [a-z][^`]*)`", prose):
        words = text.replace("\n", " ").split()
        names = [(words[0], word) for word in words[1].split("|")]
        assert all(any(command[:2] == name for command in COMMANDS) for name in names), text
        options = {option.split("=")[0].strip("[],") for option in words if option.startswith("--")}
        known = {
            o for command, parser in COMMANDS.items() if command[:2] in names for o in parser._option_string_actions
        }
        assert options <= known, f"{text}: {', '.join(sorted(options - known))} is no option of it"


def _python(path):
    return [(info, text) for language, info, text in _blocks(path) if language in ("python", "py")]


@pytest.mark.parametrize("page", [name for name, path in PAGES.items() if _python(path)])
def test_python_runs(page, tmp_path, monkeypatch):
    """The blocks of a page run in turn, in an empty folder; one that a script runs instead names it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDSEG_CACHE", str(tmp_path / "cache"))
    namespace = {"__name__": "documentation"}
    for info, text in _python(PAGES[page]):
        script = RUN_BY.search(info)
        if script:
            assert (ROOT / script.group(1)).is_file(), f"{page}: {script.group(1)} is missing"
            continue
        exec(compile(text, page, "exec"), namespace)


ROOMS = "medseg|imaging|edge|zoo|train|export|review|tests|benchmarks|docs|examples|deploy"


@pytest.mark.parametrize("page", PAGES)
def test_paths_in_sentences_exist(page):
    """``imaging/tiling.py`` and its kin; a file that was moved is told here."""
    prose = FENCE.sub("", PAGES[page].read_text(encoding="utf-8"))
    paths = re.findall(rf"`((?:{ROOMS})/[\w./-]*)`", prose)
    generated = {f"docs/{name}" for name in HOOKS.pages()}
    assert [path for path in paths if not (ROOT / path).exists() and path not in generated] == []


# What a newcomer looks for, and what stands in the file that CONTRIBUTING.md names.
LOOKED_FOR = {
    "Gaussian weights of tiles": "def gaussian_weights(",
    "HD95": "hd95",
    "the rule for `Conv3DTranspose`": "Conv3DTranspose",
    "the choice of calibration": "def check_method(",
    "the patch size": "def plan_patch(",
    "the resume of a killed run": "def restore_checkpoint(",
    "the text of `CARD.md`": "def card(",
    "the verdict on an artifact": "verdict",
    "how a case is named by its file": "def case_name(",
    "how whole scans are segmented while scoring": "def segmenter(",
    "means over cases, tables of scores": "def means(",
    "which layers a model file may name": "custom_objects",
}


def test_contributing_says_where_each_thing_is():
    page = PAGES["CONTRIBUTING.md"].read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (.+?) \| (.+) \|$", page.split("## Where is it")[1].split("\n## ")[0], re.MULTILINE))
    assert set(LOOKED_FOR) <= set(rows)
    for thing, words in LOOKED_FOR.items():
        files = [ROOT / path for path in re.findall(r"`([\w/]+\.py)`", rows[thing])]
        assert any(words in file.read_text(encoding="utf-8") for file in files), thing


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_links_lead_somewhere():
    """MkDocs checks the site; the pages that a reader of the repository sees are checked here."""
    generated = {f"docs/{name}" for name in HOOKS.pages()}
    for path in PAGES.values():
        for target in re.findall(r"\]\(([^)#\s]+)", FENCE.sub("", path.read_text(encoding="utf-8"))):
            if "://" in target or target.startswith("mailto:"):
                continue
            place = (path.parent / target).resolve()
            assert place.exists() or str(place.relative_to(ROOT)) in generated, f"{path.name}: {target}"


def test_command_line_page_holds_every_option():
    page = HOOKS.command_line()
    for words, parser in COMMANDS.items():
        section = page.split(f"\n## {' '.join(words)}\n")[1].split("\n## ")[0]
        for option in parser._option_string_actions:
            assert option in ("-h", "--help") or f"`{option}`" in section, f"{words}: {option}"
    assert {words[:2] for words in COMMANDS} >= {("zoo", "train"), ("zoo", "export"), ("zoo-edge", "predict")}


@pytest.mark.parametrize("record", [Plan, Manifest])
def test_every_field_has_a_meaning(record):
    for kind in HOOKS._nested(record):
        meanings = HOOKS.attributes(kind)
        for field in dataclasses.fields(kind):
            assert meanings.get(field.name) or f"``{field.name}``" in kind.__doc__, f"{kind.__name__}.{field.name}"


def test_every_environment_variable_is_documented():
    names = {
        name
        for package in ("medseg", "imaging", "edge", "zoo", "train", "export", "review")
        for path in (ROOT / package).rglob("*.py")
        for name in re.findall(r"MEDSEG_[A-Z_]*[A-Z]", path.read_text(encoding="utf-8"))
    }
    page = (ROOT / "docs" / "reference" / "environment.md").read_text(encoding="utf-8")
    assert names
    assert not {name for name in names if f"`{name}`" not in page}


# A short training of a small network, which the gate would refuse.
SHORTENED = {
    "train": ("--epochs", "1", "--steps-per-epoch", "5", "--batch", "2", "--learning-rate", "0.01"),
    "export": ("--ship-anyway", "--sign", "hospital.key"),
}
# They serve until they are stopped; tests/review/page_browser.py and tests/edge/node/node_parts.py start them.
SERVERS = ("review", "serve")


def _write_keys(folder):
    """A hospital's pair of keys."""
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key()
    (folder / "hospital.key").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "hospital.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def test_commands_of_the_readme_run(tmp_path, monkeypatch):
    """All but the servers, word for word and in turn, on a small dataset and with a small network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDSEG_CACHE", str(tmp_path / "cache"))
    write_msd(tmp_path / "DATASET", cases=5)
    write_msd(tmp_path / "OTHER_HOSPITAL", cases=2, make=lambda seed: scan_3d(50 + seed))
    _write_keys(tmp_path)
    images = sorted((tmp_path / "DATASET" / "imagesTr").iterdir())
    shutil.copy(images[0], "scan.nii.gz")
    shutil.copytree(images[0].parent, "scans", ignore=lambda _, names: sorted(names)[2:])
    labels = imaging.read_labels(tmp_path / "DATASET" / "labelsTr" / images[0].name).voxels[..., 0]
    points = [{"point": np.argwhere(labels == value)[0].tolist(), "label": value} for value in (0, 1)]
    Path("strokes.json").write_text(json.dumps({"strokes": points}), encoding="utf-8")
    lines = list(_command_lines(PAGES["README.md"]))
    names = [words[1] for words in lines]
    assert names[:5] == ["plan", "train", "evaluate", "export", "predict"]
    assert set(names) >= {"info", "verify", "segment", "annotate", *SERVERS}
    for program, command, *words in lines:
        if command in SERVERS:
            continue
        main = zoo_main if program == "zoo" else edge_main
        words = ["scan.nii.gz" if word == "SCAN" else word for word in words]
        assert main([command, *words, *SHORTENED.get(command, ())]) == 0, command
        if command == "plan" and not Path("runs").exists():
            content = json.loads(Path("plan.json").read_text(encoding="utf-8"))
            content["network"]["options"] |= {"width": 2}
            Path("plan.json").write_text(json.dumps(content), encoding="utf-8")
    assert imaging.read_labels("segmentation.nii.gz").shape == imaging.read("scan.nii.gz").shape
    assert len(list(Path("segmentations").glob("*.nii.gz"))) == 2
    assert json.loads(Path("plan.json").read_text(encoding="utf-8"))["recipe"]["filters"][0]["name"] == "n4"
