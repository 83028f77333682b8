"""Preprocessed cases on disk: made once, kept by what they were made from, read through memory maps."""

import dataclasses
import hashlib
import json
import math
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imaging.instances import distance_levels
from imaging.labels import Label
from imaging.prior import Prior
from imaging.recipe import Recipe
from medseg.atomic import temporary_folder
from medseg.byte_sizes import spell_size
from medseg.errors import InputError, naming
from medseg.progress import track
from train.evaluation.contents import digests
from train.input.cache_store import LIMIT_VARIABLE, cache_limit, hold, open_store, tidy

VERSION = 2  # part of every key: raise it when preprocessing or the files below change
# NumPy parses headers by ast, which in several threads at once may fail (CPython before 3.11.5, gh-106905).
_PARSING = threading.Lock()
HELD_BYTES = 1_500_000_000  # of scans that are prepared at a time
POSITIONS = 10_000  # voxels remembered per class, to centre patches on


@dataclass(frozen=True)
class CachedCase:
    """A preprocessed case on disk.

    Attributes:
        name: of the case.
        folder: holds ``image.npy`` (*spatial, C) float32, ``label.npy`` (*spatial) uint8 or uint16 class indices (the
            number of classes where ignored; of instances ``imaging.instances.distance_levels``), ``positions.npy`` (N,
            rank) int32 voxels of the foreground classes, sorted by class, ``offsets.npy`` (classes + 1) where each
            class begins in them and, if a value is ignored, ``labelled.npy`` (N, rank) int32 voxels that are not.
        shape: spatial shape.
        prior: of a cascade, the folder of ``prior.npy`` (*spatial) uint16, what its first network finds there
            (``train.input.prior_cache.numbered``); None where the scan alone is taken.
    """

    name: str
    folder: Path
    shape: tuple[int, ...]
    prior: Path | None = None

    def file(self, name: str) -> Path:
        """The file of an array, such as "image" or "prior"."""
        return (self.prior if name == "prior" and self.prior is not None else self.folder) / f"{name}.npy"

    def image(self) -> np.ndarray:
        """The image, memory-mapped: (*spatial, C) float32."""
        return mapped(self.folder / "image.npy")

    def label(self) -> np.ndarray:
        """The class indices, memory-mapped: (*spatial)."""
        return mapped(self.folder / "label.npy")

    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Foreground voxels (N, rank), memory-mapped, and where each class begins in them (classes + 1)."""
        return mapped(self.folder / "positions.npy"), mapped(self.folder / "offsets.npy")

    def first_answer(self, classes: int) -> Prior | None:
        """What the first network of a cascade finds there, of so many classes; None without one."""
        if self.prior is None:
            return None
        return Prior((mapped(self.file("prior")) % classes).astype(np.uint8), classes - 1)

    def labelled(self) -> np.ndarray | None:
        """Voxels (N, rank) that somebody has labelled, memory-mapped; None if the dataset ignores no value."""
        path = self.folder / "labelled.npy"
        return mapped(path) if path.is_file() else None


def cache_folder() -> Path:
    """Where preprocessed cases are kept: ``MEDSEG_CACHE``, else ``medseg-zoo`` in the user's cache folder."""
    if "MEDSEG_CACHE" in os.environ:
        return Path(os.environ["MEDSEG_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "medseg-zoo"


def case_key(case, recipe: Recipe, labels: Sequence[Label], ignore: int | None = None) -> str:
    """What a preprocessed case is kept under: a hash of recipe, label values and the content of the case's files."""
    digest = hashlib.sha256()
    of_scan = dataclasses.asdict(dataclasses.replace(recipe, prior=0))
    del of_scan["prior"]  # which is no part of what is made here
    settings = {"version": VERSION, "recipe": of_scan, "values": [label.value for label in labels]}
    if ignore is not None:
        settings["ignore"] = ignore
    if case.instances:
        settings["instances"] = True
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for piece in digests(case):
        digest.update(piece)
    return digest.hexdigest()[:32]


def cached(case, recipe: Recipe, labels: Sequence[Label], folder=None, ignore: int | None = None) -> CachedCase:
    """The preprocessed case, made if it is not there yet.

    Args:
        case: a labelled ``train.data.dataset.Case``.
        recipe: its preprocessing.
        labels: classes by class index.
        folder: the cache, ``cache_folder()`` by default.
        ignore: value of voxels in label files that nobody has labelled, or None.

    Raises:
        InputError: if the case cannot be read, its label holds other values or the cache cannot be written.
    """
    if case.label is None:
        raise InputError(f"{case.images[0]}: case {case.name} has no label; training needs one for every case")
    root = Path(folder) if folder is not None else cache_folder()
    place = root / case_key(case, recipe, labels, ignore)
    try:
        if not place.is_dir():
            _make(case, recipe, labels, place, ignore)
        os.utime(place)  # used now, so the last to be removed
        shape = mapped(place / "label.npy").shape
    except OSError as error:
        raise unusable(root, error) from None
    return CachedCase(case.name, place, tuple(shape))


def mapped(path) -> np.ndarray:
    """The array of a .npy file, memory-mapped; may be called by several threads."""
    with _PARSING:
        return np.load(path, mmap_mode="r")


def unusable(root, error: OSError) -> InputError:
    """What to tell where the cache ``root`` cannot be read or written."""
    reason = error.strerror or f"a file was not written whole, {error}"  # NumPy's own error has no number
    return InputError(
        f"{root}: the cache of preprocessed cases cannot be used ({reason}); "
        "set MEDSEG_CACHE to a folder with room that can be written"
    )


def at_a_time(measured: dict) -> int:
    """How many cases are prepared at a time: one for each processor, but no more than memory is meant for.

    Args:
        measured: the fingerprint of the dataset (``train.planning.fingerprint``); without the shape of the largest scan
            there is no limit.
    """
    voxels = math.prod(measured.get("shape", {}).get("maximum", (0,)))
    held = 2 * 4 * voxels * len(measured.get("channels", (0,)))  # float32, as read and as prepared
    processors = os.cpu_count() or 1
    return max(1, min(processors, int(HELD_BYTES // held) if held else processors))


def cache_cases(
    cases,
    recipe: Recipe,
    labels: Sequence[Label],
    folder=None,
    progress: bool = False,
    ignore: int | None = None,
    workers: int | None = None,
):
    """All cases preprocessed, several at a time; what an interrupted call has made is used again.

    Args:
        cases: labelled cases.
        recipe: their preprocessing.
        labels: classes by class index.
        folder: the cache, ``cache_folder()`` by default.
        progress: show a bar.
        ignore: value of voxels in label files that nobody has labelled, or None.
        workers: how many are prepared at a time; None for one a processor.

    Returns:
        Tuple of ``CachedCase``, in the order of ``cases``.

    Raises:
        InputError: listing every case that cannot be used.
    """

    def attempt(case):
        try:
            return cached(case, recipe, labels, folder, ignore)
        except InputError as error:
            return error

    root = Path(folder) if folder is not None else cache_folder()
    cache_limit()  # says what is wrong with it before any work is done
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        results = list(track(pool.map(attempt, cases), "preprocess", len(cases), progress))
    problems = list(dict.fromkeys(str(r) for r in results if isinstance(r, InputError)))
    if problems:
        raise InputError("; ".join(problems))
    if results:
        try:
            hold(root, {case.folder.name for case in results})
        except OSError as error:
            raise unusable(root, error) from None
        tidy(root)
    return tuple(results)


def class_positions(label: np.ndarray, classes: int, limit: int = POSITIONS):
    """Voxels of every foreground class, at most ``limit`` of each, drawn without replacement by a fixed seed.

    Args:
        label: (*spatial) class indices.
        classes: number of classes, background included; larger indices are left out.
        limit: most voxels per class.

    Returns:
        positions (N, rank) int32 sorted by class, and offsets (classes + 1) int64: class k's positions are
        ``positions[offsets[k]:offsets[k + 1]]``.
    """
    random = np.random.default_rng(0)
    positions = [np.zeros((0, label.ndim), np.int32)]
    positions += [_drawn(label == index, limit, random) for index in range(1, classes)]
    return np.concatenate(positions), np.concatenate([[0], np.cumsum([len(f) for f in positions])])


def _drawn(mask, limit, random):
    flat = np.flatnonzero(mask)
    if len(flat) > limit:
        flat = np.sort(random.choice(flat, limit, replace=False))
    return np.stack(np.unravel_index(flat, mask.shape), axis=-1).astype(np.int32)


def _make(case, recipe, labels, place, ignore):
    """Preprocess ``case`` into a temporary folder beside ``place`` and rename it: whole or not there."""
    import imaging
    from train.evaluation.reference import read_case, read_case_objects, with_ignored

    if case.instances:
        image, reference = read_case_objects(case, recipe.channels, recipe.nan)
    else:
        image, reference = read_case(case, labels, recipe.channels, ignore, recipe.nan)
    with naming(case.images[0]):
        image = imaging.prepare(image, recipe)
    reference = imaging.prepare_labels(reference, image, recipe)
    if case.instances:
        label = distance_levels(reference.voxels[..., 0], reference.spacing)
        positions, offsets = class_positions(np.minimum(label, 1), len(labels))
    else:
        kind = np.uint8 if len(with_ignored(labels, ignore)) <= 256 else np.uint16
        label = reference.voxels[..., 0].astype(kind)
        positions, offsets = class_positions(label, len(labels))
    _open(place.parent)
    try:
        with temporary_folder(place) as temporary:
            np.save(temporary / "image.npy", np.ascontiguousarray(image.voxels, np.float32))
            np.save(temporary / "label.npy", np.ascontiguousarray(label))
            np.save(temporary / "positions.npy", positions)
            np.save(temporary / "offsets.npy", offsets)
            if ignore is not None:
                random = np.random.default_rng(0)
                np.save(temporary / "labelled.npy", _drawn(label != len(labels), POSITIONS, random))
            os.replace(temporary, place)
    except OSError:
        if not place.is_dir():  # else another process was faster, and made the same
            raise


def _open(root):
    """Make the cache's folder, and say once whose data will lie there."""
    if open_store(root):
        print(
            f"{root}: made for preprocessed scans, which are patients' data; zoo cache list shows them, zoo "
            f"cache clear removes them, {LIMIT_VARIABLE} limits them ({spell_size(cache_limit())})",
            file=sys.stderr,
        )
