"""A plan that keeps to what a device can take: fewer channels, then a smaller patch."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from medseg.errors import UsageError
from train.planning.candidates import MEASURED, NAMES, Bounds, Candidates, spell
from train.planning.plan import Network
from train.planning.shape_rules import builder_parameters

SMALLEST_WIDTH = 4
KEPT = 0.5  # share of the planned patch's voxels that stays as long as a narrower network would do as well


@dataclass(frozen=True)
class PlannedPatch:
    """A patch and how it may be shortened.

    Attributes:
        size: as planned, voxels.
        shape: median spatial shape of the prepared scans.
        stride: by what each size must divide.
        fixed: it is the user's and stays.
    """

    size: tuple[int, ...]
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    fixed: bool = False


def keep_bounds(
    network: Network,
    planned: PlannedPatch,
    bounds: Bounds,
    channels: int,
    classes: int,
    reasons: dict,
    measure: Callable | None = None,
    tell: Callable[[str], None] | None = None,
) -> tuple[Network, tuple[int, ...]]:
    """Choose width and patch so that a network keeps to bounds.

    The widest network is taken, from the planned width down by two channels at a time, whose weights are few enough and
    whose patch, shortened to no less than half of the planned voxels, takes little enough. If none is, the narrowest
    gets a still smaller patch. Weights and operations are those of the network built with these sizes, time and memory
    those of it converted to int8 TFLite, with random weights, and run by LiteRT on this machine.

    Args:
        network: as planned; a ``width`` or ``widths`` among its options is the user's and stays.
        planned: the patch.
        bounds: what it may take.
        channels: of the input.
        classes: background included.
        reasons: takes the reason.
        measure: ``export.footprint``, or another function of a Keras network and a number of threads to the like; for
            bounds on time and memory.
        tell: takes a line on each network that was measured.

    Returns:
        The network and the patch.

    Raises:
        UsageError: if a bound is not positive or cannot be kept; the message says what the smallest network takes. If
            a network must be measured and cannot be.
    """
    for name, called in (*NAMES.items(), ("threads", "threads")):
        value = getattr(bounds, name)
        if value is not None and value <= 0:
            raise UsageError(f"{called} {value}: expected more than 0")
    patch, shape, stride, fixed = tuple(planned.size), planned.shape, planned.stride, planned.fixed
    candidates = Candidates(network, bounds, channels, classes, measure, tell)

    def shortened(width, share):
        """The largest patch of at least ``share`` of the planned voxels that fits, or None."""
        sizes = patch
        while not candidates.fits(width, sizes):
            smaller = _shorter(sizes, shape, stride)
            while smaller and not candidates.may_fit(width, smaller, sizes):
                smaller = _shorter(smaller, shape, stride)
            if fixed or not smaller or math.prod(smaller) < share * math.prod(patch):
                return None
            sizes = smaller
        return sizes

    widths = _widths(network)
    allowed = [w for w in widths if bounds.params is None or candidates.counted(w, patch).parameters <= bounds.params]
    if not allowed:
        least = candidates.counted(widths[-1], patch).parameters
        raise UsageError(
            f"max_params {bounds.params}: {candidates.named(widths[-1])} has {least} weights, the fewest tried; "
            "allow as many, or give a smaller network by --model"
        )
    for share, tried in ((KEPT, allowed), (0.0, allowed[-1:])):
        for width in tried:
            sizes = shortened(width, share)
            if sizes:
                return _decided(candidates, width, widths[0], patch, sizes, reasons)
    smallest = patch if fixed else _smallest(patch, shape, stride)
    figures = candidates.figures(allowed[-1], smallest)  # it was ruled out by others perhaps, and is tried at last
    if bounds.hold(figures):
        return _decided(candidates, allowed[-1], widths[0], patch, smallest, reasons)
    raise UsageError(_too_small(candidates, allowed[-1], smallest, figures, fixed))


def _widths(network):
    """From the planned width down; a single None where the network has none to choose."""
    parameters = builder_parameters(network.name)
    if "width" not in parameters or "width" in network.options or network.options.get("widths"):
        return [None]
    from zoo.registry import entry

    default = entry(network.name).options.get("width", parameters["width"].default)
    if entry(network.name).options.get("widths") or not isinstance(default, int):
        return [None]
    return [default, *range(default - 2, SMALLEST_WIDTH - 1, -2)]


def _shorter(sizes, shape, stride):
    """One stride less along the axis that covers most of its scan, or None if every axis is down to two strides."""
    free = [axis for axis, size in enumerate(sizes) if size > 2 * stride[axis]]
    if not free:
        return None
    longest = max(free, key=lambda axis: (sizes[axis] / shape[axis], sizes[axis]))
    return tuple(size - stride[axis] * (axis == longest) for axis, size in enumerate(sizes))


def _smallest(sizes, shape, stride):
    while shorter := _shorter(sizes, shape, stride):
        sizes = shorter
    return sizes


def _decided(candidates, width, planned, patch, sizes, reasons):
    network, bounds, changes = candidates.network, candidates.bounds, []
    if width != planned:
        network = replace(network, options=network.options | {"width": width})
        changes.append(f"width {width} instead of {planned}")
    if sizes != patch:
        changes.append(f"patch {sizes} instead of {patch}")
        reasons["patch"] += f"; shortened to {sizes} to keep the bounds"
    limits = [
        f"at most {spell(name, getattr(bounds, name))}" + (" a patch" if name in ("macs", "ms") else "")
        for name in NAMES
        if getattr(bounds, name) is not None
    ]
    figures = candidates.figures(width, sizes)
    words = ", ".join(spell(name, value) for name, value in figures.items() if name not in MEASURED)
    if bounds.measured:
        taken = candidates.footprint(width, sizes)
        words += "; measured as int8 TFLite with random weights: " + ", ".join(
            spell(name, figures[name]) for name in reversed(MEASURED)
        )
        words += f", {taken.threads} thread{'s' * (taken.threads > 1)}, {taken.machine}"
    reasons["bounds"] = f"{' and '.join(limits)}: {', '.join(changes) or 'kept as planned'}; {words}"
    return network, sizes


def _too_small(candidates, width, sizes, figures, fixed):
    """What to tell of the smallest candidate, which is above some bound."""
    name = candidates.bounds.broken(figures)[0]
    limit = getattr(candidates.bounds, name)
    limit = limit if name in ("params", "macs") else spell(name, limit).split(" of ")[0]
    return (
        f"{NAMES[name]} {limit}: {candidates.named(width)} needs {spell(name, figures[name])} for "
        + (f"the patch {sizes}" if fixed else f"the smallest patch tried, {sizes}")
        + f"; allow as {'many' if name == 'macs' else 'much'}, or give "
        + ("a smaller --patch" if fixed else "a smaller network by --model")
    )
