"""Cases by the content of their files: which trained a run though they lie elsewhere by now, which were exchanged."""

import functools
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from imaging.io.cases import Cases, parts_of
from imaging.io.dicom.reference import split_reference
from medseg import record
from medseg.errors import InputError


def trained_cases(listings: Sequence[Path], cases) -> set[str]:
    """Names of the cases that trained a run, by the place of their images or by the content of their files.

    Args:
        listings: ``cases.json`` of each run.
        cases: ``train.data.dataset.Case`` records.
    """
    places: set[str] = set()
    for listing in listings:
        places |= {image for case in record.load(listing, Cases).training for image in case.images}
    by_size: dict[int, list[Path]] = {}
    for place in map(Path, sorted(places)):
        if place.is_file():
            by_size.setdefault(_size(place), []).append(place)

    def digest(path):
        return tuple(map(_digest, parts_of(path, strict=False)))

    def trained(image):
        path = Path(image).resolve()
        if str(path) in places:
            return True
        alike = by_size.get(_size(path), ()) if path.is_file() else ()
        return any(digest(path) == digest(place) for place in alike)

    return {case.name for case in cases if any(trained(image) for image in case.images)}


def digests(case) -> Iterator[bytes]:
    """The digest of every file of a case, each followed by what part of it is meant (which series, which segments).

    Args:
        case: a ``train.data.dataset.Case``.

    Raises:
        InputError: if a file cannot be read.
    """
    for path in (*case.images, *([] if case.label is None else [case.label])):
        for part in parts_of(path):
            yield _digest(part)
        yield (split_reference(path)[1] or "").encode()


def content_of(case) -> str:
    """A digest of all files of a case, image and label, hexadecimal.

    Raises:
        InputError: if a file cannot be read.
    """
    return hashlib.sha256(b"\0".join(digests(case))).hexdigest()[:32]


def exchanged(before: Mapping[str, str], cases: Iterable) -> tuple[str, ...]:
    """Names of the cases whose files hold something else than before.

    Args:
        before: ``content_of`` each case, by its name; a case that is not in it is not told.
        cases: as they are now.
    """
    return tuple(case.name for case in cases if before.get(case.name) not in (None, content_of(case)))


def _size(path):
    return sum(part.stat().st_size for part in parts_of(path, strict=False))


def _digest(path) -> bytes:
    try:
        state = os.stat(path)
        return _of_file(Path(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


@functools.lru_cache(maxsize=2**17)
def _of_file(path, size, modified, changed) -> bytes:
    """The digest of a file, computed once for each of its states."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
