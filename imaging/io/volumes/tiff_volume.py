"""Volumes in TIFF files: a page a slice, as ImageJ, OME and tifffile write them; or the channels of a flat image.

A TIFF knows no patient. As ITK has it, columns run to the left (first axis), rows to the back (second) and pages to the
head (third), the first voxel at the world's origin. The size of a voxel is that of ImageJ's metadata (``spacing`` and
the resolution tags, in ``unit``) or of OME's (``PhysicalSizeX``, ``Y``, ``Z``); without either it counts as 1 mm.
"""

import io
import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import numpy as np

from imaging.geometry.flat import PICTURE
from imaging.io.tiff import Stack, read_stack
from imaging.scan import Scan
from medseg.errors import InputError
from medseg.untrusted import shown

LPS_AXES = (-1.0, -1.0, 1.0)  # left and back of our world, in which right and front are positive
_MAX_XML = 1 << 22
_MILLIMETRES = {
    "nm": 1e-6,
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "\\u00b5m", "\\u00B5m"), 1e-3),
    "mm": 1.0,
    "cm": 10.0,
    "m": 1000.0,
    **dict.fromkeys(("in", "inch", "inches"), 25.4),
}


@dataclass(frozen=True)
class Layout:
    """How the pages of a file make up a volume.

    Attributes:
        slices, channels: how many; their product is the number of pages.
        channels_first: pages of one slice, a channel each, follow one another.
        spacing: voxel size in mm along columns, rows and pages; None where it is not told.
    """

    slices: int
    channels: int
    channels_first: bool
    spacing: tuple[float, float, float] | None


def read_volume(path, content: bytes, stored: bool = False) -> Scan:
    """Read a TIFF file of several pages: a volume, or by its metadata one slice of several channels, a flat image.

    Args:
        path: for messages.
        content: of the file.
        stored: give the stored values of a label map: palettes are not looked up, white is not turned to black.

    Returns:
        A scan (columns, rows, pages, C), or of one slice (rows, columns, C) as of other pictures; float32, or in the
        file's own type where ``stored``.

    Raises:
        InputError: if the file is damaged, its pages are no slices of one volume, or it is a series in time.
    """
    stack = read_stack(path, content)
    layout = layout_of(path, stack)
    pages = [_samples(path, page(), stored) for page in stack.pages]
    voxels = np.stack(pages) if stored else np.stack(pages).astype(np.float32, copy=False)
    if layout.channels > 1:
        order = (layout.slices, layout.channels) if layout.channels_first else (layout.channels, layout.slices)
        grid, samples = voxels.shape[1:-1], voxels.shape[-1]
        voxels = np.moveaxis(voxels.reshape(*order, *grid, samples), 1 if layout.channels_first else 0, -2)
        voxels = voxels.reshape(layout.slices, *grid, layout.channels * samples)
    if layout.slices == 1:
        return Scan(np.ascontiguousarray(voxels[0]), np.eye(4), has_spacing=False, axes=PICTURE)
    voxels = np.ascontiguousarray(voxels.transpose(2, 1, 0, 3))
    affine = np.diag([*np.multiply(LPS_AXES, layout.spacing or (1.0, 1.0, 1.0)), 1.0])
    return Scan(voxels, affine, has_spacing=layout.spacing is not None)


def volume_bytes(scan: Scan) -> bytes:
    """The content of a TIFF file of a page a slice, with ImageJ's metadata.

    Args:
        scan: 3D, one channel or three (RGB), along the axes that ``read_volume`` gives: a TIFF has no place for others.

    Raises:
        InputError: for another scan.
    """
    import tifffile

    if scan.rank != 3 or scan.channels not in (1, 3):
        raise InputError(f"scan of shape {scan.shape} with {scan.channels} channels: TIFF takes 1 or 3; write .nii.gz")
    spacing = np.array(scan.spacing)
    if not np.allclose(scan.affine, np.diag([*np.multiply(LPS_AXES, spacing), 1.0]), atol=1e-5, rtol=1e-6):
        raise InputError(
            "the scan has an origin or directions of its own, for which a TIFF has no place; write .nii.gz or .mha"
        )
    samples = _storable(scan)
    metadata: dict = {"axes": "ZYXS" if scan.channels == 3 else "ZYX"}
    resolution: dict = {}
    if scan.has_spacing:
        metadata |= {"spacing": float(spacing[2]), "unit": "mm"}
        resolution = {"resolution": (1 / spacing[0], 1 / spacing[1])}
    content = io.BytesIO()
    tifffile.imwrite(
        content,
        samples,
        imagej=True,
        metadata=metadata,
        photometric="rgb" if scan.channels == 3 else "minisblack",
        **resolution,
    )
    return content.getvalue()


def layout_of(path, stack: Stack) -> Layout:
    """How the pages lie, by the metadata of ImageJ, OME or tifffile; a page a slice where there are none.

    Raises:
        InputError: if the metadata tell of another number of pages, or of several times.
    """
    if stack.ome:
        layout, times = _ome(path, stack)
    elif isinstance(stack.shaped.get("axes"), str):
        layout, times = _shaped(path, stack)
    else:
        numbers = {name: max(1, int(stack.imagej.get(name, 1))) for name in ("slices", "channels", "frames")}
        times, channels = numbers["frames"], numbers["channels"]
        if not stack.imagej or len(stack.pages) != channels * numbers["slices"] * times:
            times, channels = 1, 1
        if times > 1 and numbers["slices"] == 1:  # what the stack of a volume is called by mistake
            times, numbers["slices"] = 1, times
        layout = Layout(len(stack.pages) // (channels * times), channels, True, _imagej_spacing(stack))
    if times != 1 or layout.slices * layout.channels != len(stack.pages):
        raise InputError(
            f"{path}: holds {len(stack.pages)} pages, {layout.slices} slices of {layout.channels} channels at {times} "
            "times by its metadata; expected one volume, save each time as a file"
        )
    return layout


def _imagej_spacing(stack):
    factor = _MILLIMETRES.get(str(stack.imagej.get("unit", "")).strip())
    if factor is None or not stack.across or not stack.down:
        return None
    try:
        through = float(stack.imagej.get("spacing", 1.0))
    except (TypeError, ValueError):
        return None
    return _sizes(stack.across * factor, stack.down * factor, abs(through) * factor)


def _ome(path, stack):
    try:
        if len(stack.ome) > _MAX_XML or "<!DOCTYPE" in stack.ome or "<!ENTITY" in stack.ome:
            raise ValueError("is too long or defines entities")
        root = ElementTree.fromstring(stack.ome)
        images = [element for element in root.iter() if element.tag.endswith("}Pixels") or element.tag == "Pixels"]
        pixels = images[0].attrib
        sizes = {axis: int(pixels[f"Size{axis}"]) for axis in "CZT"}
        order = pixels["DimensionOrder"]
        if sorted(order) != sorted("XYZCT"):
            raise ValueError(f"DimensionOrder {shown(order)}")
        given = {axis: float(pixels.get(f"PhysicalSize{axis}", "nan")) for axis in "XYZ"}
        units = {axis: _MILLIMETRES[pixels.get(f"PhysicalSize{axis}Unit", "µm")] for axis in "XYZ"}
    except (ValueError, KeyError, IndexError, ElementTree.ParseError) as error:
        raise InputError(f"{path}: its OME metadata cannot be read ({error}); convert it again") from None
    if len(images) > 1:
        raise InputError(f"{path}: holds {len(images)} images, expected one; save each as a file")
    if np.isnan(given["Z"]) and not np.isnan(given["X"]):
        given["Z"], units["Z"] = given["X"], units["X"]
    in_pages = len(stack.pages) == sizes["Z"] * sizes["T"]  # the colours of RGB lie in the pages themselves
    channels = 1 if in_pages else sizes["C"]
    layout = Layout(
        sizes["Z"],
        channels,
        order.index("C") < order.index("Z"),
        _sizes(*(given[axis] * units[axis] for axis in "XYZ")),
    )
    return layout, sizes["T"]


def _shaped(path, stack):
    axes, shape = stack.shaped["axes"], stack.shaped.get("shape")
    named = isinstance(shape, list) and len(shape) == len(axes) and all(isinstance(size, int) for size in shape)
    sizes = {axis: size for axis, size in zip(axes, shape, strict=True) if axis not in "YXS"} if named else {}
    if math.prod(sizes.values()) != len(stack.pages):
        return Layout(len(stack.pages), 1, True, None), 1
    through = [axis for axis in sizes if axis != "C"]
    if len(through) > 1 and set(through) != {"Z", "T"}:
        raise InputError(f"{path}: its axes are {shown(axes)}, expected slices (Z) and channels (C); save one volume")
    slices = "Z" if "Z" in sizes else "".join(through)  # a single axis of another name counts as slices
    channels_first = "C" not in sizes or not slices or list(sizes).index("C") > list(sizes).index(slices)
    return Layout(sizes.get(slices, 1), sizes.get("C", 1), channels_first, None), sizes["T"] if len(through) > 1 else 1


def _sizes(*sizes):
    """The sizes, or None where one is none."""
    return tuple(float(size) for size in sizes) if np.isfinite(sizes).all() and min(sizes) > 0 else None


def _samples(path, picture, stored):
    """The values of a page: (rows, columns, C)."""
    samples = picture.samples
    if stored:
        if picture.lossy:
            raise InputError(f"{path}: is compressed by JPEG, which alters label values; save it without loss")
        if picture.transparent == "alpha":
            raise InputError(f"{path}: is partly transparent, expected a class value in every pixel; save it as grey")
        return samples
    if picture.transparent:
        raise InputError(f"{path}: is partly transparent, expected grey or RGB slices; save it without alpha")
    if picture.palette is not None:
        raise InputError(f"{path}: is a volume with a palette, expected grey or RGB; convert it")
    if picture.white_is_zero and samples.dtype.kind == "u":
        return np.array(2**picture.bits - 1, samples.dtype) - samples
    return samples


def _storable(scan):
    """The voxels as ImageJ reads them: (pages, rows, columns) or with RGB last."""
    voxels = scan.voxels.transpose(2, 1, 0, 3)
    voxels = voxels[..., 0] if scan.channels == 1 else voxels
    low, high = (float(voxels.min()), float(voxels.max())) if voxels.size else (0.0, 0.0)
    if voxels.dtype.kind != "f":
        if low < 0 or high > 65535:
            raise InputError(f"voxels from {low:g} to {high:g}: TIFF takes 0 to 65535; write .nii.gz")
        return np.ascontiguousarray(voxels, np.uint8 if high <= 255 else np.uint16)
    return np.ascontiguousarray(voxels, np.float32)
