"""Networks and losses in a Python file of the user's own, named as ``my_nets.py:tiny`` and ``my_losses.py:soft``.

A run keeps a copy of the files that it was trained with in its folder ``code``, and their SHA-256 in ``run.json``.
Python code can do anything, and a run folder may come from a stranger: a file is run when the user names it, a run's
copy when the user says ``--code`` (in Python: ``run_code``), and nothing else ever runs one.
"""

import dataclasses
import functools
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from medseg.untrusted import file_name, inside, read_json, read_limited
from zoo import registry
from zoo.code_names import SPELLING, names_code, not_run, parts
from zoo.entry import Entry
from zoo.errors import ZooError

FOLDER = "code"
_LONGEST = 2**24  # bytes of a file


@dataclass(frozen=True)
class CodeFile:
    """A file that this process has run.

    Attributes:
        module: what it defined.
        text: its contents.
        sha256: of the contents, hexadecimal.
    """

    module: ModuleType
    text: bytes
    sha256: str


_run: dict[str, CodeFile] = {}  # by file name


def use_network(spec: str) -> str:
    """Run the file of a network and add the network to the registry.

    Args:
        spec: path and name: "my_nets.py:tiny". The name is that of a function ``tiny(input_shape, classes) ->
            keras.Model`` giving logits, or of an entry that the file adds by ``zoo.register``.

    Returns:
        What ``zoo.get`` and plans call it: "my_nets.py:tiny", without folders.

    Raises:
        ZooError: if there is no such file, it fails, or it defines no such network.
    """
    path, name = parts(spec)
    file = _run_file(path)
    return _add_network(path.name, name, file.module)


def use_loss(spec: str) -> str:
    """Run the file of a loss.

    Args:
        spec: path and name: "my_losses.py:soft", a function of class indices (B, *spatial) and logits (B, *spatial,
            classes), or a ``keras.losses.Loss``.

    Returns:
        What ``zoo.losses.get`` and plans call it: "my_losses.py:soft", without folders.

    Raises:
        ZooError: if there is no such file, it fails, or it defines no such loss.
    """
    path, name = parts(spec)
    _run_file(path)
    defined(f"{path.name}:{name}", "loss")
    return f"{path.name}:{name}"


def defined(spec: str, kind: str):
    """What a file that was run defines by a name.

    Raises:
        ZooError: if the file was not run in this process, or defines no such thing.
    """
    path, name = parts(spec)
    if path.name not in _run:
        raise not_run(spec, kind)
    module = _run[path.name].module
    if not callable(getattr(module, name, None)):
        raise ZooError(f"{kind} {spec!r}: {path.name} defines no {name}; it defines {_listed(module)}")
    return getattr(module, name)


def files_of(*specs: str) -> dict[str, CodeFile]:
    """The files that networks and losses come from, by file name, of those that name one.

    Raises:
        ZooError: for one that was not run in this process.
    """
    names = [parts(spec)[0].name for spec in specs if names_code(spec)]
    missing = [spec for spec in specs if names_code(spec) and parts(spec)[0].name not in _run]
    if missing:
        raise not_run(missing[0], "model")
    return {name: _run[name] for name in names}


def run_code(folder) -> tuple[str, ...]:
    """Run the files that a run folder carries, so that its network and loss can be built and its layers loaded.

    Args:
        folder: the run folder; nothing is done where it carries none.

    Returns:
        The names of the files.

    Raises:
        ZooError: if one is missing, was altered since the training, or fails.
    """
    folder = Path(folder)
    names = recorded(folder)
    for name, sha256 in names.items():
        file = _run_file(folder / FOLDER / name)
        if file.sha256 != sha256:
            raise ZooError(f"{folder / FOLDER / name}: altered since the training; put the file back that it had")
    network = read_json(folder / "plan.json", "plan")["network"]["name"] if names else ""
    if names_code(network):
        path, name = parts(network)
        _add_network(path.name, name, _run[path.name].module)
    return tuple(names)


def recorded(folder) -> Mapping[str, str]:
    """The files that a run folder says it carries: name to SHA-256.

    Raises:
        ZooError: for a file that differs.
        InputError: for a name that is not that of a file in its folder ``code``.
    """
    path = Path(folder) / "run.json"
    data = read_json(path, "run") if path.is_file() else {}
    names = data.get("code") if isinstance(data, dict) else None
    if not names:
        return {}
    if not isinstance(names, dict):
        raise ZooError(f"{path}: code {names!r}; expected file names with their SHA-256")
    for name, sha256 in names.items():
        place = inside(Path(folder) / FOLDER, file_name(name, f"{path}: code"))
        if _sha256(_read(place)) != sha256:
            raise ZooError(f"{place}: altered since the training; put the file back that it had")
    return names


def was_run(folder) -> bool:
    """Whether a run carries code, and this process has run it."""
    names = recorded(folder)
    return bool(names) and all(name in _run and _run[name].sha256 == sha256 for name, sha256 in names.items())


def hint(folder) -> str:
    """What a message adds where a saved network names layers that nobody knows: the run has code that was not run."""
    names = recorded(folder)
    if not names or was_run(folder):
        return ""
    return f"; the run carries code of its own, {', '.join(names)} in {Path(folder) / FOLDER}: with --code it is run"


def _run_file(path) -> CodeFile:
    """Run a file once; another of the same name takes the place of the first only if it is the same."""
    text = _read(path)
    sha256 = _sha256(text)
    if path.name in _run:
        if _run[path.name].sha256 != sha256:
            raise ZooError(f"{path}: another {path.name} was run already; files of different names are needed")
        return _run[path.name]
    module_name = f"medseg_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:  # whatever the user's file raises
        del sys.modules[module_name]
        line = _line(error, str(path))
        raise ZooError(f"{path}{line}: {type(error).__name__}: {str(error).strip() or 'no message'}") from error
    _register_layers(module)
    _run[path.name] = CodeFile(module, text, sha256)
    return _run[path.name]


def _read(path) -> bytes:
    try:
        return read_limited(path, _LONGEST, "Python")
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror}); {SPELLING}") from None


def _line(error, path) -> str:
    """The line of the user's file that raised, as ":12"."""
    if isinstance(error, SyntaxError):
        return f":{error.lineno}"
    lines, trace = [], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f":{lines[-1]}" if lines else ""


def _register_layers(module):
    """Let Keras find the layers that the file defines by their names when it opens a saved network."""
    keras = sys.modules.get("keras")
    if keras is None:
        return  # a file that defines layers has imported it
    for name, value in vars(module).items():
        own = inspect.isclass(value) and value.__module__ == module.__name__
        if own and issubclass(value, keras.layers.Layer) and keras.saving.get_registered_object(name) is None:
            keras.saving.get_custom_objects()[name] = value


def _add_network(file, name, module) -> str:
    spec = f"{file}:{name}"
    registered = registry.entry(name) if name in registry.list_models() else None
    if registered is not None and getattr(registered.builder, "__module__", None) == module.__name__:
        network = dataclasses.replace(registered, name=spec)
    else:
        function = defined(spec, "model")
        try:
            inspect.signature(function).bind((8, 8, 1), classes=2)
        except TypeError:
            given = f"{name}{inspect.signature(function)}"
            raise ZooError(f"model {spec!r}: expected {name}(input_shape, classes), got {given}") from None
        network = Entry(
            spec, _without_name(function), None, (), inspect.getdoc(function) or "", "", "float", shipped=False
        )
    registry.put(network)
    return spec


def _without_name(function):
    """``function`` as a builder of the registry, which gets a name that the function need not take."""

    @functools.wraps(function)
    def build(input_shape, *, classes, name=None, **options):
        takes = inspect.signature(function).parameters
        named = {"name": name} if "name" in takes else {}
        return function(input_shape, classes=classes, **named, **options)

    return build


def _listed(module) -> str:
    names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    return ", ".join(names) or "nothing that can be called"


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
