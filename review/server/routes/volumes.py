"""The voxels of a scan."""

import hashlib

from fastapi import APIRouter, Request
from starlette.responses import Response

from review.errors import UnknownError
from review.server.cases_json import is_colour
from review.server.described import NIFTI, answers
from review.server.routes.context import OneCase, Review
from review.volumes.page_grid import colour_bytes, volume_bytes

router = APIRouter(prefix="/api")


@router.get("/cases/{case_id}/volume.nii", **answers(NIFTI, unchanged=True))
def volume(request: Request, review: Review, case: OneCase, channel: int | None = None):
    """A channel as NIfTI; a coloured picture without ``channel`` as RGB24."""
    opened = review.scans.get(case.files)
    if channel is not None and not 0 <= channel < opened.scan.channels:
        raise UnknownError(f"channel {channel}: the scan has {opened.scan.channels}, from 0")
    mark = '"' + hashlib.sha256(repr((case.files, case.added, opened.state, channel)).encode()).hexdigest()[:16] + '"'
    headers = {"ETag": mark, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == mark:
        return Response(status_code=304, headers=headers)
    scan = opened.scan
    content = colour_bytes(scan) if channel is None and is_colour(scan) else volume_bytes(scan, channel or 0)
    return Response(content, media_type=NIFTI, headers=headers)
