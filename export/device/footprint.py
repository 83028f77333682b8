"""What a network takes on this machine before it is trained: converted to int8 TFLite and run on LiteRT as it is."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.manifest import Manifest, sha256
from export.bench.process import PEERS, Contestant, Worker, WorkerError
from export.conversion.convert import convert
from export.device import arena
from export.device.latency import machine
from imaging.labels import Label
from imaging.recipe import Recipe
from medseg import record
from medseg.errors import InputError, UsageError

FORMAT = "tflite-int8"
SECONDS = 2.0
FEWEST, MOST = 5, 50


@dataclass(frozen=True)
class Footprint:
    """What one patch takes.

    Attributes:
        milliseconds: median time, float32 in and out.
        peak_bytes: most memory that the process of the runtime held at once, as ``zoo bench`` gives it.
        idle_bytes: what it held before it opened the network.
        arena_bytes: of the activations, as LiteRT plans them without a delegate; see ``export.device.arena``.
        size_bytes: of the file.
        threads: processor threads.
        runs: that were timed.
        machine: the processor.
    """

    milliseconds: float
    peak_bytes: int
    idle_bytes: int
    arena_bytes: int
    size_bytes: int
    threads: int
    runs: int
    machine: str


def footprint(model, threads: int = 2, seconds: float = SECONDS) -> Footprint:
    """Convert a network as it is and run it in a process of its own, without TensorFlow.

    Neither time nor memory depends on what the weights and the calibration patch hold.

    Args:
        model: functional Keras network of a fixed input size.
        threads: processor threads of the runtime.
        seconds: what the timed runs may take about; at least 5 are made, at most 50.

    Raises:
        UsageError: if ``threads`` is not positive.
        InputError: if the network cannot be converted to int8, or the runtime does not run it.
    """
    if threads < 1:
        raise UsageError(f"threads {threads}: expected at least 1")
    *patch, channels = model.inputs[0].shape[1:]
    noise = np.random.default_rng(0).standard_normal((*patch, channels), np.float32)
    converted = convert(model, FORMAT, patch, [noise])
    with tempfile.TemporaryDirectory(prefix="zoo-footprint-") as folder:
        folder = Path(folder)
        np.save(folder / "input.npy", noise)
        _write(converted, patch, channels, model.outputs[0].shape[-1], folder)
        job = {"input": str(folder / "input.npy"), "artifact": str(folder), "trust": None}
        worker = Worker(Contestant(model.name, PEERS / "artifact.py", job), threads, folder / "work")
        try:
            (variant,) = worker.ask("prepare")["variants"]
            idle = worker.ask("memory")["peak_bytes"]
            first_ms = worker.ask("open", variant=variant)["first_ms"]
            runs = int(np.clip(1e3 * seconds / first_ms, FEWEST, MOST))
            spent = worker.ask("run", uncounted=2, counted=runs)["ms"]
            peak = worker.ask("memory")["peak_bytes"]
        except WorkerError as error:
            raise InputError(f"{model.name}: LiteRT does not run it as {FORMAT}: {error}") from None
        finally:
            worker.close()
    planned = arena.measure(converted.data).size
    return Footprint(
        float(np.median(spent)), peak, idle, planned, len(converted.data), threads, runs, machine()["processor"]
    )


def _write(converted, patch, channels, classes, folder):
    """The part of an artifact folder that the runtime needs."""
    file = folder / converted.format.file
    file.write_bytes(converted.data)
    manifest = Manifest(
        name="candidate",
        format=converted.format.name,
        model=file.name,
        sha256=sha256(file),
        recipe=Recipe(rank=len(patch), channels=channels),
        patch=tuple(patch),
        overlap=0.0,
        labels=tuple(Label(f"class {value}", value) for value in range(classes)),
        channels=tuple(f"channel {number}" for number in range(channels)),
        folded=converted.folded,
        form=converted.layout,
        input=converted.input,
        output=converted.output,
    )
    record.save(folder / "manifest.json", manifest)
