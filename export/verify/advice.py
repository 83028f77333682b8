"""What a user can do about an artifact that loses too much; never what was tried already."""

from dataclasses import dataclass

from export.formats import FORMATS, Format
from export.source.fine_tuned import mismatched_rounding, weight_bits
from export.source.source import Source, run_folder
from medseg.command import command_line

FLOAT_LAYERS = 8


@dataclass(frozen=True)
class Tried:
    """How an artifact was made that loses too much.

    Attributes:
        method: calibration method that was asked for.
        float_layers: that were allowed.
        weights: scales of the weights.
        processor: that it was made for; "" for none in particular.
    """

    method: str = "auto"
    float_layers: int = 0
    weights: str = "per-channel"
    processor: str = ""


def advise(source: Source, kind: Format, tried: Tried) -> str:
    """A sentence of what is left to do.

    Args:
        source: what was exported.
        kind: the format that lost too much.
        tried: how it was made.
    """
    ways = [*_int8_ways(source, kind, tried)] if kind.activations == "int8" else []
    if kind.quantized:
        ways.append("calibrate with more cases" if run_folder(source) is None else "train on more cases")
        ways.append(f"export {' or '.join(_finer(kind))}: float32 is exact")
    elif kind.name.endswith("float32"):
        ways.append("it should be exact: report this, and export the other runtime's float32 meanwhile")
    else:
        ways.append(f"export {kind.runtime}-float32, which is exact")
    ways.append("write it all the same with --ship-anyway")
    return "; or ".join(ways)


def _finer(kind):
    """Formats of the same runtime that lose less, the exact one last."""
    return [name for name in (f"{kind.runtime}-float16", f"{kind.runtime}-float32") if name in FORMATS]


def _int8_ways(source, kind, tried):
    if tried.method != "auto":
        yield "leave --calibration to auto"
    if tried.weights != "per-channel":
        yield "use --weights per-channel"
    if not tried.float_layers:
        yield f"leave some layers in float with --allow-float {FLOAT_LAYERS}"
    else:
        yield f"leave more layers in float with --allow-float {max(2 * tried.float_layers, FLOAT_LAYERS)}"
    folder = run_folder(source)
    if folder is None or source.first is not None:
        return
    rounding = mismatched_rounding(source.provenance, kind.name, tried.processor)
    if source.reference is not None and rounding is None:
        yield "fine-tune longer: zoo finetune with more --epochs"
        return
    words = [] if kind.name == "tflite-int8" else ["--format", kind.name]
    words += [] if tried.weights == "per-channel" else ["--weights", tried.weights]
    words += ["--weight-bits", str(bits)] if (bits := weight_bits(kind.name, tried.processor)) else []
    why = "" if rounding is None else f", as this one was for {rounding}"
    yield f"fine-tune for {kind.name}{why}: {command_line('zoo finetune', folder, '--out', f'{folder}-int8', *words)}"
