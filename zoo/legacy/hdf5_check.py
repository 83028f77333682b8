"""HDF5 files of strangers: what they claim is compared with what they hold, before anything is read."""

from dataclasses import dataclass

import h5py

from medseg.archives import MAX_RATIO, SMALL_BYTES
from medseg.byte_sizes import spell_size
from medseg.limits import check_bytes
from medseg.untrusted import MAX_JSON_BYTES
from zoo.legacy.errors import LoadError

# Networks of a thousand layers have some ten thousand arrays with their groups.
MAX_OBJECTS = 200_000


@dataclass
class _Sums:
    objects: int = 0
    numbers: int = 0
    claimed: int = 0


def check_hdf5(file: h5py.File, name, size: int) -> int:
    """Require an HDF5 file to hold what it claims, itself, and read it once.

    Args:
        file: the open file.
        name: its name, for the message.
        size: its bytes.

    Returns:
        How many numbers its arrays hold.

    Raises:
        LoadError: for arrays whose values lie in other files, links, arrays far larger than the file (never written,
            or compressed beyond what weights are), or too many objects.
        InputError: if the arrays are larger than the limit.
    """
    sums, seen, waiting, items = _Sums(), set(), [file], [file]
    while waiting:
        group = waiting.pop()
        for key in group:
            sums.objects += 1
            if sums.objects > MAX_OBJECTS:
                raise LoadError(f"holds more than {MAX_OBJECTS} objects; is it a model?")
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise LoadError(f"'{key}' is a link to another place; a model file holds its weights itself")
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5py.Group):
                waiting.append(item)
            elif isinstance(item, h5py.Dataset):
                _add(item, key, sums)
            items.append(item)
    check_bytes(name, sums.claimed, "its arrays")
    if sums.claimed > max(SMALL_BYTES, MAX_RATIO * size):
        raise LoadError(
            f"claims arrays of {spell_size(sums.claimed)}, the file has {spell_size(size)}; it is cut short or made up"
        )
    for item in items:
        _read(item)
    return sums.numbers


def attribute_bytes(attribute) -> int:
    """What an attribute claims to take; text of open length is not counted."""
    return attribute.get_space().get_simple_extent_npoints() * attribute.get_type().get_size()


def _read(item) -> None:
    """Everything once, as whoever opens the model will: what the library cannot read is found here."""
    for key in item.attrs:
        if attribute_bytes(item.attrs.get_id(key)) <= MAX_JSON_BYTES:
            item.attrs[key]
    if isinstance(item, h5py.Dataset) and item.shape is not None:
        item[()]


def _add(dataset, key, sums) -> None:
    if dataset.is_virtual or dataset.external:
        raise LoadError(f"the values of '{key}' lie in another file; a model file holds its weights itself")
    if dataset.shape is None:
        return
    count = 1
    for length in dataset.shape:
        count *= int(length)
    sums.numbers += count
    sums.claimed += count * dataset.dtype.itemsize
