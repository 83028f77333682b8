"""Fine-tuning: a network that starts from weights of another, and layers that stay as they are."""

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.errors import InputError, UsageError

SUFFIXES = (".keras", ".npz")


@dataclass(frozen=True)
class Start:
    """``start.json`` of a run: what became of the layers of a network that started from others' weights.

    Attributes:
        source: run folder, file or shipped set.
        loaded: layers that took their weights from it.
        fresh: layers that did not, with the reason.
        unused: layers of the source that have no counterpart.
        frozen: layers that stay as they are.
    """

    source: str
    loaded: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()


def source_weights(source: str, network: str) -> dict[str, np.ndarray]:
    """Weights to start from, by path (layer/weight).

    Args:
        source: a run folder, a ``.keras`` or ``.npz`` file, or the name of a shipped set, such as "unet3d-hippocampus".
        network: registry entry; of sets of the same name that of this network is taken.

    Raises:
        InputError: if it is none of these or cannot be read.
    """
    path = Path(source)
    if path.is_dir():
        from train.fitting.run import open_run

        return _of_model(open_run(path).model())
    if not path.is_file():
        return _shipped(source, network)
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: expected a run folder, or a {' or '.join(SUFFIXES)} file")
    try:
        if path.suffix == ".npz":
            from zoo.weights import read_arrays

            return read_arrays(path)
        import zoo

        return _of_model(zoo.load(path, compile=False))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: cannot be read as weights ({error})") from None


def load_start(model, weights: dict[str, np.ndarray], source: str) -> Start:
    """Give a network the weights of the layers that have the same name and shapes in ``weights``.

    Args:
        model: the network, changed in place.
        weights: from ``source_weights``.
        source: its name, for the record.

    Returns:
        What became of each layer.

    Raises:
        InputError: if no layer fits.
    """
    own, given = _by_layer({weight.path: weight for weight in model.weights}), _by_layer(weights)
    loaded, fresh = [], []
    for layer, variables in own.items():
        shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
        stored = {name: tuple(value.shape) for name, value in given.get(layer, {}).items()}
        if shapes != stored:
            fresh.append(f"{layer}: {_difference(shapes, stored)}")
            continue
        for name, variable in variables.items():
            variable.assign(given[layer][name].astype("float32"))
        loaded.append(layer)
    if not any(len(weight.shape) > 1 for layer in loaded for weight in own[layer].values()):
        # Norms and biases alone, by names that many networks share, are no start: those of a 2D network fit a 3D one.
        raise InputError(
            f"{source}: none of its {len(given)} layers fits one of {model.name} by name and shape of its kernel; "
            "start from weights of the same network"
        )
    return Start(source, tuple(loaded), tuple(fresh), tuple(layer for layer in given if layer not in own))


def freeze(model, patterns: Sequence[str]) -> tuple[str, ...]:
    """Keep layers from being trained; their batch normalisations use their stored statistics.

    Args:
        model: the network, before it is compiled.
        patterns: wildcards on the names of layers; one without ``*``, ``?`` or ``[`` means every name that begins so.

    Returns:
        The names of the layers with weights that are frozen.

    Raises:
        UsageError: if a pattern fits no layer with weights, or nothing is left to train.
    """
    layers = [layer for layer in model.layers if layer.weights]
    frozen = []
    for pattern in patterns:
        fitting = [layer for layer in layers if _fits(layer.name, pattern)]
        if not fitting:
            raise _fits_none(pattern, model)
        for layer in fitting:
            layer.trainable = False
        frozen += [layer.name for layer in fitting]
    if not model.trainable_variables:
        raise UsageError(f"training.freeze {', '.join(patterns)}: leaves nothing of {model.name} to train")
    return tuple(dict.fromkeys(frozen))


def check_patterns(model, patterns: Sequence[str]) -> None:
    """Require patterns to fit layers of networks like one, which may have more levels than that.

    Args:
        model: of the kind of the network.
        patterns: as for ``freeze``.

    Raises:
        UsageError: for one that fits none.
    """
    names = {layer.name for layer in model.layers if layer.weights}
    names |= {re.sub(r"\d+", str(level), name, count=1) for name in names for level in range(10)}
    for pattern in patterns:
        if not any(_fits(name, pattern) for name in names):
            raise _fits_none(pattern, model)


def _fits(name, pattern) -> bool:
    wildcard = pattern if any(sign in pattern for sign in "*?[") else pattern + "*"
    return fnmatch.fnmatchcase(name, wildcard)


def _fits_none(pattern, model) -> UsageError:
    names = ", ".join([layer.name for layer in model.layers if layer.weights][:8])
    return UsageError(f"training.freeze {pattern!r}: fits no layer of {model.name}; its layers are {names}, ...")


def start_text(start: Start) -> str:
    """What became of the layers, in a few lines."""
    lines = []
    if start.source:
        lines.append(f"{start.source}: {len(start.loaded)} layers loaded, {len(start.fresh)} fresh")
        lines += [f"  fresh: {text}" for text in start.fresh]
        lines += [f"  not used: {', '.join(start.unused)}"] if start.unused else []
    if start.frozen:
        lines.append(f"frozen: {len(start.frozen)} layers, {start.frozen[0]} to {start.frozen[-1]}")
    return "\n".join(lines)


def check_source(source: str, network: str | None = None) -> None:
    """Require that there is something to start from, without reading it.

    Args:
        source: as for ``source_weights``.
        network: registry entry, where it is known.

    Raises:
        InputError: if a folder is no finished run, or a file is of another kind.
        UsageError: if it is neither a folder nor a file nor a shipped set.
    """
    path = Path(source)
    if path.is_dir():
        from train.fitting.run import open_run

        open_run(path).check_finished()
    elif not path.is_file():
        _card(source, network)
    elif path.suffix not in SUFFIXES:
        raise InputError(f"{path}: expected a run folder or a {' or '.join(SUFFIXES)} file")


def _shipped(source, network):
    import zoo

    card = _card(source, network)
    return _of_model(zoo.get(card.entry, weights=card.name))


def _card(source, network):
    """The card of the shipped set that is meant."""
    from zoo.errors import ZooError
    from zoo.weights import card_by_name

    try:
        return card_by_name(source, prefer=network)
    except ZooError as error:
        raise UsageError(f"{source}: no such run folder or file ({', '.join(SUFFIXES)}), and {error}") from None


def _of_model(model):
    return {weight.path: weight.numpy() for weight in model.weights}


def _by_layer(weights):
    layers = {}
    for path, value in weights.items():
        layer, _, name = path.rpartition("/")
        layers.setdefault(layer, {})[name] = value
    return layers


def _difference(shapes, stored):
    if not stored:
        return "not in the source"
    for name in sorted({*shapes, *stored}):
        if shapes.get(name) != stored.get(name):
            return f"{name} has shape {shapes.get(name, 'none')} here and {stored.get(name, 'none')} there"
    return "differs"
