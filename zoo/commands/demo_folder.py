"""The folder of ``zoo demo``: a demo that is made anew removes the files that the last one wrote, and nothing else."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from medseg import record
from medseg.errors import InputError

MARK = ".zoo-demo.json"  # what the demo wrote: path to size and time of change


def make_room(out) -> Path:
    """A folder for a demo, without the files of an earlier one.

    Args:
        out: a new or empty folder, or one that holds nothing but what an earlier demo wrote.

    Returns:
        The folder.

    Raises:
        InputError: if it holds anything else, or a file that was changed since; nothing is removed then.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give another --out")
    files, marked = _files(out), _marked(out)
    foreign = sorted(name for name in files if name != MARK and files[name] != marked.get(name))
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise InputError(
            f"{out}: holds {foreign[0]}{more}, which zoo demo did not write; move it away, or give another --out"
        )
    try:
        _remove(out, [name for name in files if name != MARK])
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be removed ({error.strerror}); give another --out") from None
    mark(out, ())
    return out


def mark(out, made: Sequence[str]) -> None:
    """Note what the demo has written by now.

    Args:
        out: its folder.
        made: files and folders in it that are the demo's.
    """
    files = {name: content for name, content in _files(Path(out)).items() if name.split("/")[0] in made}
    record.write_text(Path(out) / MARK, json.dumps({"files": files}, indent=1) + "\n")


def _remove(out, names):
    folders = set()
    for name in names:
        (out / name).unlink(missing_ok=True)
        folders |= set(Path(name).parents) - {Path(".")}
    for folder in sorted(folders, key=lambda folder: len(folder.parts), reverse=True):
        if not any((out / folder).iterdir()):
            (out / folder).rmdir()


def _files(out) -> dict[str, list[int]]:
    """Size and time of change of each file, and of each link, below a folder; links are not followed."""
    content = {}
    for folder, inner, files in os.walk(out):
        here = Path(folder)
        for name in (*files, *(name for name in inner if (here / name).is_symlink())):
            about = (here / name).lstat()
            content[(here / name).relative_to(out).as_posix()] = [about.st_size, about.st_mtime_ns]
    return content


def _marked(out) -> dict:
    path = out / MARK
    if path.is_symlink() or not path.is_file():
        return {}
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return files if isinstance(files, dict) else {}
