"""The house holds: no circle of files, no crowded folder, no function of too many parameters."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("medseg", "imaging", "edge", "zoo", "train", "export", "review")
MOST_FILES = 15
MOST_PARAMETERS = 8
# A network's or a layer's options are its interface; the papers that they come from name them one by one.
BUILDERS = ("zoo/models/", "zoo/blocks/", "zoo/losses/", "zoo/quantization/")


def _files():
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def _module(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path, modules):
    """The modules of ours that a file imports anywhere in it, lazily too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in modules:
                    yield inner
                elif node.module in modules:
                    yield node.module


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The strongly connected parts of more than one node (Tarjan, SIAM J. Comput. 1, 1972)."""
    index, low, stack, parts = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for after in graph.get(node, ()):
            if after not in index:
                visit(after)
                low[node] = min(low[node], low[after])
            elif after in stack:
                low[node] = min(low[node], index[after])
        if low[node] == index[node]:
            part = set()
            while node not in part:
                part.add(stack.pop())
            parts.append(part)

    for node in graph:
        if node not in index:
            visit(node)
    return [part for part in parts if len(part) > 1]


def test_no_circle_of_files():
    modules = {_module(path): path for path in _files()}
    graph = {name: set(_imports(path, modules)) - {name} for name, path in modules.items()}
    assert sum(map(len, graph.values())) > 500
    assert circles(graph) == []


def test_circles_are_seen():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_crowded_folder(package):
    folders = [ROOT / package, *(p for p in (ROOT / package).rglob("*") if p.is_dir())]
    counts = {str(f.relative_to(ROOT)): len([p for p in f.glob("*.py") if p.name != "__init__.py"]) for f in folders}
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


def _parameters(function):
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def test_no_function_of_many_parameters():
    crowded = {}
    for path in _files():
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(BUILDERS):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and len(_parameters(node)) > MOST_PARAMETERS:
                crowded[f"{place}:{node.name}"] = len(_parameters(node))
    assert crowded == {}


@pytest.mark.parametrize(
    ("private", "module"),
    [
        (("keras.src",), "zoo/internals/keras.py"),
        (("tensorflow.python", "tensorflow.lite.python", "tensorflow.core"), "zoo/internals/tensorflow.py"),
    ],
)
def test_private_interfaces_are_used_in_one_module(private, module):
    users = {str(path.relative_to(ROOT)) for path in _files() if any(map(_starts(private), _names(path)))}
    assert users == {module}


def _starts(prefixes):
    return lambda name: name.startswith(prefixes)


def _names(path):
    """The modules that a file imports, and its dotted names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)
