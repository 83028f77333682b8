"""What candidate networks take: weights and operations are counted, time and memory measured, of as few as will do."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from medseg.byte_sizes import spell_size
from medseg.errors import InputError, UsageError
from train.planning.plan import Network

APART = 1.2  # ratio of two candidates' activations from which on a line through both says what others need


@dataclass(frozen=True)
class Bounds:
    """What the network may take at its patch; None for no limit. The last three are of its int8 TFLite file on LiteRT.

    Attributes:
        params: weights.
        macs: multiply-accumulate operations of one patch.
        arena: memory of the activations, bytes.
        ram: memory of the process that runs it, the runtime included, bytes.
        ms: time of one patch on this machine, milliseconds.
        threads: processor threads that time and memory are measured with.
    """

    params: int | None = None
    macs: int | None = None
    arena: int | None = None
    ram: int | None = None
    ms: float | None = None
    threads: int = 2

    def __bool__(self):
        return any(getattr(self, name) is not None for name in NAMES)

    @property
    def measured(self) -> bool:
        """Whether something is bounded that only running the network tells."""
        return any(getattr(self, name) is not None for name in MEASURED)

    def hold(self, figures: dict) -> bool:
        """Whether no figure is above its bound; figures by the names of the bounds."""
        return not self.broken(figures)

    def broken(self, figures: dict) -> list[str]:
        """Names of the bounds that figures are above."""
        limits = {name: getattr(self, name) for name in figures}
        return [name for name, limit in limits.items() if limit is not None and figures[name] > limit]


MEASURED = ("arena", "ram", "ms")
NAMES = {"params": "max_params", "macs": "max_macs", "arena": "max_arena", "ram": "max_ram", "ms": "target_ms"}
"""Each bound, and what the user calls it."""


def spell(name: str, value: float) -> str:
    """A figure in words, such as "14.2 ms"."""
    if name in ("arena", "ram"):
        return f"{spell_size(value)} of {'activations' if name == 'arena' else 'memory'}"
    if name == "ms":
        return f"{float(f'{value:.3g}'):g} ms"
    return f"{value} {'weights' if name == 'params' else 'operations'}"


class Candidates:
    """Networks of one kind that differ in width and patch.

    Args:
        network: as planned.
        bounds: that one is looked for within.
        channels: of the input.
        classes: background included.
        measure: from a Keras network and a number of threads to its ``export.footprint``; needed for bounds on time and
            memory.
        tell: takes a line on what was measured.
    """

    def __init__(
        self,
        network: Network,
        bounds: Bounds,
        channels: int,
        classes: int,
        measure: Callable | None = None,
        tell: Callable[[str], None] | None = None,
    ):
        self.network = network
        self.bounds = bounds
        self.channels = channels
        self.classes = classes
        self._measure = measure
        self._tell = tell
        self._counted = {}
        self._measured = {}  # in the order of measuring: (counted, footprint)

    def named(self, width) -> str:
        """The network in words."""
        return f"network {self.network.name!r}" + (f" of width {width}" if width else "")

    def counted(self, width, patch):
        """The ``zoo.Info`` of a candidate."""
        import zoo

        if (width, patch) not in self._counted:
            shape = (*patch, self.channels)
            cost = zoo.info(self.network.name, shape, classes=self.classes, **self._options(width))
            self._counted[width, patch] = cost
        return self._counted[width, patch]

    def figures(self, width, patch) -> dict:
        """Every figure of a candidate by the name of its bound; it is measured if something measured is bounded."""
        cost = self.counted(width, patch)
        counted = {"params": cost.parameters, "macs": cost.macs}
        if not self.bounds.measured:
            return counted
        taken = self.footprint(width, patch)
        return counted | {"arena": taken.arena_bytes, "ram": taken.peak_bytes, "ms": taken.milliseconds}

    def fits(self, width, patch) -> bool:
        """Whether a candidate keeps the bounds; it is measured only if the others measured leave hope."""
        return self.may_fit(width, patch, patch) and self.bounds.hold(self.figures(width, patch))

    def may_fit(self, width, patch, counted) -> bool:
        """Whether a candidate might keep the bounds, as far as known.

        Args:
            width: of the network.
            patch: its patch.
            counted: the patch that operations and activations are counted at; they are about in proportion to voxels.
        """
        cost = self.counted(width, counted)
        share = math.prod(patch) / math.prod(counted)
        expected = self._expected(cost.macs * share, cost.peak_activation_bytes * share)
        return self.bounds.hold({"params": cost.parameters, "macs": cost.macs * share, **expected})

    def footprint(self, width, patch):
        """What a candidate takes on this machine, measured once.

        Raises:
            UsageError: if there is nothing to measure with, or the network cannot be converted.
        """
        import zoo

        if (width, patch) in self._measured:
            return self._measured[width, patch][1]
        asked = next(NAMES[name] for name in MEASURED if getattr(self.bounds, name) is not None)
        if self._measure is None:
            raise UsageError(
                f"{asked}: networks are measured for it as the device runs them; zoo plan does so, and "
                "train.make_plan with measure=export.footprint"
            )
        shape = (*patch, self.channels)
        try:
            model = zoo.get(self.network.name, shape, classes=self.classes, **self._options(width))
            taken = self._measure(model, self.bounds.threads)
        except InputError as error:
            raise UsageError(f"{asked}: {self.named(width)} cannot be measured for it: {error}") from None
        self._measured[width, patch] = self.counted(width, patch), taken
        if self._tell:
            figures = ", ".join(spell(name, value) for name, value in self.figures(width, patch).items())
            self._tell(f"{self.named(width)}, patch {' × '.join(map(str, patch))}: {figures}")
        return taken

    def _options(self, width):
        return self.network.options | ({"width": width} if width else {})

    def _expected(self, macs, activations) -> dict:
        """Time and memory by the last candidate that was measured; nothing before the first.

        Narrower networks and smaller patches take more for each operation, so what is ruled out here is so rightly.
        """
        if not self._measured:
            return {}
        *earlier, (info, taken) = self._measured.values()
        grown = activations / info.peak_activation_bytes
        base = taken.idle_bytes
        for neighbour, its in earlier[-1:]:
            ratio = neighbour.peak_activation_bytes / info.peak_activation_bytes
            if max(ratio, 1 / ratio) >= APART:  # runtime and kernels take a part that does not shrink
                base = max(base, min(taken.peak_bytes, (its.peak_bytes - ratio * taken.peak_bytes) / (1 - ratio)))
        return {
            "arena": taken.arena_bytes * grown,
            "ram": base + (taken.peak_bytes - base) * grown,
            "ms": taken.milliseconds * macs / info.macs,
        }
