"""Networks and weights that are traps: classes that run or read, archives and arrays that grow, claims."""

import io
import json
import os
import pickle
import zipfile

import h5py
import numpy as np
from hostile_scans import GIGABYTE, NO_FILES, zeros_deflated


def layer(kind, name="layer", **config):
    """A layer of Keras 2 or 3 in a configuration."""
    entry = {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": []}
    return entry if "module" not in config else entry | {"module": entry["config"].pop("module")}


def keras_layer(kind, **config):
    """A layer of Keras 3 that is a trap."""
    return layer(kind, "evil", module="keras.layers", **config)


def network(*layers, **more):
    """A functional model of these layers."""
    ends = [["layer", 0, 0]]
    config = {"name": "net", "layers": list(layers), "input_layers": ends, "output_layers": ends, **more}
    return {"class_name": "Functional", "config": config, "module": "keras", "registered_name": "Functional"}


def hdf5(config=None, fill=None, version="2.15.0") -> bytes:
    """An ``.h5`` file with a configuration, which ``fill(file)`` may add to."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        if version:
            file.attrs["keras_version"] = version
        if config is not None:
            file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        file.create_group("model_weights")
        if fill is not None:
            fill(file)
    return buffer.getvalue()


def archive(config, weights=None, version="3.13.0", **members) -> bytes:
    """A ``.keras`` file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", config if isinstance(config, str | bytes) else json.dumps(config))
        file.writestr("metadata.json", json.dumps({"keras_version": version}))
        file.writestr("model.weights.h5", hdf5(version="") if weights is None else weights)
        for name, content in members.items():
            file.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def bomb(name, size) -> bytes:
    """A ``.keras`` or ``.npz`` file with one member of so many zeros."""
    packed = zeros_deflated(size)[2:-4]  # a zip member is deflated without the frame of zlib
    small = io.BytesIO()
    with zipfile.ZipFile(small, "w", zipfile.ZIP_STORED) as file:
        for member in ("config.json", "metadata.json", "model.weights.h5"):
            if member != name:
                file.writestr(member, b"{}")
        file.writestr(name, packed)
    content = bytearray(small.getvalue())
    # The stored member becomes a deflated one of the size that it unpacks to.
    unpacked, size = size // 2**24 * 2**24, len(packed)
    local, central = content.rindex(b"PK\3\4"), content.rindex(b"PK\1\2")
    for start, method, length in ((local, 8, 22), (central, 10, 24)):
        content[start + method : start + method + 2] = (8).to_bytes(2, "little")
        content[start + length : start + length + 4] = unpacked.to_bytes(4, "little")
    return bytes(content)


def arrays(**members) -> bytes:
    """An ``.npz`` file of raw members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def npy(header: str, data=b"") -> bytes:
    """An ``.npy`` file with a header by hand."""
    text = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + data


def repacked(kind, content: bytes) -> bytes:
    """A zip file packed by another method than deflate, its first member damaged."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w", kind) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        first = new.infolist()[0]
    data = bytearray(packed.getvalue())
    middle = first.header_offset + 30 + len(first.filename) + first.compress_size // 2
    data[middle : middle + 8] = bytes(8)
    return bytes(data)


def _object() -> bytes:
    class Evil:
        def __reduce__(self):
            return os.system, ("touch evil",)

    return npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", pickle.dumps(Evil()))


def _link(file):
    file["model_weights/w"] = h5py.ExternalLink("/etc/passwd", "/")


def _external(file):
    file.create_dataset("model_weights/w", (64,), "u1", external=[("/etc/passwd", 0, 64)])


def _virtual(file):
    layout = h5py.VirtualLayout((8,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "w", (8,))
    file.create_virtual_dataset("model_weights/w", layout)


def _claims(file):
    file.create_dataset("model_weights/w", (10**5, 10**5), "f4", chunks=(1000, 1000))


def _packed(file):
    file.create_dataset("model_weights/w", data=np.zeros((4500, 4500), "f4"), chunks=(4500, 4500), compression="gzip")


def _function(name, module):
    return {"class_name": "function", "config": name, "module": module, "registered_name": "function"}


_INPUT = layer("InputLayer", batch_input_shape=[None, 8, 8, 1], dtype="float32")
_INPUT3 = layer("InputLayer", batch_shape=[None, 8, 8, 1], module="keras.layers", dtype="float32")
_VOCABULARY = {"vocabulary": "/etc/passwd"}
_INTEGERS = "{'descr': '|i1', 'fortran_order': False, 'shape': (%s)}"
_NUMBERS = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s)}"
_GET_FILE = _function("get_file", "keras.utils")

# Name to (suffix, content).
_MISFITS = {"a:int8": "40000, 1", "a:scale": "1, 40000"}
MODELS = {
    "h5 TFSMLayer": (".h5", lambda: hdf5(network(_INPUT, layer("TFSMLayer", "evil", filepath="/tmp")))),
    "h5 StringLookup": (".h5", lambda: hdf5(network(_INPUT, layer("StringLookup", "evil", **_VOCABULARY)))),
    "h5 Lambda": (".h5", lambda: hdf5(network(_INPUT, layer("Lambda", "evil", function=["4wEAAA==", None, None])))),
    "h5 TFSMLayer inside TimeDistributed": (
        ".h5", lambda: hdf5(network(_INPUT, layer("TimeDistributed", "outer", layer=layer("TFSMLayer", "evil")))),
    ),
    "h5 of Keras 3, TFSMLayer": (".h5", lambda: hdf5(network(_INPUT, layer("TFSMLayer", "evil")), version="3.13.0")),
    "h5 without a version, Lambda": (".h5", lambda: hdf5(network(_INPUT, layer("Lambda", "evil")), version="")),
    "h5 get_file as activation": (".h5", lambda: hdf5(network(_INPUT, layer("Dense", activation=_GET_FILE, units=1)))),
    "h5 deep": (".h5", lambda: hdf5('{"config":' * 50_000, lambda f: None)),
    "h5 nested models": (".h5", lambda: hdf5(_nested(400))),
    "h5 config a number": (".h5", lambda: hdf5("5")),
    "h5 layers a number": (".h5", lambda: hdf5({"class_name": "Functional", "config": {"name": "n", "layers": 5}})),
    "h5 layer without a name": (".h5", lambda: hdf5(network({"class_name": "Dense", "config": {}}))),
    "h5 units 10^10": (".h5", lambda: hdf5(network(_INPUT, layer("Dense", units=10**10)))),
    "h5 kernel 30000²": (".h5", lambda: hdf5(network(_INPUT, layer("Conv2D", filters=1, kernel_size=[30000] * 2)))),
    "h5 claims 40 GB": (".h5", lambda: hdf5(network(_INPUT), _claims)),
    "h5 packed 30 times": (".h5", lambda: hdf5(network(_INPUT), _packed)),
    "h5 link to another file": (".h5", lambda: hdf5(network(_INPUT), _link)),
    "h5 values in another file": (".h5", lambda: hdf5(network(_INPUT), _external)),
    "h5 values of another file": (".h5", lambda: hdf5(network(_INPUT), _virtual)),
    "h5 loop of groups": (".h5", lambda: hdf5(None, lambda f: f["model_weights"].__setitem__("g", f["/"]))),
    "h5 endless heap": (".h5", lambda: _endless()),
    "h5 cut": (".h5", lambda: hdf5(network(_INPUT))[:1000]),
    "h5 empty": (".h5", lambda: b""),
    "keras Lambda": (".keras", lambda: archive(network(_INPUT3, keras_layer("Lambda")))),
    "keras TFSMLayer": (".keras", lambda: archive(network(_INPUT3, keras_layer("TFSMLayer")))),
    "keras StringLookup": (
        ".keras", lambda: archive(network(_INPUT3, keras_layer("StringLookup", **_VOCABULARY))),
    ),
    "keras TorchModuleWrapper": (
        ".keras", lambda: archive(network(_INPUT3, keras_layer("TorchModuleWrapper"))),
    ),
    "keras os.system": (".keras", lambda: archive(network(_INPUT3, layer("system", "evil", module="os")))),
    "keras get_file": (
        ".keras", lambda: archive(network(_INPUT3, layer("Activation", activation=_GET_FILE, module="keras.layers"))),
    ),
    "keras function of os as loss": (
        ".keras", lambda: archive(network(_INPUT3) | {"compile_config": {"loss": _function("system", "os")}}),
    ),
    "keras a lambda": (
        ".keras", lambda: archive(network(_INPUT3, extra={"class_name": "__lambda__", "config": {"value": "4wEA"}})),
    ),
    "keras config deep": (".keras", lambda: archive(b"[" * 100_000)),
    "keras config bomb": (".keras", lambda: bomb("config.json", 3 * GIGABYTE)),
    "keras weights bomb": (".keras", lambda: bomb("model.weights.h5", 3 * GIGABYTE)),
    "keras many layers": (".keras", lambda: archive(network(*[_INPUT3] * 60_000))),
    "keras units 10^10": (".keras", lambda: archive(network(_INPUT3, layer("Dense", units=10**10)))),
    "keras member upwards": (".keras", lambda: archive(network(_INPUT3), **{"..__evil": "x"})),
    "keras member absolute": (".keras", lambda: archive(network(_INPUT3), __tmp__evil="x")),
    "keras weights claim 40 GB": (".keras", lambda: archive(network(_INPUT3), hdf5(None, _claims))),
    "keras weights elsewhere": (".keras", lambda: archive(network(_INPUT3), hdf5(None, _external))),
    "keras by bzip2": (".keras", lambda: repacked(zipfile.ZIP_BZIP2, archive(network(_INPUT3)))),
    "keras by LZMA": (".keras", lambda: repacked(zipfile.ZIP_LZMA, archive(network(_INPUT3)))),
    "npz by LZMA": (".npz", lambda: repacked(zipfile.ZIP_LZMA, arrays(a=npy(_NUMBERS % "9,", bytes(36))))),
    "keras cut": (".keras", lambda: archive(network(_INPUT3))[:-100]),
    "keras empty": (".keras", lambda: b""),
    "keras metadata a list": (".keras", lambda: _metadata(b"[]")),
    "npz of Python objects": (".npz", lambda: arrays(a=_object())),
    "npz claims": (".npz", lambda: arrays(a=npy(_NUMBERS % "10**6, 10**6"))),
    "npz claims by digits": (
        ".npz", lambda: arrays(a=npy(_NUMBERS % "1000000, 1000000")),
    ),
    "npz header deep": (".npz", lambda: arrays(a=npy("(" * 5000))),
    "npz bomb": (".npz", lambda: bomb("a.npy", 3 * GIGABYTE)),
    "npz cut": (".npz", lambda: arrays(a=npy(_NUMBERS % "9,", bytes(36)))[:-30]),
    "npz scales of another shape": (
        ".npz", lambda: arrays(**{name: npy(_INTEGERS % shape, bytes(40000)) for name, shape in _MISFITS.items()}),
    ),
    "npz without scales": (".npz", lambda: arrays(**{"a:int8": npy(_INTEGERS % "9, 1", bytes(9))})),
    "npz a pickle": (".npz", lambda: pickle.dumps([1])),
    "npz empty": (".npz", lambda: b""),
}  # fmt: skip

PLACES = [(suffix, kind, trap) for suffix in (".h5", ".keras", ".npz") for kind, trap in NO_FILES.items()]


def _nested(depth):
    start, end = json.dumps(network(_INPUT, "inside")).split('"inside"')
    return start * depth + json.dumps(_INPUT) + end * depth


def _endless():
    """The last object of the heap that holds the attributes, its free space, is 0 bytes long; the library of HDF5 1.14
    then steps on the spot for ever.
    """
    content = bytearray(hdf5(network(_INPUT)))
    place = content.index(b"GCOL") + 16
    while content[place : place + 2] != b"\0\0":
        place += 16 + -(-int.from_bytes(content[place + 8 : place + 16], "little") // 8) * 8
    content[place + 8 : place + 16] = bytes(8)
    return bytes(content)


def _metadata(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("config.json", "{}")
        file.writestr("metadata.json", content)
    return buffer.getvalue()
