"""Whether the network of a dataset takes volumes whole or slice by slice: the configuration, as nnU-Net calls it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from imaging.geometry.flat import PICTURE
from imaging.recipe import Recipe
from imaging.slices import ORIENTATIONS, across_axis
from medseg.errors import UsageError
from train.planning.inspection import CaseFacts

CONFIGURATIONS = ("2d", "2.5d", "3d", "3d-low", "cascade")
THICK = 3.0  # nnU-Net: an axis this much coarser than the others, and this much shorter in voxels, is of slices
FEWEST = 4  # slices below which an axis is not one that a 3D network could halve
NEIGHBOURS = 3  # slices that 2.5D takes: each, the one before and the one after
AXES = "RAS"  # what the axes of a fingerprint run towards
_RANKS = {"2d": 2, "2.5d": 2, "3d": 3, "3d-low": 3, "cascade": 3}


@dataclass(frozen=True)
class Asked:
    """What the user said that decides the configuration; None is by the rule.

    Attributes:
        configuration: one of ``CONFIGURATIONS``.
        slices: how many slices the network takes.
        plane: the anatomical axis across the slices, "R", "A" or "S".
        rank: of the network or patch that was given.
    """

    configuration: str | None = None
    slices: int | None = None
    plane: str | None = None
    rank: int | None = None


@dataclass(frozen=True)
class Slicing:
    """How a volume is cut.

    Attributes:
        configuration: one of ``CONFIGURATIONS``.
        slices: of the recipe: how many slices the network takes; 0 for a network of the scan's own axes.
        order: the axes of the fingerprint (RAS, or rows and columns in 2D) in the order of the prepared scan.
        orientation: of the recipe.
    """

    configuration: str
    slices: int
    order: tuple[int, ...]
    orientation: str | None

    def ordered(self, values) -> tuple:
        """Values along the axes of the fingerprint, along those of the prepared scan."""
        return tuple(values[axis] for axis in self.order)

    def as_measured(self, values) -> tuple | None:
        """Values along the axes of the prepared scan, along those of the fingerprint; None of None.

        A wrong number of them is for the recipe's check.
        """
        if values is None or len(values) != len(self.order):
            return values
        return tuple(values[self.order.index(axis)] for axis in range(len(self.order)))

    @classmethod
    def whole(cls, rank: int) -> "Slicing":
        """Scans as they are: flat images, or volumes whole."""
        return cls("2d", 0, (0, 1), PICTURE) if rank == 2 else cls("3d", 0, (0, 1, 2), AXES)

    @property
    def plane(self) -> tuple[int, ...]:
        """The axes of the fingerprint that the network's axes are, in order."""
        return self.order[1:] if self.slices else self.order


def whole_objects(asked: Asked) -> Asked:
    """What is asked for where label files of volumes hold objects, which are cut in three dimensions.

    Raises:
        UsageError: if a 2D network was asked for.
    """
    chosen = asked.configuration or _implied(asked)
    if chosen is not None and _RANKS.get(chosen) == 2:
        raise UsageError(f"configuration {chosen}: objects of volumes are cut in three dimensions; take 3d")
    if chosen == "cascade":
        raise UsageError("configuration cascade: joins networks of classes or regions, not of objects; take 3d")
    return asked if chosen else replace(asked, configuration="3d")


def along_own_slices(facts: Sequence[CaseFacts], asked: Asked) -> tuple[CaseFacts, ...] | None:
    """The facts of scans whose slices do not lie alike, each along its own: across them, then in their plane.

    Short-axis stacks of the heart are such scans: oblique, so that the axis across is nearest to another anatomical
    axis from one patient to the next.

    Args:
        facts: of all cases, along RAS.
        asked: what the user decided.

    Returns:
        The facts, or None where all slices lie alike, some scan has no thick slices, or the user wants otherwise.
    """
    if asked.plane is not None or _RANKS.get(asked.configuration or _implied(asked)) == 3:
        return None
    if len(facts[0].shape) != 3:
        return None
    across = [across_axis(fact.shape, fact.spacing) for fact in facts]
    best = (_by_slices(fact.spacing, fact.shape, axis)[0] for fact, axis in zip(facts, across, strict=True))
    if len(set(across)) == 1 or "3d" in best:
        return None
    return tuple(_turned(fact, ORIENTATIONS[AXES[axis]]) for fact, axis in zip(facts, across, strict=True))


def _turned(fact, orientation) -> CaseFacts:
    order = [AXES.index(code) for code in orientation]
    values = {name: tuple(getattr(fact, name)[axis] for axis in order) for name in ("shape", "cropped", "spacing")}
    return replace(fact, **values, centres=fact.centres[:, order], spreads=fact.spreads[:, order])


def plan_configuration(measured: dict, reasons: dict, asked: Asked = Asked(), own: bool = False) -> Slicing:
    """Decide between 2D and 3D; 2.5D is by the user's choice.

    Volumes go slice by slice through a 2D network where their slices are thick: one axis is more than 3 times coarser
    than the others and more than 3 times shorter in voxels (nnU-Net's rule for anisotropic data), or has fewer than 4
    slices, and more in its plane. All others go through a 3D network.

    Args:
        measured: the fingerprint.
        reasons: takes the reason.
        asked: what the user decided.
        own: the fingerprint is of ``along_own_slices``.

    Returns:
        The configuration, the axis across the slices first.

    Raises:
        UsageError: if what was asked for does not fit the scans, or each other.
    """
    _check(asked, measured["rank"])
    if measured["rank"] == 2:
        reasons["configuration"] = "2d: the scans are flat"
        return replace(Slicing.whole(2), orientation=measured.get("orientation", PICTURE))
    across, why = (0, "") if own else _across(measured, asked.plane)
    best, rule = _by_slices(measured["spacing"]["median"], measured["shape"]["median"], across)
    if own and best == "3d":  # of the medians alone, which no scan need have
        best, rule = "2d", "2d: thick slices in every scan, though not by the medians of all"
    chosen = asked.configuration or _implied(asked)
    reasons["configuration"] = f"given by the user; {rule}" if chosen else rule
    chosen = chosen or best
    if _RANKS[chosen] == 3:
        return replace(Slicing.whole(3), configuration=chosen)
    slices = asked.slices or (NEIGHBOURS if chosen == "2.5d" else 1)
    kept = "in the plane the scans are resampled, slices are kept"
    if own:
        reasons["recipe.slices"] = f"{slices}; slices lie along another axis from scan to scan, each scan's own count; "
        reasons["recipe.slices"] += kept
        return Slicing(chosen, slices, (0, 1, 2), None)
    reasons["recipe.slices"] = f"{slices} along axis {AXES[across]}, {why}; {kept}"
    orientation = ORIENTATIONS[AXES[across]]
    return Slicing(chosen, slices, tuple(AXES.index(code) for code in orientation), orientation)


def possible_configurations(recipe: Recipe) -> tuple[str, ...]:
    """The configurations that a recipe may be of, the usual one first: its spacing alone says low resolution."""
    if recipe.prior:
        return ("cascade",)
    if recipe.slices > 1:
        return ("2.5d",)
    return ("2d",) if recipe.patch_rank == 2 else ("3d", "3d-low")


def check_asked(asked: Asked) -> None:
    """Require what the user said to fit together, before any scan is read.

    Raises:
        UsageError: naming what does not.
    """
    chosen = asked.configuration
    if chosen is not None and chosen not in CONFIGURATIONS:
        raise UsageError(f"configuration {chosen!r}: expected one of {', '.join(CONFIGURATIONS)}")
    if asked.slices is not None and (asked.slices < 1 or asked.slices % 2 == 0):
        raise UsageError(f"context_slices {asked.slices}: expected an odd number, 1 for each slice alone")
    if asked.plane is not None and asked.plane not in ORIENTATIONS:
        raise UsageError(f"slice_axis {asked.plane!r}: expected one of {', '.join(ORIENTATIONS)}")
    if _RANKS.get(chosen) == 3 and (asked.slices or asked.plane):
        raise UsageError(f"configuration {chosen!r}: takes volumes whole; leave context_slices and slice_axis out")
    if asked.slices and chosen is not None and chosen != ("2d" if asked.slices == 1 else "2.5d"):
        raise UsageError(
            f"configuration {chosen!r}: expected context_slices {'of 3 and more' if chosen == '2.5d' else '1'}, got "
            f"{asked.slices}"
        )
    rank = _RANKS[chosen or _implied(Asked(slices=asked.slices, plane=asked.plane)) or "3d"]
    if asked.rank is not None and (chosen or asked.slices or asked.plane) and rank != asked.rank:
        raise UsageError(
            f"configuration {chosen or 'of slices'}: expected a {rank}D network and patch, got {asked.rank}D"
        )


def _check(asked, rank):
    check_asked(asked)
    chosen = asked.configuration or _implied(asked)
    if rank == 2 and (chosen not in (None, "2d") or asked.plane or asked.slices):
        named = asked.configuration or ("context_slices" if asked.slices else "slice_axis" if asked.plane else "3d")
        raise UsageError(f"configuration {named}: expected volumes, these scans are 2D; leave it out")


def _implied(asked) -> str | None:
    """The configuration that other options say; None where they say nothing."""
    if asked.slices:
        return "2d" if asked.slices == 1 else "2.5d"
    if asked.plane:
        return "2d"
    return None if asked.rank is None else {2: "2d", 3: "3d"}[asked.rank]


def _across(measured, plane) -> tuple[int, str]:
    """The axis across the slices, and why it is that: the coarsest, of equal ones the shortest."""
    if plane is not None:
        return AXES.index(plane), "given by the user"
    spacing, shape = measured["spacing"]["median"], measured["shape"]["median"]
    across = across_axis(shape, spacing)
    if shape[across] == 1:
        return across, "of which there is one"
    even = max(spacing) < 1.001 * min(spacing)
    return across, "the shortest, as the voxels are even" if even else "the coarsest: the plane has the finest voxels"


def _by_slices(spacing, shape, across) -> tuple[str, str]:
    """The configuration for scans of such slices, and the rule in words."""
    others = [axis for axis in range(3) if axis != across]
    ratio = spacing[across] / max(spacing[axis] for axis in others)
    count, side = shape[across], min(shape[axis] for axis in others)
    facts = f"{count:g} slices of {spacing[across]:g} mm, with voxels {spacing[across] / ratio:g} mm wide"
    if count < FEWEST < side:
        return "2d", f"2d: {count:g} slice{'s' * (count != 1)}, fewer than {FEWEST}"
    if ratio > THICK and THICK * count < side:
        return "2d", f"2d: thick slices ({facts}): more than {THICK:g} times coarser and shorter than their plane"
    return "3d", f"3d: no thick slices ({facts}); 2d where they are more than {THICK:g} times coarser and shorter"
