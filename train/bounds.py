"""A plan that keeps to what a device can take: fewer channels, then a smaller patch."""

import math
from dataclasses import dataclass, replace

from imaging.errors import UsageError
from train.plan import Network
from train.shape_rules import builder_parameters

SMALLEST_WIDTH = 4
KEPT = 0.5  # share of the planned patch's voxels that stays as long as a narrower network would do as well


@dataclass(frozen=True)
class Bounds:
    """What the network may cost at its patch; None for no limit.

    Attributes:
        params: weights.
        macs: multiply-accumulate operations of one patch.
    """

    params: int | None = None
    macs: int | None = None

    def __bool__(self):
        return self.params is not None or self.macs is not None


def keep_bounds(
    network: Network, patch, shape, stride, bounds: Bounds, channels: int, classes: int, reasons: dict, fixed=False
) -> tuple[Network, tuple[int, ...]]:
    """Choose width and patch so that a network keeps to bounds.

    The widest network is taken, from the planned width down by two channels at a time, whose weights are few enough and
    whose patch, shortened to no less than half of the planned voxels, costs few enough operations. If none is, the
    narrowest gets a still smaller patch. Each count is that of the network built with these sizes.

    Args:
        network: as planned; a ``width`` or ``widths`` among its options is the user's and stays.
        patch: as planned.
        shape: median spatial shape of the prepared scans.
        stride: by what each size of the patch must divide.
        bounds: what it may cost.
        channels: of the input.
        classes: background included.
        reasons: takes the reason.
        fixed: the patch is the user's and stays.

    Returns:
        The network and the patch.

    Raises:
        UsageError: if a bound is not positive or cannot be kept; the message says what the smallest network costs.
    """
    import zoo

    for name, value in (("max_params", bounds.params), ("max_macs", bounds.macs)):
        if value is not None and value <= 0:
            raise UsageError(f"{name} {value}: accepted is more than 0")

    def cost(width, sizes):
        options = network.options | ({"width": width} if width else {})
        return zoo.info(network.name, (*sizes, channels), classes=classes, **options)

    def shortened(width, share):
        """The largest patch of at least ``share`` of the planned voxels that costs few enough, and its cost."""
        sizes, found = tuple(patch), cost(width, patch)
        while bounds.macs is not None and found.macs > bounds.macs:
            # Operations are about in proportion to voxels; the count after it decides.
            allowed = math.prod(sizes) * bounds.macs / found.macs
            smaller = sizes
            while smaller and (math.prod(smaller) > allowed or smaller == sizes):
                smaller = _shorter(smaller, shape, stride)
            if fixed or not smaller or math.prod(smaller) < share * math.prod(patch):
                return None, found
            sizes, found = smaller, cost(width, smaller)
        return sizes, found

    widths = _widths(network)
    allowed = [w for w in widths if bounds.params is None or cost(w, patch).parameters <= bounds.params]
    if not allowed:
        least = cost(widths[-1], patch).parameters
        raise UsageError(
            f"max_params {bounds.params}: {_named(network, widths[-1])} has {least} weights, the fewest tried; "
            "allow as many, or give a smaller network by --model"
        )
    for share, tried in ((KEPT, allowed), (0.0, allowed[-1:])):
        for width in tried:
            sizes, found = shortened(width, share)
            if sizes:
                return _decided(network, width, widths[0], patch, sizes, found, bounds, reasons)
    raise UsageError(
        f"max_macs {bounds.macs}: {_named(network, allowed[-1])} needs {found.macs} operations for "
        + (f"the patch {tuple(patch)}" if fixed else "the smallest patch tried")
        + "; allow as many, or give "
        + ("a smaller --patch" if fixed else "a smaller network by --model")
    )


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


def _decided(network, width, planned, patch, sizes, found, bounds, reasons):
    limits = [f"at most {bounds.params} weights"] * (bounds.params is not None)
    limits += [f"at most {bounds.macs} operations a patch"] * (bounds.macs is not None)
    changes = []
    if width != planned:
        network = replace(network, options=network.options | {"width": width})
        changes.append(f"width {width} instead of {planned}")
    if tuple(sizes) != tuple(patch):
        changes.append(f"patch {tuple(sizes)} instead of {tuple(patch)}")
        reasons["patch"] += f"; shortened to {tuple(sizes)} to keep the bounds"
    reasons["bounds"] = (
        f"{' and '.join(limits)}: {', '.join(changes) or 'kept as planned'}; "
        f"{found.parameters} weights, {found.macs} operations"
    )
    return network, tuple(sizes)


def _named(network, width):
    return f"network {network.name!r}" + (f" of width {width}" if width else "")
