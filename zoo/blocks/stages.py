"""Widths, kernels and strides of the levels of a U-shaped network."""

import math
from dataclasses import dataclass

from zoo.errors import ZooError

MAX_DEPTH = 16  # a scan halved so often has no voxel left


@dataclass(frozen=True)
class Stages:
    """One value a level, finest first.

    Attributes:
        widths: channels of each level.
        kernels: kernel size of each level, per axis.
        strides: reduction from each level to the next, per axis; one fewer than levels.
    """

    widths: tuple[int, ...]
    kernels: tuple[tuple[int, ...], ...]
    strides: tuple[tuple[int, ...], ...]

    @property
    def depth(self) -> int:
        """Number of levels."""
        return len(self.widths)

    @property
    def multiple(self) -> tuple[int, ...]:
        """What each spatial size has to divide by."""
        return tuple(math.prod(axis) for axis in zip(*self.strides, strict=True))


def stages(rank: int, *, width: int, depth: int, kernels=3, strides=2, widths=None, max_width: int = 320) -> Stages:
    """Spell out the levels of a network.

    Args:
        rank: spatial axes.
        width: channels of the finest level; each next level has twice as many.
        depth: number of levels, at least 2.
        kernels: one size for all, one per axis, or one (size or per axis) per level.
        strides: one for all, one per axis, or one (size or per axis) per reduction (``depth - 1`` of them).
        widths: channels per level instead of ``width``, ``depth`` values.
        max_width: widths by doubling stop here.

    Raises:
        ZooError: if the numbers do not fit together.
    """
    if not isinstance(depth, int) or not 2 <= depth <= MAX_DEPTH:
        raise ZooError(f"depth={depth!r}; expected 2 to {MAX_DEPTH} levels")
    if widths is None:
        widths = [max(1, min(width * 2**level, max(max_width, width))) for level in range(depth)]
    if len(widths) != depth:
        raise ZooError(f"widths {tuple(widths)} for {depth} levels; expected one width per level")
    if min(widths) < 1:
        raise ZooError(f"widths {tuple(widths)}; expected at least 1 channel")
    return Stages(
        tuple(int(w) for w in widths),
        _per_stage("kernels", kernels, rank, depth),
        _per_stage("strides", strides, rank, depth - 1),
    )


def per_axis(name: str, value, rank: int) -> tuple[int, ...]:
    """``value`` (one size or one per axis) as one size per axis.

    Raises:
        ZooError: if it is neither.
    """
    sizes = (value,) * rank if isinstance(value, int) else tuple(value) if isinstance(value, list | tuple) else ()
    if len(sizes) != rank or any(not isinstance(s, int) or s < 1 for s in sizes):
        raise ZooError(f"{name}={value!r}; expected a size or {rank} sizes, each 1 or more")
    return sizes


def _per_stage(name, value, rank, count):
    if not isinstance(value, list | tuple):
        return (per_axis(name, value, rank),) * count
    value = list(value)
    nested = any(not isinstance(v, int) for v in value)
    if not nested and len(value) == rank and count != rank:
        return (per_axis(name, value, rank),) * count
    if not nested and len(value) == rank == count and len(set(value)) > 1:
        raise ZooError(
            f"{name}={tuple(value)} may mean one per axis or one per stage; "
            f"write {name}={(tuple(value),) * count} or {name}={tuple((v,) * rank for v in value)}"
        )
    if len(value) != count:
        raise ZooError(f"{name}={value!r}; expected one size, {rank} (per axis) or {count} (per stage)")
    return tuple(per_axis(name, v, rank) for v in value)
