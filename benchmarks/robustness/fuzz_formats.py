"""The formats that are fuzzed: valid files, a reader and the changes of each; a new one is an entry in ``FORMATS``."""

import contextlib
import gzip
import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from fuzz_mutations import mutate_bytes, mutate_gzip, mutate_json, mutate_png

from medseg.errors import InputError


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        name: file name that an input is written under, alone in a folder.
        seeds: makes the valid contents that inputs are mutated from.
        read: reads the file at a path.
        mutate: content and generator to a changed content.
    """

    name: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    mutate: Callable[[bytes, random.Random], bytes]


def nifti_seeds() -> list[bytes]:
    """NIfTI-1 and NIfTI-2, both byte orders, several types, with scaling, qform only, extension, five axes and 2D."""
    import nibabel

    chance = np.random.default_rng(0)
    turned = np.array([[0.9, -0.3, 0, 5], [0.3, 0.9, 0, -7], [0, 0, 2, 1], [0, 0, 0, 1.0]])
    plain = chance.integers(0, 200, (5, 6, 4)).astype(np.int16)
    images = [nibabel.Nifti1Image(plain, turned), nibabel.Nifti2Image(plain.astype(np.float32), turned)]
    big = nibabel.Nifti1Header(endianness=">")
    big.set_data_dtype(np.uint16)
    images.append(nibabel.Nifti1Image(plain.astype(np.uint16), turned, big))
    images.append(nibabel.Nifti1Image(plain[:, :, 0].astype(np.uint8), np.eye(4)))
    images.append(nibabel.Nifti1Image(chance.random((4, 4, 3, 1, 1)), np.eye(4)))
    quaternion = nibabel.Nifti1Image(plain, None)
    quaternion.set_qform(turned, 1)
    quaternion.header.set_slope_inter(2.0, -1024.0)
    quaternion.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"a scan"))
    images.append(quaternion)
    return [image.to_bytes() for image in images]


def _read_scan(path):
    import imaging

    return imaging.read(path)


def png_seeds() -> list[bytes]:
    """Grey of 1 to 16 bits, colour, alpha, palettes with and without transparency, interlaced, with EXIF."""
    from PIL import Image

    chance = np.random.default_rng(0)
    grey = Image.fromarray(chance.integers(0, 256, (9, 11)).astype(np.uint8))
    colour = Image.fromarray(chance.integers(0, 256, (9, 11, 3)).astype(np.uint8))
    deep = Image.fromarray(chance.integers(0, 65536, (9, 11)).astype(np.uint16))
    turned = Image.Exif()
    turned[274] = 6
    opaque = colour.copy()
    opaque.putalpha(255)
    options = [(grey, {}), (grey.convert("1"), {}), (colour, {"exif": turned}), (deep, {}), (opaque, {})]
    options += [(colour.quantize(13), {"bits": 4}), (grey.convert("P"), {})]
    return [_written(image, "png", **more) for image, more in options]


def jpeg_seeds() -> list[bytes]:
    """Grey and colour, progressive, with EXIF, with and without subsampling."""
    from PIL import Image

    colour = Image.fromarray(np.random.default_rng(0).integers(0, 256, (19, 21, 3)).astype(np.uint8))
    turned = Image.Exif()
    turned[274] = 6
    options = [(colour.convert("L"), {}), (colour, {"exif": turned}), (colour, {"progressive": True})]
    options += [(colour, {"subsampling": 0, "quality": 95})]
    return [_written(image, "jpeg", **more) for image, more in options]


def tiff_seeds() -> list[bytes]:
    """Strips and tiles, both byte orders, BigTIFF, all compressions that are read, predictors, planes, palette."""
    import tifffile
    from PIL import Image

    chance = np.random.default_rng(0)
    grey = chance.integers(0, 256, (40, 37)).astype(np.uint8)
    deep = chance.integers(0, 65536, (40, 37, 3)).astype(np.uint16)
    options = [(grey, {}), (grey, {"compression": "deflate", "predictor": True, "rowsperstrip": 7})]
    options += [(grey.astype(np.float32), {"compression": "deflate", "predictor": True}), (grey, {"bigtiff": True})]
    options += [(deep, {"compression": "lzw", "byteorder": ">", "photometric": "rgb"}), (grey > 99, {})]
    options += [(deep.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate", "tile": (16, 16)})]
    options += [(grey, {"compression": kind}) for kind in ("packbits", "lzma", "zstd", "jpeg")]
    seeds = []
    for pixels, more in options:
        file = io.BytesIO()
        tifffile.imwrite(file, pixels, **more)
        seeds.append(file.getvalue())
    image = Image.fromarray(grey)
    return [*seeds, _written(image.convert("1"), "tiff", compression="group4"), _written(image.convert("P"), "tiff")]


def _written(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _read_picture(path):
    """As an image and as a label map; a file that is either was read."""
    import imaging

    try:
        imaging.read(path)
    except InputError:
        return imaging.read_labels(path)
    with contextlib.suppress(InputError):
        imaging.read_labels(path)
    return None


def _manifest_seeds():
    from edge.shipped import locate, names

    return [(locate(name) / "manifest.json").read_bytes() for name in names()]


def _read_manifest(path):
    from edge.manifest import load_manifest

    return load_manifest(path.parent, verify=False)


def _dataset_seeds():
    """Every dialect of ``dataset.json``, for the files that ``_read_dataset`` lays beside it."""
    labels = {"background": 0, "whole": 1, "core": "2", "ignore": 3}
    cases = [{"image": f"./imagesTr/{c}.nii.gz", "label": f"labelsTr/{c}.nii.gz", "fold": 0} for c in "ab"]
    files = {c: {"images": [f"imagesTr/{c}_0000.nii.gz"], "label": f"labelsTr/{c}.nii.gz"} for c in "ab"}
    regions = {"background": 0, "whole": [1, 2], "core": [2]}
    dialects = (
        {"labels": {"0": "background", "1": "a"}, "modality": {"0": "MRI"}, "training": cases, "numTraining": 2},
        {"labels": labels, "training": [{**case, "image": [case["image"]] * 2} for case in cases], "validation": cases},
        {"labels": labels, "channel_names": {"0": "CT"}, "file_ending": ".nii.gz", "numTraining": 2},
        {"labels": regions, "regions_class_order": [1, 2], "channel_names": {"0": "CT"}, "dataset": files},
        {"training": cases, "name": "no labels"},
    )
    return [json.dumps(dialect).encode() for dialect in dialects]


def _read_dataset(path):
    from train.data import layouts
    from train.data.dataset import from_listing

    folder = path.parent
    if not (folder / "imagesTr").is_dir():
        for name in ("imagesTr", "labelsTr"):
            (folder / name).mkdir()
        for case in "ab":
            (folder / "imagesTr" / f"{case}_0000.nii.gz").touch()
            (folder / "labelsTr" / f"{case}.nii.gz").touch()
    return from_listing(layouts.read(folder))


def _plan_seeds():
    from medseg import record
    from train.commands.preconditions import stand_in

    plans = [stand_in("unet3d"), stand_in("unet")]
    options = {"depth": 3, "strides": [[1, 2, 2], [2, 2, 2]]}
    plans.append(replace(plans[0], ignore=7, network=replace(plans[0].network, options=options), patch=(8, 16, 16)))
    return [json.dumps(record.to_dict(plan)).encode() for plan in plans]


def _read_plan(path):
    from medseg import record
    from train.commands.plan import explanation
    from train.planning.plan import Plan
    from train.planning.plan_check import check_plan
    from zoo.errors import ZooError

    plan = record.load(path, Plan)
    try:
        check_plan(plan)
    except ZooError as error:  # as the command line prints it
        raise InputError(str(error)) from None
    return explanation(plan)


FORMATS = {
    "dataset": Format("dataset.json", _dataset_seeds, _read_dataset, mutate_json),
    "plan": Format("plan.json", _plan_seeds, _read_plan, mutate_json),
    "nifti": Format("a.nii", nifti_seeds, _read_scan, mutate_bytes),
    "gz": Format("a.nii.gz", lambda: [gzip.compress(seed) for seed in nifti_seeds()], _read_scan, mutate_gzip),
    "png": Format("a.png", png_seeds, _read_picture, mutate_png),
    "jpeg": Format("a.jpg", jpeg_seeds, _read_picture, mutate_bytes),
    "tiff": Format("a.tif", tiff_seeds, _read_picture, mutate_bytes),
    "manifest": Format("manifest.json", _manifest_seeds, _read_manifest, mutate_json),
}
