"""Label maps of clients, whose values may be numbered by the client's own list of names."""

from dataclasses import replace

import numpy as np

from imaging.io.nifti import smallest
from imaging.scan import Scan
from medseg.untrusted import shown
from review.errors import WrongRequestError
from review.service import Service
from review.store.cases import Case
from review.volumes.labels import check_values, read_label_bytes
from review.volumes.page_grid import as_page


def client_labels(service: Service, case: Case, content: bytes, params: dict) -> Scan:
    """Labels that a client saves, on the page's grid and with our values.

    Args:
        service: the review.
        case: that they are of.
        content: NIfTI or NRRD.
        params: of the request; ``label_info``, a list of ``{"name", "idx"}``, says which number is which structure
            there, as 3D Slicer numbers segments by their order.

    Raises:
        InputError: if they do not fit the case.
        WrongRequestError: if ``label_info`` is of another kind, or names what is no structure.
    """
    page = as_page(read_label_bytes(content, service.workspace.incoming), service.grid(case), "the label")
    numbers = _numbers(params.get("label_info"), {label.name: label.value for label in service.labels})
    if numbers:
        voxels = np.zeros(page.voxels.shape, np.int32)
        for number in np.unique(page.voxels):
            if number != 0 and int(number) not in numbers:
                raise WrongRequestError(f"label_info: names nothing of value {number}, which the label holds")
            voxels[page.voxels == number] = numbers.get(int(number), service.labels[0].value)
        page = replace(page, voxels=smallest(voxels))
    check_values(page.voxels, service.labels)
    return page


def scribbles(service: Service, content: bytes, grid: Scan, params: dict) -> tuple[np.ndarray, np.ndarray]:
    """Foreground and background voxels, (N, 3) each, of a scribble label map.

    Args:
        service: the review.
        content: NIfTI or NRRD; of n structures the value n + 1 is background and n + 2 foreground, unless
            ``label_info`` of the request gives "background_scribbles" and "foreground_scribbles" an ``id``.
        grid: of the scan.
        params: of the request.
    """
    page = as_page(read_label_bytes(content, service.workspace.incoming), grid, "the label")
    count = len(service.labels) - 1
    values = {"background_scribbles": count + 1, "foreground_scribbles": count + 2}
    for entry in _entries(params.get("label_info")):
        name, number = entry.get("name"), entry.get("id")
        if isinstance(name, str) and name in values and isinstance(number, int):
            values[name] = number
    marks = page.voxels[..., 0]
    return np.argwhere(marks == values["foreground_scribbles"]), np.argwhere(marks == values["background_scribbles"])


def _numbers(label_info, values) -> dict[int, int]:
    numbers: dict[int, int] = {}
    background = next(iter(values))
    for entry in _entries(label_info):
        name, number = entry.get("name"), entry.get("idx", entry.get("id"))
        if number is None:  # of other clients, that number by our own values
            continue
        if not isinstance(name, str) or name not in values or not isinstance(number, int):
            raise WrongRequestError(f"label_info {shown(entry)}: expected one of {', '.join(values)} and its number")
        if numbers.setdefault(number, values[name]) != values[name] or (number == 0 and name != background):
            raise WrongRequestError(
                f"label_info {shown(entry)}: expected a number of its own for each of {', '.join(values)}, and 0 for "
                f"{background} alone"
            )
    return numbers


def _entries(label_info) -> list[dict]:
    if not label_info:
        return []
    if not isinstance(label_info, list) or not all(isinstance(entry, dict) for entry in label_info):
        raise WrongRequestError(f"label_info {shown(label_info)}: expected a list of objects with name and idx")
    return label_info
