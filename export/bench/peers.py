"""The peers: other runtimes for the same network, what each needs, and which interpreter has it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from export.bench.process import PEERS as FOLDER
from export.bench.process import Contestant
from medseg.errors import InputError, UsageError, expected_one_of


@dataclass(frozen=True)
class Peer:
    """Another runtime, in one precision.

    Attributes:
        name: as given to ``--peer``.
        runtime: file in ``export/bench/runtimes/``, without its suffix.
        packages: what it imports, by the name that pip knows it under.
        description: in words.
        job: what its file is told besides.
        slow: takes a minute or more to get ready, so it runs only when named.
    """

    name: str
    runtime: str
    packages: tuple[str, ...]
    description: str
    job: dict = field(default_factory=dict)
    slow: bool = False


_ONNX_RUNTIME, _OPENVINO, _PYTORCH = ("onnxruntime",), ("openvino",), ("torch", "onnx")
PEERS = {
    peer.name: peer
    for peer in (
        Peer("tensorflow-float32", "tensorflow", ("tensorflow", "keras"), "the Keras network, as a graph or by XLA"),
        Peer("onnxruntime-float32", "onnx_runtime", _ONNX_RUNTIME, "native 3D", {"precision": "float32"}),
        Peer(
            "onnxruntime-int8",
            "onnx_runtime",
            ("onnxruntime", "onnx"),
            "ONNX Runtime's own static quantization (QDQ), native 3D",
            {"precision": "int8"},
        ),
        Peer("openvino-float32", "openvino", _OPENVINO, "native 3D", {"precision": "float32"}),
        Peer("openvino-bfloat16", "openvino", _OPENVINO, "native 3D", {"precision": "bfloat16"}),
        Peer("openvino-int8", "openvino", ("openvino", "nncf"), "quantized by NNCF, native 3D", {"precision": "int8"}),
        Peer("pytorch-float32", "pytorch", _PYTORCH, "eager, the better memory layout", {"precision": "float32"}),
        Peer("pytorch-bfloat16", "pytorch", _PYTORCH, "eager, the better memory layout", {"precision": "bfloat16"}),
        Peer(
            "pytorch-compile-float32",
            "pytorch",
            _PYTORCH,
            "torch.compile, which needs a C++ compiler",
            {"precision": "float32", "compile": True},
            slow=True,
        ),
        Peer(
            "pytorch-compile-bfloat16",
            "pytorch",
            _PYTORCH,
            "torch.compile, which needs a C++ compiler",
            {"precision": "bfloat16", "compile": True},
            slow=True,
        ),
    )
}
_PROBE = """
import importlib.util, json, sys
print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]))
"""


@dataclass(frozen=True)
class Found:
    """Where peers are.

    Attributes:
        python: interpreter by name of a peer.
        absent: why it cannot run, by name of a peer.
    """

    python: dict[str, str]
    absent: dict[str, str]


@dataclass(frozen=True)
class PeerOptions:
    """Which peers shall run beside the artifacts.

    Attributes:
        named: peers that must run.
        every: run every peer that is installed, but for the slow ones; the others are named as failures.
        model: what peers are made from: a run folder, a saved Keras network, or a Keras model.
        pythons: further interpreters to look for peers in.
    """

    named: Sequence[str] = ()
    every: bool = False
    model: object = None
    pythons: Sequence[str] = ()


def choose(names: Sequence[str], every: bool) -> list[Peer]:
    """The peers named, and with ``every`` all that are not slow.

    Raises:
        UsageError: for an unknown name.
    """
    for name in names:
        if name not in PEERS:
            raise UsageError(f"peer {name!r}: {expected_one_of(name, PEERS)}")
    return [peer for name, peer in PEERS.items() if name in names or (every and not peer.slow)]


def find(peers: Sequence[Peer], pythons: Sequence[str] = ()) -> Found:
    """The first interpreter that has all packages of each peer, this one before those given.

    Raises:
        InputError: if one cannot be run.
    """
    packages = sorted({package for peer in peers for package in peer.packages})
    missing = {python: _missing(python, packages) for python in dict.fromkeys((sys.executable, *map(str, pythons)))}
    pythons_of, absent = {}, {}
    for peer in peers:
        lacking = {python: [p for p in peer.packages if p in missing[python]] for python in missing}
        best = min(lacking, key=lambda python: len(lacking[python]))
        if lacking[best]:
            names = " ".join(lacking[best])
            absent[peer.name] = f"not installed: {names}; pip install {names}, or --python of an interpreter with it"
        else:
            pythons_of[peer.name] = best
    return Found(pythons_of, absent)


def contestants(peers: Sequence[Peer], available: Found, job: dict, written=None) -> list[Contestant]:
    """Those that were found, as contestants.

    Args:
        peers: what was asked for.
        available: from ``find``.
        job: files that they are made from, see ``export.bench.network``.
        written: the class index that each region writes, of a network of regions; else None.
    """
    return [
        Contestant(
            peer.name, FOLDER / f"{peer.runtime}.py", {**job, **peer.job}, available.python[peer.name], True, written
        )
        for peer in peers
        if peer.name in available.python
    ]


def _missing(python, packages) -> set[str]:
    try:
        # The current folder may hold one of the name; an interpreter before 3.11 knows no -P, but no harm by this.
        safe = {**os.environ, "PYTHONSAFEPATH": "1"}
        ended = subprocess.run([python, "-c", _PROBE, *packages], capture_output=True, text=True, timeout=120, env=safe)
    except OSError as error:
        raise InputError(f"{python}: cannot be run ({error.strerror}); give a Python interpreter") from None
    if ended.returncode:
        raise InputError(f"{python}: is no Python interpreter that works; give another --python")
    return set(json.loads(ended.stdout))
