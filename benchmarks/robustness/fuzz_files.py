"""Mutate valid files byte by byte and value by value, read them, and count what escapes the readers.

    python benchmarks/robustness/fuzz_files.py --inputs 300000
    python benchmarks/robustness/fuzz_files.py --inputs 20000 --format nifti,manifest --seed 3 --keep escapes

A reader may return or raise InputError. Everything else is an escape, and so is an input that takes over two seconds
of processor time. Prints one Markdown table: format, inputs, how many were read, how many were refused, escapes, inputs
over two seconds, the slowest. Exits with 1 if there was an escape or a slow input; ``--keep`` saves those inputs. A new
format is one entry in ``FORMATS``.
"""

import argparse
import contextlib
import gzip
import io
import json
import random
import signal
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from medseg.errors import InputError

SLOW = 2.0  # seconds
STUCK = 30  # seconds after which an input is given up
# Numbers at which readers break, as a JSON value and (the integers) in the bytes of a header.
NUMBERS = (0, 1, -1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, 10**30)
REALS = (float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e-300, 1e300, 0.05, 1e-45, -1.5)
VALUES = (*NUMBERS, *REALS, None, True, "", "a" * 5000, "../../x", "/etc/passwd", "\x00", [], {}, [[]], {"a": 1})


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


@dataclass
class Count:
    """What became of the inputs of one format."""

    read: int = 0
    refused: int = 0
    slow: int = 0
    slowest: float = 0.0
    escapes: list[str] = field(default_factory=list)


def mutate_bytes(content: bytes, chance: random.Random, head: int = 400) -> bytes:
    """One to six changes: bytes, whole numbers, reals, cuts, repeats; half of them in the first ``head`` bytes."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        if not data:
            break
        end = min(head, len(data)) if chance.random() < 0.5 else len(data)
        at = chance.randrange(end)
        kind = chance.randrange(8)
        if kind < 2:
            data[at] = chance.randrange(256)
        elif kind == 2:
            data[at] ^= 1 << chance.randrange(8)
        elif kind < 5:
            size, order = chance.choice((1, 2, 4, 8)), chance.choice(("little", "big"))
            data[at : at + size] = (chance.choice(NUMBERS) % 256**size).to_bytes(size, order)
        elif kind == 5:
            dtype = chance.choice(("<f4", ">f4", "<f8", ">f8"))
            with np.errstate(over="ignore"):
                value = np.float64(chance.choice(REALS)).astype(dtype).tobytes()
            data[at : at + len(value)] = value
        elif kind == 6:
            del data[at : at + chance.choice((1, 2, 4, 16, len(data)))]
        else:
            data[at:at] = data[at : at + chance.choice((1, 4, 64))]
    return bytes(data)


def mutate_gzip(content: bytes, chance: random.Random) -> bytes:
    """Two thirds of the changes inside the packed content, one third in the packed bytes."""
    if chance.random() < 0.33:
        return mutate_bytes(content, chance)
    packed = gzip.compress(mutate_bytes(gzip.decompress(content), chance), compresslevel=1)
    tail = chance.choice((b"", b"", b"", bytes(16), packed, b"tail"))
    return packed + tail


def mutate_json(content: bytes, chance: random.Random) -> bytes:
    """Three quarters changed values of the parsed document, one quarter changed bytes."""
    if chance.random() < 0.25:
        return mutate_bytes(content, chance)
    data = json.loads(content)
    for _ in range(chance.randint(1, 3)):
        data = _with_changed_value(data, chance)
    return json.dumps(data).encode()


def _with_changed_value(data, chance):
    """The document with one value, anywhere in it, replaced, removed, renamed or nested."""
    if isinstance(data, dict) and data and chance.random() < 0.9:
        key = chance.choice(list(data))
        changed = dict(data)
        if chance.random() < 0.1:
            changed[key + "x"] = changed.pop(key)
        elif chance.random() < 0.1:
            del changed[key]
        else:
            changed[key] = _with_changed_value(data[key], chance)
        return changed
    if isinstance(data, list) and data and chance.random() < 0.8:
        index = chance.randrange(len(data))
        if chance.random() < 0.2:
            return data[:index] + data[index + 1 :]
        return [*data[:index], _with_changed_value(data[index], chance), *data[index + 1 :]]
    return [data] if chance.random() < 0.1 else chance.choice(VALUES)


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


def mutate_png(content: bytes, chance: random.Random) -> bytes:
    """Three quarters with check sums made right again, so that the changes reach the decoder."""
    changed = mutate_bytes(content, chance, head=60)
    if chance.random() < 0.25:
        return changed
    parts, place = [changed[:8]], 8
    while place + 8 <= len(changed):
        length = int.from_bytes(changed[place : place + 4], "big")
        body = changed[place + 4 : place + 8 + length]
        parts += [len(body[4:]).to_bytes(4, "big"), body, zlib.crc32(body).to_bytes(4, "big")]
        place += 12 + length
    return b"".join(parts)


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


def fuzz(kind: Format, inputs: int, folder, seed: int = 0, keep=None) -> Count:
    """Read ``inputs`` mutated files of one kind.

    Args:
        kind: what to read.
        inputs: how many.
        folder: an empty folder that the inputs are written to, one after another.
        seed: of the mutations; the same seed gives the same inputs.
        keep: folder for inputs that escaped or were slow, or None.
    """
    chance, count, contents = random.Random(seed), Count(), kind.seeds()
    path = Path(folder) / kind.name
    for number in range(inputs):
        content = kind.mutate(chance.choice(contents), chance)
        path.write_bytes(content)
        escape, began = None, time.process_time()
        try:
            kind.read(path)
            count.read += 1
        except InputError as error:
            count.refused += 1
            if "\n" in str(error):
                escape = f"a message of several lines: {error}"
        except Exception as error:
            escape = f"{type(error).__name__}: {error}"
        seconds = time.process_time() - began
        count.slowest = max(count.slowest, seconds)
        count.slow += seconds > SLOW
        if escape:
            count.escapes.append(f"input {number}: {escape}")
        if keep and (escape or seconds > SLOW):
            Path(keep).mkdir(parents=True, exist_ok=True)
            (Path(keep) / f"{seed}-{number}-{kind.name}").write_bytes(content)
    return count


def main() -> int:
    """Fuzz the formats that are asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10000, help="in all, shared evenly by the formats")
    parser.add_argument("--format", default=",".join(FORMATS), help="names joined by commas (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", help="folder for inputs that escaped or were slow")
    args = parser.parse_args()
    names = args.format.split(",")
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        parser.error(f"--format {', '.join(unknown)}: expected {', '.join(FORMATS)}")
    warnings.simplefilter("ignore")
    failed = False
    print("| format | inputs | read | refused | escapes | over 2 s | slowest, s |\n|---|---|---|---|---|---|---|")
    for name in names:
        inputs = args.inputs // len(names)
        with tempfile.TemporaryDirectory() as folder:
            kind = replace(FORMATS[name], read=_within_limit(FORMATS[name].read))
            count = fuzz(kind, inputs, folder, args.seed, args.keep)
        failed |= bool(count.escapes or count.slow)
        figures = (inputs, count.read, count.refused, len(count.escapes), count.slow, f"{count.slowest:.2f}")
        print(f"| {name} | " + " | ".join(map(str, figures)) + " |", flush=True)
        for escape in count.escapes[:20]:
            print(f"{name} {escape[:300]}", file=sys.stderr)
    return 1 if failed else 0


def _within_limit(read):
    """The reader, given up after ``STUCK`` seconds."""

    def limited(path):
        signal.alarm(STUCK)
        try:
            return read(path)
        finally:
            signal.alarm(0)

    signal.signal(signal.SIGALRM, _give_up)
    return limited


def _give_up(*_):
    raise TimeoutError(f"still reading after {STUCK} s")


if __name__ == "__main__":
    sys.exit(main())
