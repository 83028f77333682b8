"""A finished run to artifact folders, each verified before it is put in place."""

import contextlib
import dataclasses
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import edge
from edge.manifest import Manifest
from edge.trust import vector
from export.artifact import bill_of_materials as bom
from export.artifact.card import card
from export.artifact.place import check_place, check_writable
from export.artifact.report import write_report
from export.conversion.convert import Converted, convert
from export.conversion.onnx_options import check_options, refuse_folded
from export.conversion.operators import count, integer_share
from export.device import arena, ethos
from export.device import memory_advice as fitting
from export.device.latency import Latency, by_threads
from export.device.layout_choice import check_choice, choose
from export.device.processor import check_processor
from export.errors import FidelityError
from export.formats import find_format
from export.quantize import calibration as calibrate
from export.quantize.quantization import check_weights
from export.quantize.ranges import check_method
from export.rewrite import check_fit
from export.source.source import Source, network_of, open_source
from export.verify.advice import Tried, advise
from export.verify.retries import attempt, check_allowed, describe
from export.verify.verification import Checked, Rules, Verifier
from medseg import record
from medseg.atomic import replace_folder
from medseg.errors import InputError


@dataclass(frozen=True)
class Extras:
    """What an artifact folder holds for one kind of device beside the model file.

    Attributes:
        facts: entries of the manifest's ``source``.
        files: contents by file name.
    """

    facts: dict = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


def export_run(
    run,
    formats: Sequence[str],
    out,
    *,
    patch: Sequence[int] | None = None,
    max_drop: float | None = None,
    verify: bool = True,
    ship_anyway: bool = False,
    threads: int = 2,
    max_arena: int | None = None,
    target: str | None = None,
    allow_cpu: bool = False,
    form: str | None = None,
    calibration: str = "auto",
    allow_float: int = 0,
    equalise: bool | None = None,
    weights: str = "per-channel",
    processor: str | None = None,
    opset: int | None = None,
    dynamic: bool = False,
    tell: Callable[[str], None] = print,
) -> list[Path]:
    """Convert, verify and write a run's network in each of ``formats``.

    Args:
        run: run folder, as ``zoo train`` leaves it, or a ``Source`` of another origin, see ``export.open_model``.
        formats: names from ``export.FORMATS``.
        out: folder that gets one sub-folder a format.
        patch: spatial size of the artifact's input instead of the plan's, voxels.
        max_drop: the largest drop in mean Dice of any class, instead of the bounds of ``export.verify.gate``.
        verify: compare the artifact with the network on the run's validation cases; else on patches only.
        ship_anyway: write an artifact that is refused too; its manifest, card and report say why it was.
        threads: processor threads for that.
        max_arena: memory that the activations of a TFLite file may need, bytes; with a ``target`` the int8 file is
            held to what Vela plans for it.
        target: Arm NPU that the int8 TFLite file is compiled for as well, see ``export.device.ethos``.
        allow_cpu: accept operators that the NPU does not have.
        form: what a 3D network is rewritten into, see ``export.convert``; by default for a ``target`` what Vela reckons
            quickest on it.
        calibration: how the ranges of int8 are found, see ``export.quantize.ranges``; "auto" keeps the best of all.
        allow_float: layers of an int8 artifact that may stay float where it would lose too much.
        equalise: channels, see ``export.quantize.equalisation``; None: where int8 loses too much without.
        weights: scales of int8 weights, see ``export.convert``.
        processor: that int8 files are made for, see ``export.convert``.
        opset, dynamic: of the ONNX files, see ``export.convert``.
        tell: takes a line of progress.

    Returns:
        The artifact folders.

    Raises:
        InputError: the run is not finished, a case cannot be read, ``out`` cannot be written.
        FormatError: unknown format, calibration or form, a form of a 2D network, or float layers allowed where nothing
            is int8; known before any work is done.
        PrecisionError: an int8 format would not be int8.
        FidelityError: the artifact loses too much; nothing is written for it.
        UnjudgedError: nothing can be said of it, since the network is no better than chance or labels are missing.
        ArenaError: it needs more than ``max_arena``; the message says which patch and width would fit.
        EthosError: operators fall to the processor; the message names them.
    """
    chosen = [find_format(name) for name in formats]
    check_method(calibration)
    check_allowed(formats, allow_float, equalise)
    check_weights(weights, formats)
    check_processor(processor)
    check_options(formats, opset, dynamic)
    npu = None if target is None else ethos.find_target(target)
    if npu is not None:
        ethos.check_formats(formats)
        ethos.require_vela()
    if max_arena is not None:
        arena.check_formats(formats)
    source = run if isinstance(run, Source) else open_source(run)
    if patch is not None:
        source = dataclasses.replace(source, patch=tuple(patch))
    check_choice(form, source.patch)
    if dynamic and len(source.patch) == 3 and any(kind.name == "onnx-int8" for kind in chosen):
        refuse_folded("onnx-int8")
    check_writable(out)
    for kind in chosen:
        check_place(Path(out) / kind.name)
    model = network_of(source)
    model = fitting.resized(model, source.patch, fitting.built_from(source.provenance))
    check_fit(model, source.patch)  # before scans are cut into patches of that size
    source.provenance["parameters"] = model.count_params()
    cases = calibrate.choose(source.training) if any(f.quantized for f in chosen) else ()
    patches = calibrate.patches(source, cases) if cases else []
    calibrated = {"calibration_sha256": calibrate.fingerprint(cases, patches)} if cases else {}
    checker = Verifier(model, source, Rules(verify, max_drop, threads), tell)
    folders = []
    for kind in chosen:
        tell(f"{kind.name}: converting" + (f", calibrated with {len(cases)} training cases" if kind.quantized else ""))
        used = cases if kind.quantized else ()
        fold = choose(model, kind, source.patch, form, npu, allow_cpu=allow_cpu, max_arena=max_arena, tell=tell)

        def make(method, floats, equalised, kind=kind, fold=fold, used=used):
            given = patches if kind.quantized else ()
            how = {"method": method, "float_layers": floats, "npu": npu is not None}
            if kind.activations == "int8":
                how |= {"weights": weights, "processor": processor, "equalise": equalised}
                how |= {"overlapping": bool(source.regions)}
            if kind.runtime == "onnx":
                how |= {"opset": opset, "dynamic": dynamic}
            converted = convert(model, kind.name, source.patch, given, form=fold, **how)
            extras = _device(model, converted, source, max_arena, npu, allow_cpu, tell)
            extras.facts.update(calibrated if kind.quantized else {})
            names, folder = [case.name for case in used], Path(out) / kind.name

            def write(anyway=False):
                check = functools.partial(checker.check, patches=given, anyway=anyway)
                return write_artifact(converted, source, folder, names, check, extras, latency=by_threads)

            return converted, write

        again = (allow_float, tell, equalise) if kind.activations == "int8" else (0, tell, False)
        try:
            folders.append(attempt(make, calibration, *again, ship_anyway))
        except FidelityError as error:
            raise FidelityError(f"{error}; {advise(source, kind, Tried(calibration, allow_float, weights))}") from None
        tell(f"{kind.name}: {folders[-1]} ({(folders[-1] / kind.file).stat().st_size / 1e6:.2f} MB)")
    return folders


def _device(model, converted, source, max_arena, npu, allow_cpu, tell) -> Extras:
    """Memory of a TFLite file and its form for an NPU, each held to what was asked for."""
    if converted.format.runtime != "tflite":
        return Extras()
    planned = arena.measure(converted.data)
    facts, files, needs = {"arena": record.to_dict(planned)}, {}, fitting.activation_bytes
    if npu is not None and converted.format.activations == "int8":
        tell(f"{converted.format.name}: compiling for {npu.accelerator}")
        compiled = ethos.compile_tflite(converted.data, npu, allow_cpu)
        facts["ethos"], files = record.to_dict(compiled.report), {compiled.report.file: compiled.data}
        for operator in compiled.report.cpu:
            tell(f"{npu.accelerator}: on the processor: {operator}")

        def needs(candidate):
            return ethos.compile_tflite(candidate.data, npu, allow_cpu).report.activation_bytes

    if max_arena is not None:
        origin = fitting.built_from(source.provenance)
        fitting.check(model, converted, source.patch, max_arena, origin, memory=needs, tell=tell)
    return Extras(facts, files)


def write_artifact(
    converted: Converted,
    source: Source,
    folder,
    calibration: Sequence[str] = (),
    verify: Callable[[Path], Checked] | None = None,
    extras: Extras | None = None,
    latency: Callable[[Path], Sequence[Latency]] | None = None,
) -> Path:
    """Write an artifact folder whole or not at all.

    Args:
        converted: the model file.
        source: what it was made from.
        folder: the artifact folder; an artifact that is there already is replaced once the new one is verified.
        calibration: names of the cases that it was calibrated with.
        verify: called with the temporary folder, which a device can load; its result goes into the manifest.
        extras: what else the folder and the manifest hold.
        latency: called with the finished temporary folder; its result goes into the report.

    Raises:
        InputError: if the place cannot be written.
    """
    folder = Path(folder)
    place = Path(os.path.realpath(folder))  # a link stays, and points to the new one
    check_writable(folder.parent)
    check_place(folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".tmp", dir=place.parent))
    try:
        model_file = temporary / converted.format.file
        model_file.write_bytes(converted.data)
        extras = extras or Extras()
        for name, data in extras.files.items():
            (temporary / name).write_bytes(data)
        manifest = _manifest(converted, source, calibration, edge.manifest.sha256(model_file), extras.facts)
        record.save(temporary / edge.manifest.MANIFEST, manifest)
        checked = Checked() if verify is None else verify(temporary)
        fidelity = checked.fidelity
        manifest = dataclasses.replace(
            manifest,
            source=manifest.source | checked.facts,
            fidelity={} if fidelity is None else fidelity.to_dict(),
            training=checked.training,
        )
        vector.write(temporary / vector.NAME, vector.make(edge.load(temporary)))
        record.write_text(temporary / bom.NAME, bom.artifact_bom(manifest.name, manifest.model, manifest.sha256))
        record.write_text(temporary / "CARD.md", card(manifest, len(converted.data)))
        write_report(temporary, manifest, converted, fidelity, () if latency is None else latency(temporary))
        files = sorted(set(os.listdir(temporary)) - {edge.manifest.MANIFEST})
        record.save(temporary / edge.manifest.MANIFEST, dataclasses.replace(manifest, files=tuple(files)))
        temporary.chmod(0o755)
        check_place(folder)
        replace_folder(temporary, place)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); choose a folder with room") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _manifest(converted, source, calibration, sha256, facts) -> Manifest:
    provenance = source.provenance | facts | describe(converted)
    provenance |= {
        "macs": sum(op.macs for op in converted.operators),
        "int8_share": integer_share(converted.operators),
        "exporter": _versions(),
    }
    if converted.processor:
        provenance |= {"processor": converted.processor}
    if converted.opset:
        provenance |= {"opset": converted.opset, "dynamic": converted.dynamic}
    return Manifest(
        name=source.name,
        format=converted.format.name,
        model=converted.format.file,
        sha256=sha256,
        recipe=source.recipe,
        patch=source.patch,
        overlap=source.overlap,
        labels=source.labels,
        channels=source.channels,
        folded=converted.folded,
        form=converted.form,
        input=converted.input,
        output=converted.output,
        regions=source.regions,
        postprocessing=source.postprocessing,
        source=provenance,
        calibration=tuple(calibration),
        operators=count(converted.operators),
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in ("medseg-zoo", "tensorflow", "keras", "tf2onnx", "onnxruntime", "openvino", "ai-edge-litert"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
