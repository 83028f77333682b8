"""Which cases of a folder trained a run, though they lie at another place by now."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from imaging.io.cases import Cases, parts_of
from medseg import record


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
    digests: dict[Path, tuple[bytes, ...]] = {}

    def digest(path):
        if path not in digests:
            digests[path] = tuple(map(_digest, parts_of(path, strict=False)))
        return digests[path]

    def trained(image):
        path = Path(image).resolve()
        if str(path) in places:
            return True
        alike = by_size.get(_size(path), ()) if path.is_file() else ()
        return any(digest(path) == digest(place) for place in alike)

    return {case.name for case in cases if any(trained(image) for image in case.images)}


def _size(path):
    return sum(part.stat().st_size for part in parts_of(path, strict=False))


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
