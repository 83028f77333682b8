"""Our packages have everyday names: a user's own ``train.py`` must not be taken for one of them.

Python looks for modules beside the running script first. Each of our packages calls ``guard`` when it is imported.
"""

import importlib.util
import sys
import warnings
from importlib.machinery import PathFinder
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("imaging", "edge", "zoo", "train", "export", "review")
COMMANDS = ("zoo", "zoo-edge")
OFFERED = ("train", "export", "edge", "imaging")  # what a script imports beside zoo


def guard(package: str, *needed: str) -> None:
    """See to it that the other packages are ours where a script's own file or folder has the name of one.

    The running script, a folder without Python files, and anything in the way of ``python -m zoo`` and its kin are
    passed over: ``import train`` in a script called ``train.py`` gives our package.

    Args:
        package: who calls.
        *needed: packages that it imports itself.

    Raises:
        ImportError: if another file is in the way of a package that is needed, or the script was imported already in
            place of one.
    """
    passed_over = set()
    for name in NAMES:
        if name == package or not (ROOT / name).is_dir():
            continue
        if name in sys.modules:
            _check_loaded(name, package, name in needed)
            continue
        path = _in_the_way(name)
        if path is None:
            continue
        if _is_script(path) or _holds_no_python(path) or _runs_our_own():
            passed_over.add(name)
        elif name in needed:
            raise ImportError(_stands_in_the_way(path, name, package))
        elif package == "zoo" and name in OFFERED:
            warnings.warn(
                f"{path} hides medseg-zoo's package {name}: 'import {name}' gives that file; rename it to have both",
                stacklevel=3,
            )
    if passed_over:
        _pass_over(passed_over)


class _OurPackages:
    """Finds our packages before anything beside the script is looked at.

    A meta path finder in all but name: its base class in ``importlib.abc`` would load thirty modules more.
    """

    def __init__(self):
        self.names = set()

    def find_spec(self, fullname, path=None, target=None):
        """The specification of one of our packages, None for other modules."""
        if fullname not in self.names:
            return None
        folder = ROOT / fullname
        return importlib.util.spec_from_file_location(
            fullname, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )


_FINDER = _OurPackages()


def _pass_over(names):
    _FINDER.names |= names
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def _check_loaded(name, package, is_needed):
    module = sys.modules[name]
    file = getattr(module, "__file__", None)
    if file is None or Path(file).resolve().is_relative_to(ROOT / name):
        return
    if _is_script(file):
        raise ImportError(
            f"{file}: 'import {name}' found this script instead of medseg-zoo's package {name}; rename the script, or "
            f"put 'import {package}' before 'import {name}'"
        )
    if is_needed:
        raise ImportError(_stands_in_the_way(file, name, package))


def _stands_in_the_way(path, name, package):
    return f"{path} stands in the way of medseg-zoo's package {name}, which {package} needs; rename it"


def _in_the_way(name):
    """The file or folder that an import would find instead of our package, or None."""
    if name in _FINDER.names and _FINDER in sys.meta_path:
        return None
    spec = PathFinder.find_spec(name)
    if spec is None:
        return None
    place = Path(spec.origin) if spec.has_location else Path(next(iter(spec.submodule_search_locations)))
    return None if place.resolve().is_relative_to(ROOT / name) else place


def _is_script(path):
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    return script is not None and Path(script).resolve() == Path(path).resolve()


def _holds_no_python(path):
    """Whether it is a folder of data, which Python takes for a package as well."""
    return path.is_dir() and not any(path.glob("*.py"))


def _runs_our_own():
    """Whether the process is one of our commands, or ``python -m`` of a package, whose file is not known yet."""
    if Path(sys.argv[0]).stem in COMMANDS:
        return True
    words = sys.orig_argv
    if sys.argv[0] != "-m" or "-m" not in words:
        return False
    return words[words.index("-m") + 1].split(".")[0] in NAMES
