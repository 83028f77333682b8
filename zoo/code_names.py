"""How code of the user's own is named: ``my_nets.py:tiny``, a Python file and what it defines."""

from pathlib import Path

from zoo.errors import ZooError

SPELLING = "expected FILE.py:NAME, such as my_nets.py:tiny"


def names_code(name: str) -> bool:
    """Whether a network or loss is named by a file: ``my_nets.py:tiny``."""
    return ".py:" in name


def parts(spec: str) -> tuple[Path, str]:
    """The file and the name.

    Raises:
        ZooError: if the text is not spelt so.
    """
    place, _, name = spec.rpartition(":")
    if not place.endswith(".py") or not name.isidentifier():
        raise ZooError(f"{spec!r}: {SPELLING}")
    return Path(place), name


def not_run(spec: str, kind: str) -> ZooError:
    """The error for a network or loss whose file was not run."""
    return ZooError(
        f"{kind} {spec!r}: is code of the user's own, which was not run; give its file with --{kind} "
        f"PATH/{spec}, or with --code run the copy in the run folder, if you trust it"
    )
