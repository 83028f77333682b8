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
from edge.cascade import First
from edge.manifest import MANIFEST, Manifest
from edge.trust import vector
from export.artifact import bill_of_materials as bom
from export.artifact.card import card
from export.artifact.first_network import KEY, facts_of_first
from export.artifact.place import check_place, check_writable
from export.artifact.report import write_report
from export.conversion.convert import convert_checked
from export.conversion.converted import Converted
from export.conversion.operators import count, integer_share
from export.device import arena, ethos, memory_advice
from export.device.latency import Latency, by_threads
from export.device.layout_choice import choose
from export.errors import FidelityError
from export.formats import find_format
from export.options import ExportOptions, check_patch, export_options
from export.quantize import calibration as calibrate
from export.rewrite import check_fit, check_weights
from export.source.source import Source, network_of, open_source
from export.verify.advice import Tried, advise
from export.verify.retries import attempt, describe
from export.verify.verification import Checked, Rules, Verifier
from imaging.prior import FOLDER
from medseg import record
from medseg.atomic import replace_folder, temporary_folder
from medseg.errors import InputError


@dataclass(frozen=True)
class Extras:
    """What an artifact folder holds beside the model file.

    Attributes:
        facts: entries of the manifest's ``source``.
        files: contents by file name, for one kind of device.
        first: of a cascade, the artifact folder of its first network, which is copied; or None.
    """

    facts: dict = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    first: Path | None = None


def export_run(run, formats: Sequence[str], out, *, tell: Callable[[str], None] = print, **options) -> list[Path]:
    """Convert, verify and write a run's network in each of ``formats``.

    Args:
        run: run folder, as ``zoo train`` leaves it, or a ``Source`` of another origin, see ``export.open_model``.
        formats: names from ``export.FORMATS``.
        out: folder that gets one sub-folder a format.
        tell: takes a line of progress.
        options: other attributes of ``export.options.ExportOptions``: patch, max_drop, verify, ship_anyway, threads,
            max_arena, target, allow_cpu, layout, calibration, allow_float, equalise, weights, processor, opset,
            dynamic.

    Returns:
        The artifact folders.

    Raises:
        UsageError: unknown option.
        InputError: the run is not finished, a case cannot be read, ``out`` cannot be written.
        FormatError: unknown format, calibration or layout, a layout of a 2D network, or float layers allowed where
            nothing is int8; known before any work is done.
        PrecisionError: an int8 format would not be int8.
        FidelityError: the artifact loses too much; nothing is written for it.
        UnjudgedError: nothing can be said of it, since the network is no better than chance or labels are missing.
        ArenaError: it needs more than ``max_arena``; the message says which patch and width would fit.
        EthosError: operators fall to the processor; the message names them.
    """
    return export_checked(run, export_options(formats, **options), out, tell)


def export_checked(run, options: ExportOptions, out, tell: Callable[[str], None] = print) -> list[Path]:
    """``export_run`` with options that were checked already, see there."""
    source = run if isinstance(run, Source) else open_source(run)
    if options.patch is not None:
        source = dataclasses.replace(source, patch=options.patch)
    check_patch(options, source.patch)
    check_writable(out)
    for name in options.formats:
        check_place(Path(out) / find_format(name).name)
    if source.first is None:
        return _export(source, options, out, tell)
    with tempfile.TemporaryDirectory() as place:
        tell("first network of the cascade, as it is alone; what counts is the verdict on both together")
        _export_first(source.first, options, Path(place), tell)
        tell("second network of the cascade, and both together")
        return _export(source, options, out, tell, Path(place))


def _export_first(source, options, place, tell) -> None:
    """The artifact folders of a cascade's first network, also of one that its own verification refuses."""
    options = dataclasses.replace(options, patch=None, ship_anyway=True)
    check_patch(options, source.patch)
    # Its flags would be raised for nobody, and where its folders lie is of no interest.
    _export(source, options, place, lambda line: None if str(place) in line else tell(line), flags=False)


def _export(source, options, out, tell, first: Path | None = None, flags: bool = True) -> list[Path]:
    """The artifact folders of a network.

    Args:
        source, options, out, tell: as for ``export_checked``.
        first: folder of the artifact folders of a cascade's first network, one a format.
        flags: learn from the training's scans which others are unlike them.
    """
    chosen = [find_format(name) for name in options.formats]
    model = network_of(source)
    check_weights(model)
    model = memory_advice.resized(model, source.patch, memory_advice.built_from(source.provenance))
    check_fit(model, source.patch)  # before scans are cut into patches of that size
    source.provenance["parameters"] = model.count_params()
    cases = calibrate.choose(source.training) if any(f.quantized for f in chosen) else ()
    patches = calibrate.patches(source, cases) if cases else []
    calibrated = {"calibration_sha256": calibrate.fingerprint(cases, patches)} if cases else {}
    checker = Verifier(model, source, Rules(options.verify, options.max_drop, options.threads, flags), tell)
    folders = []
    for kind in chosen:
        tell(f"{kind.name}: converting" + (f", calibrated with {len(cases)} training cases" if kind.quantized else ""))
        used = cases if kind.quantized else ()
        limits = {"allow_cpu": options.allow_cpu, "max_arena": options.max_arena}
        layout = choose(model, kind, source.patch, options.layout, options.npu, **limits, tell=tell)

        def make(method, floats, equalised, kind=kind, layout=layout, used=used):
            given = patches if kind.quantized else ()
            conversion = options.conversion(kind, method, floats, equalised)
            conversion = dataclasses.replace(conversion, layout=layout, overlapping=bool(source.regions))
            converted = convert_checked(model, kind, source.patch, given, conversion)
            extras = _device(model, converted, source, options, tell)
            extras = dataclasses.replace(extras, first=None if first is None else first / kind.name)
            extras.facts.update(calibrated if kind.quantized else {})
            names, folder = [case.name for case in used], Path(out) / kind.name

            def write(anyway=False):
                check = functools.partial(checker.check, patches=given, anyway=anyway)
                return write_artifact(converted, source, folder, names, check, extras, latency=by_threads)

            return converted, write

        again = (options.allow_float, tell, options.equalise) if kind.activations == "int8" else (0, tell, False)
        try:
            folders.append(attempt(make, options.calibration, *again, options.ship_anyway))
        except FidelityError as error:
            tried = Tried(options.calibration, options.allow_float, options.weights, options.processor or "")
            raise FidelityError(f"{error}; {advise(source, kind, tried)}") from None
        files = [folders[-1] / kind.file] + ([] if first is None else [folders[-1] / FOLDER / kind.file])
        size = f"{sum(file.stat().st_size for file in files) / 1e6:.2f} MB" + " for both networks" * (len(files) - 1)
        tell(f"{kind.name}: {folders[-1]} ({size})")
    return folders


def _device(model, converted, source, options, tell) -> Extras:
    """Memory of a TFLite file and what an NPU makes of it, each held to what was asked for."""
    if converted.format.runtime != "tflite":
        return Extras()
    npu, planned = options.npu, arena.measure(converted.data)
    facts, files, needs = {"arena": record.to_dict(planned)}, {}, memory_advice.activation_bytes
    if npu is not None and converted.format.activations == "int8":
        tell(f"{converted.format.name}: compiling for {npu.accelerator}")
        compiled = ethos.compile_tflite(converted.data, npu, options.allow_cpu)
        facts["ethos"], files = record.to_dict(compiled.report), {compiled.report.file: compiled.data}
        for operator in compiled.report.cpu:
            tell(f"{npu.accelerator}: on the processor: {operator}")

        def needs(candidate):
            return ethos.compile_tflite(candidate.data, npu, options.allow_cpu).report.activation_bytes

    if options.max_arena is not None:
        origin = memory_advice.built_from(source.provenance)
        memory_advice.check(model, converted, source.patch, options.max_arena, origin, memory=needs, tell=tell)
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
    try:
        with temporary_folder(place) as temporary:
            model_file = temporary / converted.format.file
            model_file.write_bytes(converted.data)
            extras = extras or Extras()
            for name, data in extras.files.items():
                (temporary / name).write_bytes(data)
            manifest = _manifest(converted, source, calibration, edge.manifest.sha256(model_file), extras.facts)
            if extras.first is not None:
                shutil.copytree(extras.first, temporary / FOLDER)
                checksum = edge.manifest.sha256(temporary / FOLDER / MANIFEST)
                known = manifest.source | {KEY: facts_of_first(temporary)}
                manifest = dataclasses.replace(manifest, first=First(FOLDER, checksum), source=known)
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
        form=converted.layout,
        input=converted.input,
        output=converted.output,
        regions=source.regions,
        instances=source.instances,
        postprocessing=source.postprocessing,
        mirror=source.mirror,
        source=provenance,
        calibration=tuple(calibration),
        operators=count(converted.operators),
    )


def _versions() -> dict[str, str]:
    installed = {}
    for name in ("medseg-zoo", "tensorflow", "keras", "tf2onnx", "onnxruntime", "openvino", "ai-edge-litert"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    return installed
