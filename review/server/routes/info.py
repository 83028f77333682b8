"""What the review is of, and the token."""

import hmac
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from edge.outputs.overlay import COLOURS
from review.server.access import set_cookie
from review.server.described import json_body
from review.server.requests import json_of, text_of
from review.server.routes.context import Review
from review.store.artifacts import ACTIVE, artifacts
from review.tools import TOOLS

router = APIRouter(prefix="/api")
REASONS = ("wrong structure", "leak", "missed part", "image quality", "other")
# Hounsfield units, as radiology sets them: name, low, high.
WINDOWS = (
    ("brain", 0, 80), ("subdural", -50, 150), ("bone", -500, 1300), ("lung", -1350, 150), ("mediastinum", -125, 225),
    ("abdomen", -150, 250), ("liver", -20, 180),
)  # fmt: skip


@router.get("/info")
def info(request: Request, review: Review) -> dict:
    """The folder, classes, artifacts and tools."""
    names = enumerate(review.labels)
    return {
        "name": review.workspace.scans.name,
        "version": package_version(),
        "token_required": request.app.state.settings.token is not None,
        "read_only": False,
        "rank": review.manifest.recipe.rank,
        "labels": [{"name": label.name, "value": label.value, "color": _colour(index)} for index, label in names],
        "artifacts": [
            {
                "id": f"{row.name} v{row.version}", "name": row.name, "format": row.format, "version": row.version,
                "active": row.state == ACTIVE, "card": f"/api/artifacts/{row.version}/card",
            }
            for row in artifacts(review.database)
        ],
        "tools": [{"id": tool.id, "title": tool.title, "points": tool.points} for tool in TOOLS],
        "reasons": list(REASONS),
        "window_presets": [{"name": name, "low": low, "high": high} for name, low, high in WINDOWS],
    }  # fmt: skip


@router.post("/login", status_code=204, openapi_extra=json_body(token={"type": "string"}))
async def login(request: Request):
    """Give the browser a cookie for the token."""
    settings = request.app.state.settings
    given = text_of((await json_of(request)).get("token"), "token")
    if settings.token is not None and not hmac.compare_digest(given.encode(), settings.token.encode()):
        return JSONResponse({"error": "token wrong; it is in the file of --token-file"}, 401)
    answer = Response(status_code=204)
    if settings.token is not None:
        set_cookie(answer, settings)
    return answer


def _colour(index):
    return [0, 0, 0] if index == 0 else list(COLOURS[(index - 1) % len(COLOURS)])


def package_version() -> str:
    """The version of medseg-zoo that runs."""
    try:
        return version("medseg-zoo")
    except PackageNotFoundError:  # run from a folder that was not installed
        return "0"
