"""Which layout a 3D network is rewritten into: the one asked for, or what Vela reckons quickest on a target."""

from collections.abc import Callable, Sequence

import numpy as np

from export.conversion.convert import convert
from export.device import ethos
from export.device.ethos import EthosError
from export.formats import Format
from export.rewrite import RewriteError
from export.rewrite.layouts import FOLDS


def choose(
    model,
    chosen: Format,
    patch: Sequence[int],
    layout: str | None,
    target: ethos.Target | None,
    *,
    allow_cpu: bool = False,
    max_arena: int | None = None,
    tell: Callable[[str], None] = print,
) -> str | None:
    """The layout for an artifact; None is what is quickest on processors.

    Args:
        model: the Keras network.
        chosen: the format of the artifact.
        patch: spatial size of its input, voxels.
        layout: as asked for; it is taken then.
        target: NPU that the int8 TFLite file is made for: every layout is converted, on noise, and compiled, and the
            one of the least time is taken of those that fit ``max_arena``.
        allow_cpu: accept operators that the NPU does not have, where no layout is without.
        max_arena: memory for the activations, bytes.
        tell: takes a line of progress.

    Raises:
        RewriteError, EthosError: the network can be had in no layout.
    """
    if layout is not None or target is None or chosen.name != "tflite-int8" or len(patch) != 3:
        return layout
    noise = np.random.default_rng(0).normal(size=(*patch, model.inputs[0].shape[-1])).astype(np.float32)
    reports, problem = {}, None
    for name in FOLDS:
        try:
            converted = convert(model, chosen.name, patch, [noise], npu=True, layout=name)
            reports[name] = ethos.compile_tflite(converted.data, target, allow_cpu).report
        except (RewriteError, EthosError) as error:
            problem = error
            tell(f"{chosen.name}: not in the layout {name!r}: {error}")
    if not reports:
        raise problem

    def rank(name):
        report = reports[name]
        return max_arena is not None and report.activation_bytes > max_arena, len(report.cpu), report.seconds

    ranked = sorted(reports, key=rank)
    figures = ", ".join(f"{name} {1e3 * reports[name].seconds:.1f} ms" for name in ranked)
    tell(f"{chosen.name}: layout {ranked[0]!r}, by what Vela reckons for {target.accelerator}: {figures}")
    return ranked[0]
