"""The versions of the artifact."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

from medseg.untrusted import inside, read_limited
from review.errors import UnknownError
from review.server.described import answers
from review.server.routes.context import Review
from review.store.artifacts import ACTIVE, artifact, artifacts

router = APIRouter(prefix="/api")
CARD = "CARD.md"
_LARGEST_CARD = 2**22


@router.get("/artifacts")
def versions(review: Review) -> dict:
    """All versions with their state and what they were compared with."""
    return {"artifacts": [artifact_json(row) for row in artifacts(review.database)]}


@router.get("/artifacts/{version}/card", **answers("text/markdown"))
def card(review: Review, version: int):
    """The card of a version."""
    row = artifact(review.database, version)
    try:
        content = read_limited(inside(Path(row.folder), CARD), _LARGEST_CARD, "a card")
    except OSError:
        raise UnknownError(f"artifact {row.name} v{version}: its folder holds no {CARD}") from None
    return Response(content, media_type="text/markdown; charset=utf-8")


def artifact_json(row) -> dict:
    """A version as plain JSON types."""
    return {
        "version": row.version,
        "id": f"{row.name} v{row.version}",
        "name": row.name,
        "format": row.format,
        "active": row.state == ACTIVE,
        "state": row.state,
        "created": row.created,
        "card": f"/api/artifacts/{row.version}/card",
        "comparison": row.comparison,
        "parent": row.parent,
        "cases": row.cases,
    }
