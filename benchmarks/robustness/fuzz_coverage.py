"""Coverage-guided fuzzing of every reader of files from strangers, by atheris (``pip install "medseg-zoo[fuzz]"``).

    python benchmarks/robustness/fuzz_coverage.py --reader nifti --seconds 300
    python benchmarks/robustness/fuzz_coverage.py --seconds 300 --corpus corpus
        # every reader, each in a process of its own

A reader may refuse a file by an error that carries an exit status. Any other exception, a crash, more than 2 GB or more
than 20 s for one file is a fault: the file is kept in the corpus folder and the script ends with status 1.
"""

import argparse
import contextlib
import gzip
import importlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import traceback
import zipfile
from pathlib import Path

MEGABYTES = 2048
SECONDS_A_FILE = 20
# What readers of JSON stumble over; bytes changed at random seldom make such words.
WORDS = (
    "NaN", "-Infinity", "1e999", "1e-320", "99999999999999999999", "-1", "null", "true", "[]", "{}", "[[", "../x",
    "/etc", "class_name", "config", "layers", "module", "TFSMLayer", "Lambda", "image", "label",
    "training", "folds",
)  # fmt: skip
MAX_BYTES = 64 * 1024

# Reader to the suffix of its files; what reads them is in ``reading``.
READERS = {
    "nifti": ".nii", "gz": ".nii.gz", "png": ".png", "tiff": ".tif", "jpeg": ".jpg", "manifest": "manifest.json",
    "plan": "plan.json", "dataset": "dataset.json", "dicom": ".dcm", "h5": ".h5", "keras": ".keras", "npz": ".npz",
}  # fmt: skip


def main() -> int:
    """Fuzz one reader in this process, or all in processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", choices=READERS, help="one of them (default: all)")
    parser.add_argument("--seconds", type=int, default=300, help="for each reader (default: 300)")
    parser.add_argument("--corpus", type=Path, help="folder that keeps what was found for the next time")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        corpus = args.corpus or Path(scratch)
        if args.reader:
            return fuzz(args.reader, args.seconds, corpus / args.reader)
        failed = [name for name in READERS if not survives(name, args.seconds, corpus)]
    print(f"{len(READERS) - len(failed)} of {len(READERS)} readers without a fault", *failed)
    return 1 if failed else 0


def survives(name, seconds, corpus) -> bool:
    """Whether a reader had no fault, in a process of its own, since atheris ends the one that it runs in."""
    words = [sys.executable, __file__, "--reader", name, "--seconds", str(seconds), "--corpus", str(corpus)]
    return subprocess.run(words, check=False).returncode == 0


def fuzz(name, seconds, corpus) -> int:
    """Fuzz one reader; does not return, as atheris ends the process: status 0, or another at the first fault."""
    import atheris

    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    own = ["imaging", "edge", "zoo.legacy", "zoo.weights", "medseg", "train", "nibabel", "pydicom"]
    with atheris.instrument_imports(include=own):
        read = reading(name)
    folder = Path(tempfile.mkdtemp(prefix="medseg-fuzz-"))
    path = folder / (READERS[name] if READERS[name].endswith(".json") else f"file{READERS[name]}")

    def once(data):
        path.write_bytes(data)
        try:
            read(path)
        except Exception as error:
            if not hasattr(error, "exit_status") or "\n" in str(error):
                raise

    options = [f"-max_total_time={seconds}", f"-rss_limit_mb={MEGABYTES}", f"-timeout={SECONDS_A_FILE}"]
    dictionary = folder / "words"
    dictionary.write_text("".join(f'"{word}"\n' for word in WORDS))
    options += [
        f"-dict={dictionary}",
        f"-max_len={MAX_BYTES}",
        f"-artifact_prefix={corpus}/fault-",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], once)
    atheris.Fuzz()
    return 0


def reading(name):
    """What reads a file of a kind."""
    if name in ("nifti", "gz", "png", "tiff", "jpeg"):
        import imaging

        return imaging.read
    if name == "dicom":
        importlib.import_module("pydicom.pixels")  # what is imported here is watched
        from imaging.io import files

        return lambda path: read_dicom(path, files)
    if name == "manifest":
        from edge.manifest import load_manifest

        return lambda path: load_manifest(path.parent, verify=False)
    if name == "plan":
        from medseg import record
        from train.planning.plan import Plan

        return lambda path: record.load(path, Plan)
    if name == "dataset":
        from train.data.layouts import read

        return lambda path: read(path.parent)
    if name == "npz":
        from zoo.weights.storage import read_arrays

        return read_arrays
    from zoo.legacy.contents import check_config, check_sizes
    from zoo.legacy.reading import read_archive, read_here

    if name == "h5":
        return alone(read_here)

    def read_model(path):
        contents = read_archive(path)
        check_config(contents.config)
        check_sizes(contents.config, 0)

    return read_model


def read_dicom(path, files):
    """A DICOM file as an image, else as labels."""
    from medseg.errors import InputError

    try:
        return files.read(path)
    except InputError as error:
        if "\n" in str(error) and "choose one by --series" not in str(error):
            raise
    with contextlib.suppress(InputError):
        files.read_labels(path)
    return None


def alone(read):
    """``read`` in a fork: the C library of HDF5 loops for ever or crashes on some files, which ``zoo.load`` survives.

    What it raises comes back; a fork that was killed counts as a file that was refused. No coverage guides this reader.
    """

    def forked(path):
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_CPU, (2, 2))
            status = 0
            try:
                read(path)
            except Exception as error:
                if not hasattr(error, "exit_status") and not isinstance(error, OSError | MemoryError):
                    traceback.print_exc()
                    status = 1
            os._exit(status)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) > 0:
            raise RuntimeError("the reader raised what the fork has printed")

    return forked


def seeds(name) -> list[bytes]:
    """Small whole files to begin with."""
    import numpy as np

    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    if name in ("nifti", "gz"):
        import nibabel

        whole = nibabel.Nifti1Image(np.arange(64, dtype=np.float32).reshape(4, 4, 4), np.eye(4)).to_bytes()
        return [whole] if name == "nifti" else [gzip.compress(whole, mtime=0)]
    if name == "dicom":
        from pydicom.data import get_testdata_file

        names = (
            "CT_small",
            "MR_small_jp2klossless",
            "MR_small_RLE",
            "MR_small_jpeg_ls_lossless",
            "rtstruct",
            "SC_rgb_rle",
        )
        return [Path(get_testdata_file(f"{which}.dcm", download=False)).read_bytes() for which in names]
    if name in ("png", "tiff", "jpeg"):
        import cv2

        colour = np.stack([grey] * 3, axis=-1)
        return [cv2.imencode(READERS[name], pixels)[1].tobytes() for pixels in (grey, colour)]
    if name == "manifest":
        from edge.shipped import locate

        return [(locate(which) / "manifest.json").read_bytes() for which in ("unet3d-hippocampus", "unet-hc18")]
    if name in ("plan", "dataset"):
        return [json.dumps(_PLAN if name == "plan" else described).encode() for described in _DATASETS]
    return [_hdf5()] if name == "h5" else [_archive()] if name == "keras" else [_arrays()]


_PLAN = {
    "dataset": "d", "labels": [{"name": "background", "value": 0}, {"name": "ball", "value": 1}], "channels": ["MRI"],
    "recipe": {"rank": 3, "orientation": "RAS", "spacing": [1, 1, 1]}, "network": {"name": "unet3d", "options": {}},
    "patch": [16, 16, 16], "overlap": 0.5, "training": {"epochs": 1}, "folds": [["a"], ["b"]],
}  # fmt: skip
_DATASETS = (
    {"labels": {"0": "background", "1": "ball"}, "modality": {"0": "MRI"}, "numTraining": 1,
     "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}]},
    {"labels": {"background": 0, "ball": [1, 2]}, "channel_names": {"0": "MRI"}, "file_ending": ".nii.gz"},
)  # fmt: skip
_NETWORK = {
    "class_name": "Sequential",
    "config": {
        "name": "net",
        "layers": [
            {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, 4]}},
            {"class_name": "Dense", "config": {"name": "y", "units": 2, "activation": "relu"}},
        ],
    },
}


def _hdf5() -> bytes:
    import h5py
    import numpy as np

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["model_config"] = json.dumps(_NETWORK)
        group = file.create_group("model_weights/y")
        group.attrs["weight_names"] = [b"kernel", b"bias"]
        group["kernel"], group["bias"] = np.zeros((4, 2), "f4"), np.zeros(2, "f4")
    return buffer.getvalue()


def _archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("metadata.json", json.dumps({"keras_version": "3.13.0"}))
        file.writestr("config.json", json.dumps(_NETWORK))
        file.writestr("model.weights.h5", _hdf5())
    return buffer.getvalue()


def _arrays() -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{"y/kernel:int8": np.ones((4, 2), "i1"), "y/kernel:scale": np.ones(2, "f4")})
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
