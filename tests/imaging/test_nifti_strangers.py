"""NIfTI files as strangers send them: misnamed, of odd types, damaged, or made to take the machine's memory."""

import gzip
import os
import subprocess
import sys

import nibabel
import numpy as np
import pytest

import imaging
from imaging import InputError

# Reads a file and prints the message and the MB that the process took at most.
CHILD = """
import os, sys
import imaging
try:
    said = str(imaging.read(sys.argv[1]).shape)
except imaging.InputError as error:
    said = str(error)
print(said)
status = open("/proc/self/status").read() if os.path.exists("/proc/self/status") else ""
print(int(status.partition("VmHWM:")[2].split()[0]) // 1024 if status else 0)
"""


def header(shape=(4, 5, 6), dtype=np.uint8, **fields):
    made = nibabel.Nifti1Header()
    made.set_data_dtype(dtype)
    made.set_data_shape(shape)
    made["vox_offset"], made["sform_code"] = 352, 1
    made["srow_x"], made["srow_y"], made["srow_z"] = np.eye(4)[:3]
    for name, value in fields.items():
        made[name] = value
    return made


def content(made, data=None):
    if data is None:
        data = np.arange(made["dim"][1 : made["dim"][0] + 1].prod()).astype(made.get_data_dtype())
    return made.binaryblock + bytes(4) + (data if isinstance(data, bytes) else data.tobytes())


def refused(tmp_path, data, *words):
    """Require one line that names the file and holds the words, packed and plain."""
    for name, written in (("a.nii", data), ("b.nii.gz", gzip.compress(data))):
        (tmp_path / name).write_bytes(written)
        with pytest.raises(InputError) as caught:
            imaging.read(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))
        assert "\n" not in str(caught.value)
        for word in words:
            assert word in str(caught.value)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("packed", [False, True])
def test_first_bytes_say_whether_it_is_compressed(tmp_path, name, packed):
    data = content(header())
    (tmp_path / name).write_bytes(gzip.compress(data) if packed else data)
    scan = imaging.read(tmp_path / name)
    np.testing.assert_array_equal(scan.voxels.ravel(order="F"), np.arange(120))


def test_several_gzip_members_are_one_file(tmp_path):
    data = content(header())
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(data[:400]) + gzip.compress(data[400:]) + bytes(16))
    np.testing.assert_array_equal(imaging.read(tmp_path / "a.nii.gz").voxels.ravel(order="F"), np.arange(120))


@pytest.mark.parametrize("dtype", ["i1", "u2", "u4", "i8", "u8", "f8"])
@pytest.mark.parametrize("order", "<>")
def test_every_real_type_is_read(tmp_path, dtype, order):
    made = nibabel.Nifti1Header(header(dtype=dtype).binaryblock, "<").as_byteswapped(order)
    values = (np.arange(120) - (0 if dtype[0] == "u" else 60)).astype(order + dtype)
    (tmp_path / "a.nii").write_bytes(content(made, values))
    np.testing.assert_array_equal(imaging.read(tmp_path / "a.nii").voxels.ravel(order="F"), values.astype(np.float32))


@pytest.mark.parametrize(("slope", "intercept", "expected"), [(0, 7, 5), (np.nan, 7, 5), (np.inf, 0, 5), (2, 7, 17)])
def test_slopes(tmp_path, slope, intercept, expected):
    (tmp_path / "a.nii").write_bytes(content(header(scl_slope=slope, scl_inter=intercept), np.full(120, 5, np.uint8)))
    assert np.unique(imaging.read(tmp_path / "a.nii").voxels).tolist() == [expected]


@pytest.mark.parametrize("code", [4, 5, 7, 2 | 8, 255])
def test_unit_codes_that_stand_for_no_length(tmp_path, code):
    (tmp_path / "a.nii").write_bytes(content(header(xyzt_units=code)))
    np.testing.assert_allclose(imaging.read(tmp_path / "a.nii").affine, np.eye(4))


def test_micrometres(tmp_path):
    made = header(xyzt_units=3)
    made["srow_x"][0] = made["srow_y"][1] = made["srow_z"][2] = 0.05  # 50 nm
    (tmp_path / "a.nii").write_bytes(content(made))
    np.testing.assert_allclose(imaging.read(tmp_path / "a.nii").spacing, (5e-5,) * 3)


REFUSED = {
    "complex": (header(dtype=np.complex64), b"", ["voxels of type complex64", "expected integers or real numbers"]),
    "RGB": (header(datatype=128), b"", ["voxels of type RGB"]),
    "a bit a voxel": (header(datatype=1), b"", ["data type 1,"]),
    "no type": (header(datatype=77), b"", ["data type 77,"]),
    "slope without intercept": (header(scl_slope=2, scl_inter=np.nan), None, ["intercept nan", "correct the header"]),
    "one of a pair": (header(magic=b"ni1"), None, ["pair of files", "name it .hdr"]),
    "Analyze": (header(magic=b""), None, ["magic b''", "is not a NIfTI file"]),
    "no voxel": (header(dim=[3, 4, 0, 6, 1, 1, 1, 1]), b"", ["shape (4, 0, 6) holds no scan"]),
    "negative": (header(dim=[3, 4, -5, 6, 1, 1, 1, 1]), b"", ["shape (4, -5, 6) holds no scan"]),
    "no axes": (header(dim=[0, 4, 5, 6, 1, 1, 1, 1]), b"", ["0 axes, expected 1 to 7"]),
    "nine axes": (header(dim=[9, 4, 5, 6, 1, 1, 1, 1]), b"", ["9 axes, expected 1 to 7"]),
    "volumes": (header((4, 5, 6, 2)), None, ["has 4 axes, expected 3 axes", "save one volume"]),
    "vectors": (header((4, 5, 6, 1, 3)), None, ["has 5 axes, expected 3 axes"]),
    "voxels in the header": (header(vox_offset=200), None, ["voxels from byte 200"]),
    "voxels nowhere": (header(vox_offset=np.nan), None, ["voxels from byte nan"]),
    "far voxels": (header(vox_offset=2e9), None, ["voxels from byte 2e+09"]),
    "fewer bytes": (header(), bytes(100), ["truncated or damaged"]),
    "more bytes": (header(), bytes(121), ["more than the 472 bytes that its header announces"]),
    "no place": (header(sform_code=0, qform_code=1, quatern_b=5), None, ["gives voxels no place"]),
    "a plane": (header(srow_z=[0, 0, 0, 3]), None, ["gives voxels no size"]),
    "endless": (header(srow_z=[0, 0, np.inf, 3]), None, ["gives voxels no size"]),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(tmp_path, kind):
    made, data, words = REFUSED[kind]
    refused(tmp_path, content(made, data), *words)


def test_what_to_do_about_not_a_number(tmp_path):
    made = header(dtype=np.float32)
    values = np.ones(120, np.float32)
    values[:40] = np.nan
    refused(tmp_path, content(made, values), "40 of 120 voxels are NaN", "outside the field of view")


@pytest.mark.parametrize("suffix", [".hdr", ".img", ".img.gz"])
def test_half_a_pair_is_refused(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_bytes(bytes(348))
    with pytest.raises(InputError, match=r"one of a pair of files, and a\.(img|hdr) is not beside it; copy both"):
        imaging.read(tmp_path / f"a{suffix}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match="is a named pipe, expected a file"):
        imaging.read(tmp_path / "a.nii.gz")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [np.nan, np.inf])
def test_voxel_sizes_that_are_no_number_are_refused_without_a_warning(tmp_path, size):
    refused(tmp_path, content(header(sform_code=0, qform_code=1, pixdim=[1, *[size] * 3, 1, 1, 1, 1])), "no size")


def test_nothing_and_a_loop_of_links(tmp_path):
    refused(tmp_path, b"", "is empty")
    (tmp_path / "loop.nii").symlink_to(tmp_path / "loop.nii")
    with pytest.raises(InputError, match=r"loop\.nii: cannot be read \(Too many levels of symbolic links\)"):
        imaging.read(tmp_path / "loop.nii")


def deflated(start: bytes, megabytes: int) -> bytes:
    """A gzip file of ``start`` and so many MB of zeros, made without holding them."""
    return gzip.compress(start) + gzip.compress(bytes(2**20)) * megabytes


def read_in_a_child(path, limit=None):
    environment = {**os.environ, "PYTHONPATH": str(imaging.__path__[0]).rpartition("imaging")[0]}
    if limit:
        environment["MEDSEG_MAX_BYTES"] = limit
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True, env=environment
    )
    message, megabytes = done.stdout.splitlines()
    assert done.stderr == ""
    return message, int(megabytes)


BOMBS = {
    "announces little": (header((8, 8, 8)), ["more than the 864 bytes"]),
    "announces all": (header((1024, 1024, 2000)), ["its voxels would take 7.81 GB", "MEDSEG_MAX_BYTES"]),
    "announces more than it holds": (header((8, 8, 8), vox_offset=2**26), ["truncated or damaged"]),
    "is no image": (None, ["is not a NIfTI file"]),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_gzip_bomb_takes_no_memory(tmp_path, kind):
    made, words = BOMBS[kind]
    start = made.binaryblock + bytes(4) if made else b"none"
    (tmp_path / "a.nii.gz").write_bytes(deflated(start, 1 if kind == "announces more than it holds" else 1024))
    message, megabytes = read_in_a_child(tmp_path / "a.nii.gz")
    for word in words:
        assert word in message
    assert megabytes < 200


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_small_file_that_claims_much(tmp_path, name):
    data = content(header((700, 700, 700)), bytes(16))
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    message, megabytes = read_in_a_child(tmp_path / name)
    assert "truncated or damaged (its header announces 343000352 bytes" in message
    assert megabytes < 200


def test_the_limit_is_the_users(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content(header((100, 100, 30)))))
    assert read_in_a_child(tmp_path / "a.nii.gz")[0] == "(100, 100, 30)"
    message, _ = read_in_a_child(tmp_path / "a.nii.gz", "1MB")
    assert "its voxels would take 1.14 MB, expected at most 1.00 MB" in message


@pytest.mark.parametrize("change", [{"sizeof_hdr": 348}, {"magic": b"x"}, {"dim": [200] + [1] * 7}, {"datatype": 999}])
def test_nothing_is_said_on_standard_error(tmp_path, capfd, change):
    (tmp_path / "a.nii").write_bytes(content(header(qform_code=77, xyzt_units=255, **change), bytes(120)))
    try:
        imaging.read(tmp_path / "a.nii")
    except InputError:
        assert change != {"sizeof_hdr": 348}
    assert capfd.readouterr() == ("", "")
