"""The house holds: packages import in one direction only, and the light ones are light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"medseg", "imaging", "zoo", "train", "export", "edge", "review"}
MAY_IMPORT = {
    "medseg": set(),
    "imaging": {"medseg"},
    "zoo": {"medseg"},
    "train": {"medseg", "imaging", "zoo"},
    "edge": {"medseg", "imaging"},
    "export": {"medseg", "imaging", "zoo", "edge"},
    "review": {"medseg", "imaging", "edge"},
}
HEAVY = {"tensorflow", "keras", "tf2onnx", "onnx", "matplotlib", "jax", "torch"}


def _files(package):
    return sorted((ROOT / package).rglob("*.py"))


def _is_front_door(path):
    return path.relative_to(ROOT).parts[:2] in {("zoo", "cli.py"), ("zoo", "__main__.py"), ("zoo", "commands")}


def _imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_arrows(package):
    assert _files(package)
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _files(package)
        if not _is_front_door(path)
        for name in _imported(path)
        if name in PACKAGES - MAY_IMPORT[package] - {package}
    }
    assert not wrong


@pytest.mark.parametrize("package", ["medseg", "imaging", "edge", "review"])
def test_device_packages_name_no_framework(package):
    wrong = {f"{p.relative_to(ROOT)}: {n}" for p in _files(package) for n in _imported(p) if n in HEAVY}
    assert not wrong


def _modules_after(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in ended.stdout.split()}


@pytest.mark.parametrize(
    "statement",
    [
        "import imaging",
        "import edge",
        "import review",
        "import zoo; zoo.list_models(); zoo.info('unet3d')",
        "import export",
        "import zoo.cli",
    ],
)
def test_quick_imports(statement):
    assert not _modules_after(statement) & (HEAVY | {"scipy", "cv2", "nibabel"})


@pytest.mark.parametrize("package", ["imaging", "edge", "train", "export", "review"])
def test_importing_a_package_loads_next_to_nothing(package):
    """Its names load when first used; what sees to it that it is ours loads little more than itself."""
    count = f"import sys; before = set(sys.modules); import {package}; print(*set(sys.modules) - before)"
    ended = subprocess.run([sys.executable, "-c", count], cwd=ROOT, capture_output=True, text=True, check=True)
    assert package in ended.stdout.split()
    assert len(ended.stdout.split()) <= 12, ended.stdout


def test_arrow_test_can_fail(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from train.planning.plan import Plan\n    return Plan\n", encoding="utf-8")
    assert list(_imported(bad)) == ["train"]
