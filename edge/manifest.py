"""The manifest: what a device must know of an artifact before it runs it."""

import hashlib
import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from edge.cascade import First, check_first
from edge.shipped import locate, names
from edge.trust.fingerprint import Fingerprint
from edge.trust.layout import check_layout
from imaging.cleaning import Postprocessing
from imaging.cleaning import check as check_postprocessing
from imaging.instances import CHANNELS, Decoding
from imaging.instances import check as check_instances
from imaging.labels import Label, Region
from imaging.recipe import Recipe, check, of_pictures
from imaging.regions import check_regions
from medseg import schema as schemas
from medseg.errors import InputError
from medseg.limits import check_bytes, max_bytes
from medseg.untrusted import check_content, inside, open_regular, read_limited, shown

# 1: the first. 2: "form", "files" and "needs". 3: "training". 4: the recipe's "filters" and "nan". 5: "instances".
# 6: the recipe's "slices". 7: the training's "layout", the "peak" of instances. 8: "first", the recipe's "prior".
# 9: "mirror".
SCHEMA = schemas.Schema("manifest", ("0.1.0", *["0.2.0"] * 8), "export it again")
MANIFEST = "manifest.json"
FORMATS = (
    "tflite-float32", "tflite-float16", "tflite-dynamic", "tflite-int16", "tflite-int8",
    "onnx-float32", "onnx-float16", "onnx-int8", "openvino-float32", "openvino-int8",
)  # fmt: skip
FORMS = ("", "height", "channels")
MAX_LABELS = 256  # class indices are held in bytes
MAX_NAME = 200
_MIN_SCALE = 1e-30  # so that it and its inverse are normal numbers in float32


@dataclass(frozen=True)
class Tensor:
    """An input or output tensor of the model file.

    Attributes:
        name: the tensor's name in the file.
        shape: its shape; a folded 3D network has (depth, height, width, channels), others carry a batch axis of 1, with
            two of the other axes as one where the manifest names a form.
        dtype: NumPy name: "float32", "int8", "uint8", ...
        scale: real value of one step, 0.0 when the tensor is float.
        zero_point: stored value of real zero.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` holds.

    Attributes:
        name: what the artifact is called.
        format: one of ``FORMATS``.
        model: file name of the model, beside the manifest.
        sha256: of the model file, hexadecimal.
        recipe: preprocessing of a scan.
        patch: spatial size of the network's input, voxels; of two axes where the recipe takes a volume slice by slice.
        overlap: share of a patch that neighbouring tiles overlap by.
        labels: classes by class index, background first.
        channels: names of the input channels.
        folded: the first spatial axis is the batch axis of the file's input and output (rewritten 3D network).
        input: the input tensor.
        output: the output tensor: logits of the classes, or of the regions, channel last.
        source: what it was made from: network, run, parameters, MACs, versions.
        calibration: names of the training cases that it was calibrated with.
        operators: operator type to precision to count, read back from the file.
        fidelity: what was verified, and against what.
        form: of a 3D network with batch 1, how the input and the output hold the values of (depth, height, width,
            channels), in that order: "height" as (1, depth × height, width, channels), "channels" as (1, depth, height,
            width × channels); empty for all others.
        files: names of those that the export wrote beside the manifest, which a later one replaces; none in schema 1.
        regions: structures that may overlap, in the order in which a segmentation writes them: the output then has a
            logit for each, and a region is where its is above 0 (``imaging.regions``). None of disjoint classes.
        postprocessing: how each segmentation is cleaned up; what cross-validation adopted.
        training: what scans like those of the training look like (``edge.trust.fingerprint``); None where that is not
            known.
        instances: how the output, the channels of ``imaging.instances``, is cut into objects, of which the
            segmentation holds the numbers; the one region is where an object is. None for classes and regions.
        first: of a cascade, the network of low resolution whose segmentation the network of this manifest takes beside
            the scan (``edge.cascade``), as ``recipe.prior`` channels. None where the scan alone is taken.
        mirror: axes of the patch over whose flips predictions are averaged; none for one pass of the network.
        schema: number of the format, see ``medseg.schema``.
        needs: the oldest version of medseg-zoo that reads the file.
    """

    name: str
    format: str
    model: str
    sha256: str
    recipe: Recipe
    patch: tuple[int, ...]
    overlap: float
    labels: tuple[Label, ...]
    channels: tuple[str, ...]
    folded: bool
    input: Tensor
    output: Tensor
    source: dict = field(default_factory=dict)
    calibration: tuple[str, ...] = ()
    operators: dict = field(default_factory=dict)
    fidelity: dict = field(default_factory=dict)
    form: str = ""
    files: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()
    postprocessing: Postprocessing = field(default_factory=Postprocessing)
    training: Fingerprint | None = None
    instances: Decoding | None = None
    first: First | None = None
    mirror: tuple[int, ...] = ()
    schema: int = SCHEMA.newest
    needs: str = SCHEMA.needs


def load_manifest(folder, verify: bool = True, checksum: str | None = None) -> Manifest:
    """Read the manifest of an artifact folder and check that it and the model file fit together.

    Args:
        folder: the artifact folder, as ``zoo export`` wrote it, or the name of a shipped artifact.
        verify: compare the model file with the manifest's sha256.
        checksum: SHA-256 that the manifest itself must have, where that is known.

    Returns:
        The manifest.

    Raises:
        InputError: if a file is missing or altered, its schema is newer than this version's, a field is unknown,
            missing or contradicts another; the message names the file and the field.
    """
    folder = locate(folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(_no_manifest(folder))
    manifest = schemas.load(path, Manifest, SCHEMA, checksum)
    if manifest.training is not None and not any(name.startswith("spacing") for name in manifest.training.ranges):
        manifest = replace(manifest, recipe=of_pictures(manifest.recipe))  # no training scan had a pixel size
    try:
        check(manifest.recipe)
        _check_fields(manifest)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if verify:
        _check_model(inside(folder, manifest.model), manifest.sha256)
    return manifest


def read_model(folder, manifest: Manifest) -> bytes:
    """The content of an artifact's model file, of which the manifest's sha256 is true.

    Raises:
        InputError: if it is missing, altered or larger than the limit.
    """
    path = inside(folder, manifest.model)
    try:
        content = read_limited(path, max_bytes(), "a model")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); copy the whole artifact again") from None
    check_content(path, content, manifest.sha256)
    return content


def sha256(path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _no_manifest(folder):
    if folder.is_file():
        return f"{folder}: is a file; give the artifact folder that holds {MANIFEST}, {folder.parent} for example"
    if not folder.exists():
        known = f", or the name of a shipped one: {', '.join(names())}" if names() else ""
        return f"{folder}: no such folder; give an artifact folder, as zoo export writes it{known}"
    inside = sorted(p.parent.name for p in folder.glob(f"*/{MANIFEST}"))
    mend = f"give one of the artifacts in it: {', '.join(inside)}" if inside else "give a folder that zoo export wrote"
    return f"{folder}: holds no {MANIFEST}; {mend}"


def _check_fields(manifest):
    """Require the fields to agree with each other."""
    if manifest.format not in FORMATS:
        raise InputError(f"format {shown(manifest.format)}: expected one of {', '.join(FORMATS)}")
    if not manifest.model or Path(manifest.model).name != manifest.model:
        raise InputError(f"model {shown(manifest.model)}: expected the name of a file beside the manifest")
    rank, channels = manifest.recipe.patch_rank, manifest.recipe.patch_channels
    if len(manifest.patch) != rank or min(manifest.patch) < 1:
        of = f"rank {rank}" if rank == manifest.recipe.rank else f"slices {manifest.recipe.slices}"
        raise InputError(f"patch {shown(manifest.patch)}: expected {rank} positive numbers, as the recipe has {of}")
    if not 0 <= manifest.overlap <= 0.9:
        raise InputError(f"overlap {manifest.overlap}: expected 0 to 0.9")
    if not set(manifest.mirror) <= set(range(rank)) or len(set(manifest.mirror)) < len(manifest.mirror):
        raise InputError(f"mirror {shown(manifest.mirror)}: expected different axes from 0 to {rank - 1}")
    if manifest.folded and rank != 3:
        raise InputError(f"folded: expected networks of rank 3 only, this one has rank {rank}")
    if manifest.form not in FORMS:
        raise InputError(f"form {shown(manifest.form)}: expected one of {', '.join(map(repr, FORMS))}")
    if manifest.form and (manifest.folded or rank != 3):
        raise InputError(f"form {manifest.form!r}: expected networks of rank 3 that are not folded")
    if len(manifest.channels) != manifest.recipe.channels:
        raise InputError(f"channels {', '.join(manifest.channels[:8])}: the recipe takes {manifest.recipe.channels}")
    _check_names(manifest)
    for name in ("name", "value"):
        values = [getattr(label, name) for label in manifest.labels]
        if len(values) < 2 or len(set(values)) != len(values):
            raise InputError(f"labels with {name}s {shown(values)}: expected two or more, all different")
    if len(manifest.labels) > MAX_LABELS:
        raise InputError(f"{len(manifest.labels)} labels: expected at most {MAX_LABELS}")
    for label in manifest.labels:
        if abs(label.value) >= 2**31:
            raise InputError(f"label {label.name} has value {label.value}: expected 32-bit integers")
    if len(manifest.regions) > MAX_LABELS:
        raise InputError(f"{len(manifest.regions)} regions: expected at most {MAX_LABELS}")
    check_regions(manifest.labels, manifest.regions)
    check_postprocessing(manifest.postprocessing, manifest.labels)
    if manifest.regions and manifest.postprocessing.classes:
        raise InputError("postprocessing: expected for disjoint classes only, not for regions")
    if manifest.instances is not None:
        check_instances(manifest.instances)
        if len(manifest.regions) != 1 or len(manifest.labels) != 2:
            raise InputError("instances: expected one region and two labels, the background and the objects")
    check_first(manifest)
    if manifest.training is not None and manifest.training.layout is not None:
        check_layout(manifest.training.layout, manifest.recipe.rank)
    outputs = len(CHANNELS) if manifest.instances else len(manifest.regions) or len(manifest.labels)
    needed = 4 * math.prod(manifest.patch) * (channels + outputs)
    check_bytes(f"patch {shown(manifest.patch)}", needed, "a patch and its scores")
    for which, last in (("input", channels), ("output", outputs)):
        _check_tensor(which, getattr(manifest, which), _shape(manifest, last))


def _check_names(manifest):
    """Names are printed and become parts of file names: no control characters, and short enough to be read."""
    names = {
        "name": [manifest.name],
        "channels": manifest.channels,
        "labels": [label.name for label in manifest.labels],
        "regions": [region.name for region in manifest.regions],
    }
    for field_name, given in names.items():
        for name in given:
            if not name.isprintable() or len(name) > MAX_NAME:
                raise InputError(
                    f"{field_name}: {shown(name)} is no name; expected at most {MAX_NAME} printable letters"
                )


def _shape(manifest, last) -> tuple[int, ...]:
    """The shape of the tensor that holds a patch of ``last`` values a voxel."""
    patch = manifest.patch
    if manifest.folded:
        return (*patch, last)
    if manifest.form == "height":
        return (1, patch[0] * patch[1], patch[2], last)
    if manifest.form == "channels":
        return (1, patch[0], patch[1], patch[2] * last)
    return (1, *patch, last)


def _check_tensor(which, tensor, expected):
    if tensor.shape != expected:
        raise InputError(
            f"{which}.shape {shown(tensor.shape)}: by patch, folded, form and classes or channels it is {expected}"
        )
    try:
        dtype = np.dtype(tensor.dtype)
    except (TypeError, ValueError, SyntaxError):
        dtype = None
    if dtype is None or dtype.kind not in "iuf":
        raise InputError(f"{which}.dtype {shown(tensor.dtype)}: expected NumPy names such as int8, uint8 and float32")
    if dtype.kind != "f" and not _MIN_SCALE < tensor.scale < 1 / _MIN_SCALE:
        raise InputError(f"{which}.scale {tensor.scale}: a tensor of {tensor.dtype} needs a positive one")
    if dtype.kind != "f" and not np.iinfo(dtype).min <= tensor.zero_point <= np.iinfo(dtype).max:
        raise InputError(f"{which}.zero_point {shown(tensor.zero_point)}: expected a value of {tensor.dtype}")


def _check_model(path, expected):
    try:
        checksum = sha256(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, though the manifest names it; copy the whole artifact again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if checksum != expected.lower():
        raise InputError(
            f"{path}: altered since it was exported (sha256 {checksum[:12]}..., the manifest says {expected[:12]}...); "
            "copy the artifact again or export it anew"
        )
