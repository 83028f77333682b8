"""Which form a 3D network is rewritten into: the one asked for, or what Vela reckons quickest on a target."""

from collections.abc import Callable, Sequence

import numpy as np

from export.conversion.convert import convert
from export.device import ethos
from export.device.ethos import EthosError
from export.errors import FormatError
from export.formats import Format
from export.rewrite import RewriteError
from export.rewrite.layouts import FOLDS, check_form


def check_choice(form: str | None, patch: Sequence[int]) -> None:
    """Require that a form exists and that the network has three axes.

    Raises:
        FormatError: if not.
    """
    check_form(form)
    if form is not None and len(patch) != 3:
        raise FormatError(f"form {form}: holds for 3D networks, this one takes {len(patch)} axes; leave it out")


def choose(
    model,
    chosen: Format,
    patch: Sequence[int],
    form: str | None,
    target: ethos.Target | None,
    *,
    allow_cpu: bool = False,
    max_arena: int | None = None,
    tell: Callable[[str], None] = print,
) -> str | None:
    """The form for an artifact; None is what is quickest on processors.

    Args:
        model: the Keras network.
        chosen: the format of the artifact.
        patch: spatial size of its input, voxels.
        form: as asked for; it is taken then.
        target: NPU that the int8 TFLite file is made for: every form is converted, on noise, and compiled, and the one
            of the least time is taken of those that fit ``max_arena``.
        allow_cpu: accept operators that the NPU does not have, where no form is without.
        max_arena: memory for the activations, bytes.
        tell: takes a line of progress.

    Raises:
        RewriteError, EthosError: the network can be had in no form.
    """
    if form is not None or target is None or chosen.name != "tflite-int8" or len(patch) != 3:
        return form
    noise = np.random.default_rng(0).normal(size=(*patch, model.inputs[0].shape[-1])).astype(np.float32)
    reports, problem = {}, None
    for name in FOLDS:
        try:
            converted = convert(model, chosen.name, patch, [noise], npu=True, form=name)
            reports[name] = ethos.compile_tflite(converted.data, target, allow_cpu).report
        except (RewriteError, EthosError) as error:
            problem = error
            tell(f"{chosen.name}: not in the form {name!r}: {error}")
    if not reports:
        raise problem

    def rank(name):
        report = reports[name]
        return max_arena is not None and report.activation_bytes > max_arena, len(report.cpu), report.seconds

    ranked = sorted(reports, key=rank)
    figures = ", ".join(f"{name} {1e3 * reports[name].seconds:.1f} ms" for name in ranked)
    tell(f"{chosen.name}: form {ranked[0]!r}, by what Vela reckons for {target.accelerator}: {figures}")
    return ranked[0]
