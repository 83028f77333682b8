"""What can be asked of an export, checked once where it comes in."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from export.conversion.onnx_options import OnnxOptions, check_options, refuse_folded
from export.device import arena, ethos
from export.device.processor import check_processor
from export.errors import FormatError
from export.formats import Format, find_format
from export.quantize.quantization import check_weights
from export.quantize.ranges import check_method
from export.rewrite.layouts import check_layout
from export.verify.retries import check_allowed
from medseg.errors import UsageError


@dataclass(frozen=True)
class ConversionOptions:
    """How a network becomes one model file.

    Attributes:
        method: calibration of int8, see ``export.quantize.ranges``; "auto" tries all and keeps what agrees best.
        float_layers: number of layers of an int8 file, those of largest error, that stay float.
        equalise: move scales between the layers of an int8 file before it is quantized, see
            ``export.quantize.equalisation``; helps where the channels of a tensor have unequal ranges, above all with
            weights "per-tensor".
        weights: scales of the weights of an int8 file: "per-channel" (of the output), or "per-tensor" for NPUs that
            know no others.
        npu: keep an int8 TFLite file to operators that NPUs have; a processor is faster without that.
        layout: how a patch of a 3D network lies in the tensors of its rewrite: "batch" (depth as the batch), or with
            batch 1, as many accelerators want it, "height" (depth folded into height) or "channels" (width folded into
            channels); by default what is quickest on processors.
        opset: of an ONNX file, 13 to 18; by default 17.
        dynamic: batch and spatial axes of an ONNX file take any size that the network does, the patch being one of
            them; not those of a 3D network that is rewritten, as int8 is.
        processor: that an int8 file is made for: "amx", "x86" or "any", see ``export.device.processor``; by default
            the kind of this machine. It runs everywhere, but is quickest there.
        overlapping: the logits are of regions, each found where its own is above 0, by which "auto" compares methods.
    """

    method: str = "minmax"
    float_layers: int = 0
    equalise: bool = False
    weights: str = "per-channel"
    npu: bool = False
    layout: str | None = None
    opset: int | None = None
    dynamic: bool = False
    processor: str | None = None
    overlapping: bool = False

    @property
    def onnx(self) -> OnnxOptions:
        """Those of an ONNX file."""
        return OnnxOptions(self.opset or OnnxOptions.opset, self.dynamic)


@dataclass(frozen=True)
class ExportOptions:
    """How a run becomes artifact folders.

    Attributes:
        formats: names from ``export.FORMATS``.
        patch: spatial size of the artifact's input instead of the plan's, voxels.
        max_drop: the largest drop in mean Dice of any class, instead of the bounds of ``export.verify.gate``.
        verify: compare the artifact with the network on the run's validation cases; else on patches only.
        ship_anyway: write an artifact that is refused too; its manifest, card and report say why it was.
        threads: processor threads for that.
        max_arena: memory that the activations of a TFLite file may need, bytes; with a ``target`` the int8 file is
            held to what Vela plans for it.
        target: Arm NPU that the int8 TFLite file is compiled for as well, see ``export.device.ethos``.
        allow_cpu: accept operators that the NPU does not have.
        layout: see ``ConversionOptions``; by default for a ``target`` what Vela reckons quickest on it.
        calibration: how the ranges of int8 are found, see ``export.quantize.ranges``; "auto" keeps the best of all.
        allow_float: layers of an int8 artifact that may stay float where it would lose too much.
        equalise: channels, see ``export.quantize.equalisation``; None: where int8 loses too much without.
        weights, processor, opset, dynamic: see ``ConversionOptions``.
    """

    formats: tuple[str, ...]
    patch: tuple[int, ...] | None = None
    max_drop: float | None = None
    verify: bool = True
    ship_anyway: bool = False
    threads: int = 2
    max_arena: int | None = None
    target: str | None = None
    allow_cpu: bool = False
    layout: str | None = None
    calibration: str = "auto"
    allow_float: int = 0
    equalise: bool | None = None
    weights: str = "per-channel"
    processor: str | None = None
    opset: int | None = None
    dynamic: bool = False

    @property
    def npu(self) -> ethos.Target | None:
        """The NPU of ``target``."""
        return None if self.target is None else ethos.find_target(self.target)

    def conversion(self, kind: Format, method: str, float_layers: int, equalise: bool | None) -> ConversionOptions:
        """Those of one file: what another kind of format would refuse is left out.

        Args:
            kind: its format.
            method: calibration method of this attempt.
            float_layers: of this attempt.
            equalise: whether this attempt equalises.
        """
        options = ConversionOptions(method, float_layers, npu=self.target is not None)
        if kind.activations == "int8":
            options = dataclasses.replace(
                options, weights=self.weights, processor=self.processor, equalise=bool(equalise)
            )
        if kind.runtime == "onnx":
            options = dataclasses.replace(options, opset=self.opset, dynamic=self.dynamic)
        return options


def conversion_options(format: str, **options) -> ConversionOptions:
    """Options of ``export.convert``, checked.

    Args:
        format: the format's name.
        options: attributes of ``ConversionOptions``.

    Raises:
        UsageError: unknown option.
        FormatError: unknown format, method or layout, or an option that the format does not have.
    """
    chosen, made = find_format(format), _made(ConversionOptions, "convert", options)
    check_method(made.method)
    check_layout(made.layout)
    check_processor(made.processor)
    for name, asked in (("float layers", made.float_layers), ("equalise", made.equalise)):
        if asked and chosen.activations != "int8":
            raise FormatError(f"format {chosen.name}: {name} holds for int8 formats; leave it out")
    check_weights(made.weights, [chosen.name])
    check_options([chosen.name], made.opset, made.dynamic)
    return made


def export_options(formats: Sequence[str], **options) -> ExportOptions:
    """Options of ``export.export_run``, checked before any work is done.

    Args:
        formats: names from ``export.FORMATS``.
        options: other attributes of ``ExportOptions``.

    Raises:
        UsageError: unknown option, or a number out of range.
        FormatError: unknown format, calibration or layout, or an option that none of the formats has.
        EthosError: unknown target, or Vela is not installed.
    """
    for name in formats:
        find_format(name)
    made = _made(ExportOptions, "export_run", {"formats": tuple(formats), **options})
    if made.max_drop is not None and not 0 <= made.max_drop <= 1:
        raise UsageError(f"max-drop {made.max_drop:g}: expected 0 to 1, of Dice; 2 % are 0.02")
    check_method(made.calibration)
    check_layout(made.layout)
    check_processor(made.processor)
    check_allowed(formats, made.allow_float, made.equalise)
    check_weights(made.weights, formats)
    _check_idle(made)
    check_options(formats, made.opset, made.dynamic)
    if made.npu is not None:
        ethos.check_formats(formats)
        ethos.require_vela()
    if made.max_arena is not None:
        arena.check_formats(formats)
    return made


def _check_idle(made):
    """Require that what only files of whole numbers have is asked for with one of them."""
    kinds = [find_format(name) for name in made.formats]
    for option, idle in (
        ("calibration", made.calibration != ExportOptions.calibration and not any(kind.quantized for kind in kinds)),
        ("processor", made.processor is not None and not any(kind.activations == "int8" for kind in kinds)),
    ):
        if idle:
            raise FormatError(f"{option}: holds for int8 formats, not for {', '.join(made.formats)}; leave it out")


def check_patch(options: ExportOptions, patch: Sequence[int]) -> None:
    """Require that the options fit a network whose patches have as many axes.

    Raises:
        FormatError: a layout of a 2D network, or dynamic axes of a 3D network in int8.
    """
    if options.layout is not None and len(patch) != 3:
        raise FormatError(
            f"layout {options.layout}: holds for 3D networks, this one takes {len(patch)} axes; leave it out"
        )
    if options.dynamic and len(patch) == 3 and "onnx-int8" in options.formats:
        refuse_folded("onnx-int8")


def _made(kind, function, options):
    """The dataclass from keyword arguments; ``form`` is the former name of ``layout``."""
    options = dict(options)
    if "form" in options:
        former = options.pop("form")
        options["layout"] = options.get("layout") or former
    known = [f.name for f in dataclasses.fields(kind)]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise UsageError(f"{function}: unknown option {unknown[0]!r}; expected one of {', '.join(known)}")
    patch = options.get("patch")
    return kind(**options | ({"patch": tuple(patch)} if patch is not None else {}))
