"""Artifact folders that are traps: manifests with paths, claims and nonsense, model files that are none."""

import base64
import gzip
import hashlib
import json
import os
import shutil
import zlib
from pathlib import Path

from hostile_scans import GIGABYTE, device, itself, pipe, zeros_gz

from edge.shipped import locate


def changed(**fields):
    """An artifact with fields of the manifest replaced; ``recipe__spacing`` reaches inside."""

    def make(folder):
        def change(data):
            for name, value in fields.items():
                *outer, last = name.split("__")
                inner = data
                for part in outer:
                    inner = inner[int(part) if part.isdecimal() else part]
                inner[last] = value

        edit(copy(folder), change)

    return make


def copy(folder) -> Path:
    """A shipped artifact of a 3D network."""
    shutil.copytree(locate("unet3d-hippocampus"), folder)
    return folder


def edit(folder, change) -> None:
    """Rewrite the manifest."""
    data = json.loads((folder / "manifest.json").read_text())
    change(data)
    (folder / "manifest.json").write_text(json.dumps(data))


def text(content):
    """An artifact whose manifest is this text."""

    def make(folder):
        copy(folder)
        (folder / "manifest.json").write_bytes(content())

    return make


def instead(name, trap):
    """An artifact with a trap in a file's place."""

    def make(folder):
        copy(folder)
        (folder / name).unlink()
        trap(folder / name)

    return make


def model(content, name="model.tflite.gz"):
    """An artifact with another model file, whose checksum the manifest knows."""

    def make(folder):
        copy(folder)
        (folder / "model.tflite.gz").unlink()
        data = content()
        (folder / name).write_bytes(data)
        edit(folder, lambda m: m.update(model=name, sha256=hashlib.sha256(data).hexdigest()))

    return make


def secret(path):
    """A link to a file of the system."""
    path.symlink_to("/etc/passwd")


def onnx(**options):
    """An ONNX artifact of open size, or with its values in another file."""

    def make(folder):
        import numpy as np
        from onnx import TensorProto, external_data_helper, helper, numpy_helper

        folder.mkdir()
        kernel = numpy_helper.from_array(np.zeros((1, 3), np.float32), "kernel")
        if "location" in options:
            external_data_helper.set_external_data(kernel, options["location"])
            kernel.ClearField("raw_data")
        sizes = [[1, "h", "w", "d", last] for last in (1, 3)]
        values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in zip("xy", sizes, strict=True)]
        node = helper.make_node("MatMul", ["x", "kernel"], ["y"])
        graph = helper.make_graph([node], "graph", values[:1], values[1:], [kernel])
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        content = made.SerializeToString()
        (folder / "model.onnx").write_bytes(content)
        data = json.loads((locate("unet3d-hippocampus") / "manifest.json").read_text())
        patch = options.get("patch", [8, 8, 8])
        tensor = {"name": "x", "dtype": "float32", "scale": 0.0, "zero_point": 0}
        data.update(
            format="onnx-float32", model="model.onnx", sha256=hashlib.sha256(content).hexdigest(), patch=patch,
            folded=False, form="", input=tensor | {"shape": [1, *patch, 1]}, output=tensor | {"shape": [1, *patch, 3]},
        )  # fmt: skip
        (folder / "manifest.json").write_text(json.dumps(data))

    return make


def _whole():
    return gzip.decompress((locate("unet3d-hippocampus") / "model.tflite.gz").read_bytes())


def _reference():
    """A reference scan whose few voxels unpack to a gigabyte."""
    rows = [1.0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0, 1.0, 0]
    packed = base64.b64encode(zlib.compress(bytes(2**28), 9)).decode()
    return {"shape": [8, 8, 8], "affine": rows, "grid_shape": [8, 8, 8], "grid_affine": rows, "voxels": packed}


ARTIFACTS = {
    "model by a path upwards": changed(model="../../../../etc/passwd"),
    "model by an absolute path": changed(model="/etc/passwd"),
    "model with a zero byte": changed(model="model\0.tflite"),
    "model is no text": changed(model=["model.tflite.gz"]),
    "model a link out": instead("model.tflite.gz", secret),
    "model a device": instead("model.tflite.gz", device),
    "model a pipe": instead("model.tflite.gz", pipe),
    "model a loop": instead("model.tflite.gz", itself),
    "manifest a device": instead("manifest.json", device),
    "manifest a pipe": instead("manifest.json", pipe),
    "manifest a loop": instead("manifest.json", itself),
    "manifest of lists, deep": text(lambda: b"[" * 100_000),
    "manifest of objects, deep": text(lambda: b'{"a":' * 100_000),
    "manifest of many lists": text(lambda: b'{"schema": 1, "a": [' + b"[]," * 5_000_000 + b"[]]}"),
    "manifest of 100 MB": text(lambda: b" " * 100_000_000),
    "manifest of digits": text(lambda: b'{"schema": ' + b"9" * 100_000 + b"}"),
    "manifest not UTF-8": text(lambda: b"\xff\xfe{}"),
    "manifest empty": text(lambda: b""),
    "manifest null": text(lambda: b"null"),
    "schema of the future": changed(schema=10**30),
    "spacing 1e-300": changed(recipe__spacing=[1e-300] * 3),
    "spacing 0.01": changed(recipe__spacing=[0.001] * 3),
    "spacing NaN": changed(recipe__spacing=[float("nan")] * 3),
    "spacing negative": changed(recipe__spacing=[-1.0] * 3),
    "size 10^6": changed(recipe__spacing=None, recipe__size=[10**6] * 3),
    "mean NaN": changed(recipe__normalise={"kind": "fixed", "mean": [float("nan")], "std": [1.0]}),
    "deviation 1e-300": changed(recipe__normalise={"kind": "fixed", "mean": [0.0], "std": [1e-300]}),
    "deviation 10^400": changed(recipe__normalise={"kind": "fixed", "mean": [0.0], "std": [10**400]}),
    "clip at infinity": changed(recipe__clip={"kind": "value", "low": float("inf"), "high": float("inf")}),
    "recipe a number": changed(recipe=5),
    "filter unknown": changed(recipe__filters=[{"name": "sharpen", "parameters": {}}]),
    "filter of a module": changed(recipe__filters=[{"name": "steps.apply", "parameters": {}}]),
    "filter no name": changed(recipe__filters=[{"name": 5, "parameters": {}}]),
    "filter parameter unknown": changed(recipe__filters=[{"name": "median", "parameters": {"channel": 1}}]),
    "filter radius NaN": changed(recipe__filters=[{"name": "median", "parameters": {"radius_mm": float("nan")}}]),
    "filter radius 10^9": changed(recipe__filters=[{"name": "median", "parameters": {"radius_mm": 1e9}}]),
    "filter of many bins": changed(recipe__filters=[{"name": "clahe", "parameters": {"bins": 10**12}}]),
    "filters 10^5": changed(recipe__filters=[{"name": "median", "parameters": {}}] * 10**5),
    "filter resize to 1 µm": changed(recipe__filters=[{"name": "resize", "parameters": {"spacing_mm": 0.002}}]),
    "filter reference a file": changed(
        recipe__filters=[{"name": "register", "parameters": {"reference": "/etc/passwd"}}]
    ),
    "filter reference a bomb": changed(
        recipe__filters=[{"name": "register", "parameters": {"reference": _reference()}}]
    ),
    "filter landmarks nested": changed(recipe__filters=[{"name": "nyul", "parameters": {"landmarks": [[[1]]]}}]),
    "nan infinite": changed(recipe__nan=float("inf")),
    "instances of three classes": changed(instances={}),
    "instances threshold NaN": changed(instances={"threshold": float("nan")}),
    "instances smoothing 10^300": changed(instances={"smoothing": 1e300}),
    "instances depth negative": changed(instances={"depth": -1.0}),
    "instances smallest 10^30": changed(instances={"smallest": 10**30}),
    "instances a list": changed(instances=[1, 2]),
    "rank 10^9": changed(recipe__rank=10**9),
    "channels 10^12": changed(recipe__channels=10**12),
    "patch 30000³": changed(patch=[30000] * 3),
    "patch of 400 digits": changed(patch=[10**400] * 3),
    "input of a type of fields": changed(input__dtype="{'names': ['a'], 'formats': ['f4']}"),
    "checksum of control characters": changed(sha256="\x1b[2J\nerror: x"),
    "field of control characters": changed(**{"\x1b[2J\nerror: x": 1}),
    "field that forges a line": changed(**{"a\n  error: b": 1}),
    "patch 0": changed(patch=[0] * 3),
    "overlap NaN": changed(overlap=float("nan")),
    "labels of control characters": changed(labels__1__name="\x1b[2J\x07"),
    "label values beyond 32 bits": changed(labels__1__value=10**20),
    "labels without a value": changed(labels=[{"name": "a"}, {"name": "b"}]),
    "input scale 1e-320": changed(input__scale=1e-320),
    "model gz bomb": model(lambda: zeros_gz(6 * GIGABYTE)),
    "model gz cut": model(lambda: gzip.compress(_whole())[:-1000]),
    "model of zeros": model(lambda: bytes(1000), "model.tflite"),
    "model of noise": model(lambda: b"\x1c\0\0\0TFL3" + os.urandom(4000), "model.tflite"),
    "model cut": model(lambda: _whole()[:5000], "model.tflite"),
    "model empty": model(lambda: b"", "model.tflite"),
    "onnx patch 30000²": onnx(patch=[30000, 30000, 1]),
    "onnx values in a file of the system": onnx(location="/etc/passwd"),
    "onnx values in a pipe": onnx(location="pipe"),
}
