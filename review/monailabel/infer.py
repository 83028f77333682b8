"""What a model makes of a scan, of clicks or of scribbles."""

import json
import time
import uuid
from dataclasses import dataclass, replace

import numpy as np
from starlette.responses import JSONResponse, Response

from edge.runtime.options import Options, Outputs
from imaging.scan import Scan
from medseg.untrusted import shown
from review.corrections import seg_bytes
from review.errors import WrongRequestError
from review.monailabel.labels import scribbles
from review.monailabel.models import DEEPEDIT, SCRIBBLES, SEGMENTATION, Model, structure_values
from review.monailabel.nrrd import nrrd_bytes
from review.service import Service
from review.store.cases import SEGMENTED, Case
from review.store.tags import ORIGINAL, check_tag, set_tag
from review.store.versions import NETWORK, Result, check_undecided, save_result
from review.tools import Request, apply_tool, parse_request
from review.volumes.opened import series_of
from review.volumes.page_grid import off_page, on_page

OUTPUTS = ("all", "image", "json", "dicom_seg")


@dataclass(frozen=True)
class Job:
    """A request to infer.

    Attributes:
        files: of the scan.
        case: the case that it is, or None for one that a client sent.
        params: of the request.
        label: content of the label file that came with it, or None.
    """

    files: tuple[str, ...]
    case: Case | None
    params: dict
    label: bytes | None = None


def infer(service: Service, model: Model, job: Job) -> tuple[Scan, dict]:
    """Run a model.

    Args:
        service: the review.
        model: which.
        job: on what.

    Returns:
        Labels on the page's grid, and "label_names" (of the structures that are there, to their values) with
        "latencies" and, of a segmentation, "flags" and "quality".

    Raises:
        InputError: if it cannot be run on this.
    """
    began = time.perf_counter()
    if model.type == SEGMENTATION:
        labels, facts = _segment(service, model, job)
    else:
        labels, facts = _draw(service, model, job), {}
    present = set(np.unique(labels.voxels).tolist())
    names = {name: value for name, value in structure_values(service).items() if value in present}
    latency = {"total": round(time.perf_counter() - began, 3)}
    return labels, {"label_names": names, "latencies": latency, "model": model.name, **facts}


def answer(service: Service, job: Job, labels: Scan, params: dict, output: str | None) -> Response:
    """A result as clients want it: multipart with JSON and NRRD, or one of them, or a DICOM Segmentation."""
    if output == "json":
        return JSONResponse(params)
    if output == "dicom_seg":
        series = series_of(job.files, service.manifest.recipe.rank) if job.case is not None else None
        if series is None:
            raise WrongRequestError("output dicom_seg: the scan is no DICOM series; ask for image")
        content = seg_bytes(service, series, off_page(labels, service.grid(job.case)), "")
        return _file(content, "label.dcm", "application/dicom")
    content = nrrd_bytes(labels, service.workspace.incoming)
    name = f"{'scan' if job.case is None else job.case.id}.nrrd"
    if output == "image":
        return _file(content, name, "application/octet-stream")
    return multipart(params, name, content)


def multipart(params: dict, name: str, content: bytes) -> Response:
    """An answer of two parts: ``params``, JSON, and ``image``, a file.

    Args:
        params: the JSON.
        name: of the file.
        content: of it.
    """
    boundary = uuid.uuid4().hex
    name = name.encode("ascii", "replace").decode().replace('"', "_")
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="params"\r\nContent-Type: application/json\r\n\r\n'
        f"{json.dumps(params)}\r\n--{boundary}\r\n"
        f'Content-Disposition: form-data; name="image"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return Response(body, media_type=f"multipart/form-data; boundary={boundary}")


def _file(content, name, kind):
    safe = name.encode("ascii", "replace").decode().replace('"', "_")
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{safe}"'})


def _segment(service, model, job):
    kept = str(job.params.get("save_label", "")).lower() == "true" and job.case is not None
    if kept:
        with service.database.change() as connection:
            check_undecided(connection, job.case.id)
    version, segmenter = service.segmenter(model.artifact)
    segmentation = segmenter.predict_file(job.files[0] if len(job.files) == 1 else job.files)
    labels = on_page(segmentation.labels)
    quality = None if segmentation.quality is None else segmentation.quality.dice
    facts = {"flags": list(segmentation.flags), "quality": quality, "volumes_ml": segmentation.volumes_ml}
    if kept:
        result = Result(
            labels, NETWORK, SEGMENTED, artifact=version, seconds=segmentation.seconds,
            volumes=segmentation.volumes_ml or segmentation.areas_mm2, flags=segmentation.flags,
            features=segmentation.features,
        )  # fmt: skip
        number = save_result(service.database, service.workspace, job.case.id, result)
        tag = check_tag(str(job.params.get("label_tag") or ORIGINAL))
        set_tag(service.database, job.case.id, tag, number, {"model": model.name})
    return labels, facts


def _draw(service, model, job):
    scan = service.scan_of(job.files)
    page = on_page(scan)
    values = structure_values(service)
    if model.type == SCRIBBLES:
        if job.label is None:
            raise WrongRequestError(f"model {model.name}: expected scribbles as the file label, got none")
        foreground, background = scribbles(service, job.label, scan, job.params)
        drawn = [Request(_structure(job.params, values), foreground, background)]
    else:
        drawn = _clicks(job.params, values, page.shape, model.type == DEEPEDIT)
    labels = np.full((*page.shape, 1), service.labels[0].value, np.int32)
    proposal = _probabilities(service, job, scan) if model.tool == "network" else None
    if proposal is not None:
        probabilities, classes = proposal
        labels[..., 0] = np.asarray(classes)[probabilities.argmax(axis=-1)]
    for request in drawn:
        mask = apply_tool(model.tool, request, page, None, lambda: proposal).astype(bool)
        labels[..., 0][labels[..., 0] == request.label] = service.labels[0].value
        labels[..., 0][mask] = request.label
    return replace(page, voxels=labels)


def _probabilities(service, job, scan):
    if job.case is not None:
        return service.probabilities(job.case)
    _, segmenter = service.segmenter()
    order = sorted(range(len(service.labels)), key=lambda index: service.labels[index].value)
    maps = segmenter.predict(scan, options=Options(outputs=Outputs(probabilities=True))).probabilities
    return on_page(maps).voxels[..., order], [service.labels[index].value for index in order]


def _clicks(params, values, shape, by_name):
    """A request for each structure that was clicked at."""
    chosen = {name: params[name] for name in values if by_name and params.get(name)}
    background = params.get("background") or []
    if not chosen:
        name = next(name for name, value in values.items() if value == _structure(params, values))
        chosen = {name: params.get("foreground") or []}
    known = (None, *values.values())
    return [
        parse_request({"label": values[name], "foreground": points, "background": background}, shape, known)
        for name, points in chosen.items()
    ]


def _structure(params, values):
    """The value of the structure that ``label`` of a request names, by name or value; the first by default."""
    label_name = params.get("label")
    if label_name is None:
        return next(iter(values.values()))
    if isinstance(label_name, str) and label_name in values:
        return values[label_name]
    if isinstance(label_name, int) and label_name in values.values():
        return label_name
    raise WrongRequestError(f"label {shown(label_name)}: expected one of {', '.join(values)}")
