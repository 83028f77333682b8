"""Filters as the steps of a recipe: named, parametrised by plain JSON values, and applied by one function."""

import contextlib
import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from imaging.filters.entry import Filter
from imaging.filters.registry import get
from imaging.geometry.orientation import canonical
from imaging.intensity import all_finite
from imaging.scan import Scan
from medseg.errors import InputError, UsageError, naming

MAX_STEPS = 32


@dataclass(frozen=True)
class FilterStep:
    """A filter with its parameters.

    Attributes:
        name: of the filter, see ``zoo filters``.
        parameters: name to number, word or list of numbers; those left out have their default.
    """

    name: str
    parameters: dict = field(default_factory=dict)


def parse_step(text: str) -> FilterStep:
    """The step in a text such as ``clahe=clip:2,tile_mm:40``, complete but for what is learnt.

    Raises:
        UsageError: for an unknown filter or parameter, or a value out of range.
    """
    name, _, rest = text.partition("=")
    entry = get(name.strip())
    known = {parameter.name: parameter for parameter in entry.parameters}
    given = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, separator, value = part.partition(":")
        if not separator or key not in known:
            raise UsageError(
                f"filter {entry.name}: {part!r}, expected NAME:VALUE with the names {', '.join(known) or 'none'}"
            )
        given[key] = known[key].read(value.strip(), f"filter {entry.name}")
    return FilterStep(entry.name, entry.complete(given, learnt=False))


def check_steps(steps: Sequence[FilterStep], rank: int, channels: int, learnt: bool = True) -> None:
    """Require steps to be known filters for such scans, with parameters in range.

    Args:
        steps: of a recipe.
        rank: spatial axes of the scans.
        channels: of the scans.
        learnt: whether what is learnt must be there.

    Raises:
        UsageError: naming the step and the parameter.
    """
    if len(steps) > MAX_STEPS:
        raise UsageError(f"{len(steps)} filters: expected at most {MAX_STEPS}")
    for step in steps:
        entry = get(step.name)
        if rank not in entry.ranks:
            raise UsageError(f"filter {entry.name}: takes {entry.ranks[0]}D scans, not {rank}D")
        values = entry.complete(step.parameters, learnt)
        check = getattr(_family(entry), "check", None)
        if check is not None:
            check(entry.name, values, rank, channels)


def apply_steps(scan: Scan, steps: Sequence[FilterStep], progress: Callable[[int, int], None] | None = None) -> Scan:
    """Apply steps one after the other.

    Args:
        scan: voxels (*spatial, C), float32; they may be changed in place.
        steps: complete, or with defaults left out.
        progress: called after each channel of each step with the number done and of all.

    Returns:
        A scan of float32 voxels. Where a step moved the grid, the affine (and after a deformable registration the
        warp) says where its voxels lie.

    Raises:
        InputError: if a filter cannot be used on the scan, names its step.
    """
    total = sum(1 if get(step.name).whole_scan else scan.channels for step in steps)
    done = 0
    for step in steps:
        entry = get(step.name)
        values = entry.complete(step.parameters)
        run = getattr(_family(entry), entry.name)
        with naming(f"filter {entry.name}"), _library_errors():
            if entry.whole_scan:
                scan = run(scan, **values)
                done += 1
                _tell(progress, done, total)
            else:
                voxels = None if scan.channels == 1 else np.empty(scan.voxels.shape, np.float32)
                # Not every library gives a flipped image the flipped result: how a scan is stored must not count.
                turned, turn = canonical(scan)
                for channel in range(scan.channels):
                    source = np.ascontiguousarray(turned.voxels[..., channel], np.float32)
                    filtered = source if _constant(source) else run(source, turned.spacing, **values)
                    if voxels is None:  # no further array of this size
                        voxels = np.ascontiguousarray(turn.back(filtered), np.float32)[..., None]
                    else:
                        voxels[..., channel] = turn.back(filtered)
                    done += 1
                    _tell(progress, done, total)
                scan = replace(scan, voxels=voxels)
            if scan.voxels.size == 0:
                raise InputError("leaves no voxel of this scan")
            if not all_finite(scan.voxels):
                raise InputError("makes NaN or infinite voxels of this scan; leave it out or change its parameters")
    return scan


def apply(scan: Scan, name: str, progress: Callable[[int, int], None] | None = None, **parameters) -> Scan:
    """Apply one filter.

    Args:
        scan: voxels (*spatial, C), any real type; it is not changed.
        name: see ``zoo filters``.
        progress: called with the number of channels done and of all.
        **parameters: of the filter; the others have their default.

    Returns:
        A scan of float32 voxels.

    Raises:
        UsageError: for an unknown filter or parameter, or a value out of range.
        InputError: if the filter cannot be used on the scan.
    """
    step = FilterStep(name, parameters)
    check_steps((step,), scan.rank, scan.channels)
    voxels = np.array(scan.voxels, np.float32, order="C")
    if not all_finite(voxels):
        raise InputError(f"scan of shape {scan.shape}: holds NaN or infinite voxels; replace them by numbers")
    return apply_steps(replace(scan, voxels=voxels), (step,), progress)


def learn_steps(steps: Sequence[FilterStep], scans: Callable[[Sequence[FilterStep]], Sequence]) -> tuple:
    """Steps with what they learn from the training cases.

    Args:
        steps: in order.
        scans: gives, for the steps before one that learns, an iterable of the training scans that went through them.

    Returns:
        Complete steps.

    Raises:
        InputError: if the cases do not give what a step needs.
    """
    complete = []
    for step in steps:
        entry = get(step.name)
        values = entry.complete(step.parameters, learnt=False)
        learn = getattr(_family(entry), f"learn_{entry.name}", None)
        if learn is not None:
            with naming(f"filter {entry.name}"):
                values = {**values, **learn(lambda: scans(tuple(complete)), **values)}
        complete.append(FilterStep(entry.name, values))
    return tuple(complete)


def without_learnt(steps: Sequence[FilterStep]) -> tuple[FilterStep, ...]:
    """The steps as the user asked for them: what training cases taught is left out."""
    plain = []
    for step in steps:
        learnt = {parameter.name for parameter in get(step.name).parameters if parameter.learnt}
        kept = {name: value for name, value in step.parameters.items() if name not in learnt}
        plain.append(FilterStep(step.name, kept))
    return tuple(plain)


def _family(entry: Filter):
    return importlib.import_module(f"imaging.filters.{entry.family}")


@contextlib.contextmanager
def _library_errors():
    """What SimpleITK refuses is the user's mistake: a scan too thin for a filter, for example."""
    try:
        yield
    except RuntimeError as error:
        reason = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = re.sub(r"^.*\(0x[0-9a-f]+\): ", "", reason[-1]) if reason else str(error)
        raise InputError(f"cannot be used on this scan ({reason})") from None


def _constant(channel):
    """A channel without contrast: no filter finds anything in it, and many divide by its range."""
    return channel.size == 0 or channel.min() == channel.max()


def _tell(progress, done, total):
    if progress is not None:
        progress(done, total)
