"""Which patch, and which width, make an artifact fit the memory of a device: found by converting, not by guessing."""

import importlib
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from export.conversion.convert import convert
from export.conversion.converted import Converted
from export.device import arena
from export.device.arena import ArenaError
from medseg.byte_sizes import spell_size
from medseg.errors import InputError

TRIES = 6


@dataclass(frozen=True)
class Fit:
    """A setting whose artifact was made and measured.

    Attributes:
        patch: input size, voxels.
        width: of the network, where that is what was changed.
        size: memory of the activations, bytes.
    """

    patch: tuple[int, ...]
    width: int | None
    size: int


def activation_bytes(converted: Converted) -> int:
    """Activation memory of a TFLite file, bytes."""
    return arena.measure(converted.data).size


@dataclass(frozen=True)
class Origin:
    """How a network was built.

    Attributes:
        network: registry entry, or None for a network of the user's own.
        options: what it was built with.
    """

    network: str | None = None
    options: dict = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether the registry can build it again."""
        import zoo

        return self.network in zoo.list_models()


def built_from(provenance: dict) -> Origin:
    """How a run's network was built, from the provenance of ``export.source.source``."""
    return Origin(provenance.get("network"), provenance.get("options") or {})


def check(
    model,
    converted: Converted,
    patch: Sequence[int],
    limit: int,
    origin: Origin | None = None,
    *,
    memory: Callable[[Converted], int] = activation_bytes,
    tell: Callable[[str], None] = print,
) -> None:
    """Require an artifact to fit; if it does not, look for a patch and a width with which it would.

    Args:
        model: the Keras network that it was made from.
        converted: the artifact; a TFLite file.
        patch: its input size, voxels.
        limit: memory for its activations, bytes.
        origin: how the network was built; a width is proposed for those of the registry.
        memory: what a converted file needs, bytes.
        tell: takes a line of progress.

    Raises:
        ArenaError: with what it needs, where, and what would fit.
    """
    needed = memory(converted)
    if needed <= limit:
        return
    format_name, patch = converted.format.name, tuple(patch)
    tell(
        f"{format_name}: needs {spell_size(needed)} for its activations, "
        "looking for a patch and a width within the limit"
    )
    origin = origin or Origin()

    def size_of(network, size):
        return memory(_convert(network, converted, size))

    smaller = smaller_patch(model, origin, patch, limit, needed, size_of)
    narrower = narrower_network(model, origin, patch, limit, needed, size_of)
    mends = []
    if smaller is not None:
        size = " ".join(map(str, smaller.patch))
        mends.append(f"--patch {size} needs {spell_size(smaller.size)}")
    if narrower is not None:
        mends.append(
            f"{origin.network} trained with width {narrower.width} needs {spell_size(narrower.size)} at this patch"
        )
    peak = arena.measure(converted.data).operator
    raise ArenaError(
        f"{format_name}: its activations need {spell_size(needed)}, most at {peak}; expected at most "
        f"{spell_size(limit)}; "
        + ("; ".join(mends) if mends else "no smaller patch and no narrower network was found that fits")
    )


def smaller_patch(
    model, origin: Origin, patch: Sequence[int], limit: int, needed: int, size_of: Callable[..., int]
) -> Fit | None:
    """The largest patch of about the same proportions whose artifact fits.

    Args:
        model: the Keras network.
        origin: how it was built.
        patch: what does not fit, voxels.
        limit: memory for activations, bytes.
        needed: what the artifact of ``patch`` needs, bytes.
        size_of: function of a network and a patch to what their artifact needs, bytes.

    Returns:
        None if none of the first few candidates fits.
    """

    def measure(size):
        try:
            return size_of(resized(model, size, origin), size)
        except InputError:  # not a size that this network takes
            return None

    smaller = _search(_shrunk(patch, _steps(origin, patch)), math.prod, measure, limit, needed / math.prod(patch))
    return None if smaller is None else Fit(smaller[0], None, smaller[1])


def narrower_network(
    model, origin: Origin, patch: Sequence[int], limit: int, needed: int, size_of: Callable[..., int]
) -> Fit | None:
    """The widest registry network of the same kind whose artifact fits at the same patch; its weights are random.

    Arguments as for ``smaller_patch``.

    Returns:
        None if the network is none of the registry's, has no width, or none of the first few candidates fits.
    """
    width = _width(origin)
    if width is None:
        return None
    import zoo

    channels, classes = model.inputs[0].shape[-1], model.outputs[0].shape[-1]

    def measure(candidate):
        options = {**origin.options, "width": candidate}
        return size_of(zoo.get(origin.network, (*patch, channels), classes=classes, **options), patch)

    narrower = _search(range((width - 1) // 4 * 4, 0, -4), float, measure, limit, needed / width)
    return None if narrower is None else Fit(tuple(patch), *narrower)


def _search(candidates, amount, measure, limit, rate):
    """The first candidate that fits: those that would not at ``rate`` bytes an amount are passed over unmade."""
    tried = 0
    for candidate in candidates:
        if amount(candidate) * rate > limit:
            continue
        if tried == TRIES:
            return None
        size = measure(candidate)
        if size is None:
            continue
        tried += 1
        if size <= limit:
            return candidate, size
        rate = size / amount(candidate)
    return None


def _shrunk(patch: Sequence[int], steps: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Patches of about the same proportions, each size divisible by its step, largest first."""
    scales = sorted({count * step / size for size, step in zip(patch, steps, strict=True)
                     for count in range(1, -(-size // step))}, reverse=True)  # fmt: skip
    seen = {tuple(patch)}
    for scale in scales:
        candidate = tuple(
            max(step, int(size * scale / step + 1e-9) * step) for size, step in zip(patch, steps, strict=True)
        )
        if candidate not in seen and math.prod(candidate) < math.prod(patch):
            seen.add(candidate)
            yield candidate


def _convert(model, like: Converted, patch) -> Converted:
    """An artifact for its memory's sake: the values that it is calibrated with change nothing in that."""
    channels = model.inputs[0].shape[-1]
    noise = np.random.default_rng(0).normal(size=(*patch, channels)).astype(np.float32)
    return convert(
        model, like.format.name, patch, [noise], float_layers=len(like.float_layers), npu=like.npu,
        layout=like.layout or None, processor=like.processor or None,
    )  # fmt: skip


def resized(model, patch: Sequence[int], origin: Origin):
    """The same network, the same weights, for patches of another size.

    Args:
        model: functional Keras network.
        patch: the size, voxels.
        origin: how it was built.

    Returns:
        ``model`` itself if its input is open or of that size already.

    Raises:
        InputError: if the network cannot take it.
    """
    import keras

    import zoo

    before, after = tuple(model.inputs[0].shape[1:-1]), tuple(patch)
    if after == before or None in before:
        return model
    shape = (*after, model.inputs[0].shape[-1])
    try:
        if origin.known:
            again = zoo.get(origin.network, shape, classes=model.outputs[0].shape[-1], **origin.options)
            again.set_weights(model.get_weights())
            return again
        # The layers themselves at another size: nothing is copied.
        return keras.models.clone_model(model, keras.Input(shape), clone_function=lambda layer: layer)
    except (ValueError, TypeError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(f"{model.name}: does not take patch {after}, it was made for {before} ({first})") from None


def _steps(origin, patch) -> tuple[int, ...]:
    """What the sizes of a patch divide by: as a registry network says, or the powers of two that they do divide by."""
    import zoo

    multiple = None
    if origin.known:
        multiple = getattr(zoo.get(origin.network, (*patch, 1), **origin.options), "multiple", None)
    return tuple(math.gcd(size, step) for size, step in zip(patch, multiple or [16] * len(patch), strict=True))


def _width(origin) -> int | None:
    """The width that a registry network was built with, None where it has none or lists one for each level."""
    from zoo.registry import entry

    if not origin.known:
        return None
    network = entry(origin.network)
    builder = network.builder
    if isinstance(builder, str):
        module, _, function = builder.partition(":")
        builder = getattr(importlib.import_module(module), function)
    given = {**network.options, **origin.options}
    parameter = inspect.signature(builder).parameters.get("width")
    if parameter is None or given.get("widths") is not None:
        return None
    return given.get("width", parameter.default if isinstance(parameter.default, int) else None)
