"""Strides, patch and batch from the median shape of the prepared scans."""

import importlib
import inspect
import math
from dataclasses import replace

from imaging.recipe import Recipe
from medseg.errors import UsageError
from train.planning.plan import Network

DEPTH = {2: 5, 3: 4}  # levels of the default networks
EDGE = 4  # nnU-Net: no axis of the coarsest level gets smaller than this
PATCH_VOXELS = {2: 256 * 256, 3: 48 * 48 * 48}  # what two cores train in minutes and a small device runs in one go
BATCH_VOXELS = {2: 8 * 256 * 256, 3: 4 * 48 * 48 * 48}
BATCH_LIMITS = (2, 16)
BATCH_SHARE = 0.05  # nnU-Net: a batch holds at most this share of the dataset's voxels


def plan_strides(network: Network, recipe: Recipe, shape, reasons: dict, options: dict) -> tuple[Network, tuple]:
    """Fit the depth and strides of a network to the scans, as nnU-Net does.

    Between levels an axis is halved as long as 4 voxels are left at the coarsest level and its voxels are not more than
    twice as long as the shortest axis' voxels. A level convolves along an axis (3 voxels instead of 1) as soon as its
    voxels there are at most twice as long as the shortest, and the coarsest level always does. The registry's own depth
    is kept where all axes can be halved at every level, so that networks without these options take such scans too.

    Args:
        network: the registry entry.
        recipe: gives the spacing.
        shape: median spatial shape of the prepared scans, or of their slices where the network takes these.
        reasons: takes the reason.
        options: of the network, decided by the user; ``depth`` and ``strides`` among them switch the rule off.

    Returns:
        The network with its options, and by what each spatial size must divide.
    """
    rank = recipe.patch_rank
    if "strides" in options or "depth" in options or not _accepts(network.name, options, rank):
        reasons["network.options"] = "given by the user" if options else "the registry's own"
        network = replace(network, options=dict(options))
        return network, total_stride(network, rank)
    strides = level_strides(shape, recipe.patch_spacing(), DEPTH[rank])
    kernels = level_kernels(recipe.patch_spacing() or (1.0,) * rank, strides)
    if strides == [(2,) * rank] * (DEPTH[rank] - 1) and min(map(min, kernels)) == 3:
        reasons["network.options"] = (
            f"the registry's own {DEPTH[rank]} levels: the median scan {tuple(shape)} fills them"
        )
        network = replace(network, options=dict(options))
    else:
        fitted = {"depth": len(strides) + 1, "strides": [list(s) for s in strides]}
        reasons["network.options"] = (
            f"{len(strides) + 1} levels with strides {strides}: at least {EDGE} voxels stay at the coarsest level, and "
            "long voxels are not halved before the others are as long"
        )
        if min(map(min, kernels)) < 3 and _takes_kernels(network.name):
            fitted["kernels"] = [list(k) for k in kernels]
            reasons["network.options"] += f"; kernels {kernels}, flat while voxels are more than twice as long"
        network = replace(network, options={**fitted, **options})
    return network, tuple(math.prod(s[axis] for s in strides) for axis in range(rank))


def level_strides(shape, spacing, depth: int) -> list[tuple[int, ...]]:
    """The reduction between levels, finest first.

    Args:
        shape: median spatial shape, voxels.
        spacing: mm per axis, or None where pixels have no size.
        depth: most levels.
    """
    size = [float(s) for s in shape]
    spacing = list(spacing or [1.0] * len(size))
    strides = []
    for _ in range(depth - 1):
        # Rounded up, because a patch is padded to whole steps.
        possible = [axis for axis, s in enumerate(size) if math.ceil(s / 2) >= EDGE]
        if not possible and strides:
            break
        possible = possible or list(range(len(size)))  # a network has two levels at least
        finest = min(spacing[axis] for axis in possible)
        step = tuple(2 if a in possible and spacing[a] <= 2 * finest * 1.001 else 1 for a in range(len(size)))
        size = [math.ceil(s / k) for s, k in zip(size, step, strict=True)]
        spacing = [s * k for s, k in zip(spacing, step, strict=True)]
        strides.append(step)
    return strides


def level_kernels(spacing, strides) -> list[tuple[int, ...]]:
    """The kernel of each level, finest first: 3 voxels along an axis, or 1 as long as its voxels are more than twice as
    long as the shortest; 3 along all axes of the coarsest level.

    Args:
        spacing: mm per axis.
        strides: the reduction between levels.
    """
    spacing, sizes, kernels = list(spacing), [1] * len(spacing), []
    for step in strides:
        sizes = [3 if s <= 2 * min(spacing) * 1.001 else size for s, size in zip(spacing, sizes, strict=True)]
        kernels.append(tuple(sizes))
        spacing = [s * k for s, k in zip(spacing, step, strict=True)]
    return [*kernels, (3,) * len(spacing)]


def total_stride(network: Network, rank: int) -> tuple[int, ...]:
    """By what each spatial size must divide, from the options of a network or else from the registry."""
    options = network.options
    if "strides" in options or "depth" in options:
        from zoo.blocks.stages import stages

        depth = options.get("depth", DEPTH[rank])
        return stages(rank, width=1, depth=depth, strides=options.get("strides", 2)).multiple
    from zoo.information import info

    return info(network.name).multiple or (2 ** (DEPTH[rank] - 1),) * rank


def plan_patch(shape, stride, reasons: dict, patch=None) -> tuple[int, ...]:
    """The patch: the median scan, rounded up to whole strides; beyond the budget of 48³ voxels (2D: 256²) the axis that
    covers most of its scan is shortened, stride by stride, as nnU-Net does against GPU memory.

    Args:
        shape: median spatial shape of the prepared scans.
        stride: by what each size must divide.
        reasons: takes the reason.
        patch: decided by the user.

    Raises:
        UsageError: if the user's patch does not divide by the strides; the message says which would.
    """
    if patch is not None:
        patch = tuple(int(p) for p in patch)
        fixed = tuple(max(1, round(p / s)) * s for p, s in zip(patch, stride, strict=False))
        if len(patch) != len(stride) or fixed != patch:
            meant = f"; use {fixed}" if len(patch) == len(stride) else f"; expected {len(stride)} sizes"
            raise UsageError(f"patch {patch} must divide by the network's strides {tuple(stride)}{meant}")
        reasons["patch"] = "given by the user"
        return patch
    budget = PATCH_VOXELS[len(shape)]
    patch = [math.ceil(n / s) * s for n, s in zip(shape, stride, strict=True)]
    whole = tuple(patch)
    while math.prod(patch) > budget:
        axis = max(
            (a for a in range(len(patch)) if patch[a] > EDGE * stride[a] // 2 or patch[a] > stride[a]),
            key=lambda a: (patch[a] / shape[a], patch[a]),
        )
        patch[axis] -= stride[axis]
    reasons["patch"] = f"the median scan {tuple(shape)} rounded up to strides {tuple(stride)}" + (
        "" if tuple(patch) == whole else f", shortened from {whole} to at most {budget} voxels"
    )
    return tuple(patch)


def plan_batch(cases: int, shape, patch, reasons: dict) -> int:
    """Patches per step: a budget of voxels, at most 5 % of the dataset's voxels, from 2 to 16."""
    rank = len(patch)
    by_budget = BATCH_VOXELS[rank] // math.prod(patch)
    by_share = int(BATCH_SHARE * cases * math.prod(shape) / math.prod(patch))
    fewest, most = BATCH_LIMITS
    allowed = min(by_budget, by_share)
    batch = max(fewest, min(most, allowed))
    limit = "the budget of voxels per step" if by_budget <= by_share else "5 % of the dataset's voxels"
    if allowed < fewest:
        reasons["batch"] = f"{batch}, the fewest that a step takes: {limit} would be less"
    else:
        reasons["batch"] = f"{batch}: {limit} allows {allowed}" + (
            f", a step takes at most {most}" if allowed > most else ""
        )
    return batch


def builder_parameters(name: str) -> dict:
    """The parameters of a registry entry's builder by name, as ``inspect`` tells them (this imports the builder)."""
    from zoo.registry import entry

    builder = entry(name).builder
    if isinstance(builder, str):
        module, _, function = builder.partition(":")
        builder = getattr(importlib.import_module(module), function)
    return dict(inspect.signature(builder).parameters)


def _takes_kernels(name) -> bool:
    from zoo.registry import entry

    return entry(name).builder == "zoo.models.unet:unet" or "kernels" in builder_parameters(name)


def _accepts(name, options, rank):
    """Whether the network's builder has the options that the rule sets; the default networks do."""
    from zoo.registry import entry

    if entry(name).builder == "zoo.models.unet:unet":
        return True
    named = builder_parameters(name)
    return "depth" in named and "strides" in named and entry(name).options.get("depth", 4) == DEPTH[rank]
