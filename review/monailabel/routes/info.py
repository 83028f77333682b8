"""``/info/`` and ``/logs/``."""

from fastapi import APIRouter
from starlette.responses import PlainTextResponse

from review.learning import STRATEGIES
from review.monailabel.models import SEGMENTATION, model_json, models_of, structure_values
from review.monailabel.stored import status_json
from review.server.described import answers
from review.server.routes.context import Review
from review.server.routes.info import package_version
from review.store.audit import audit_csv

router = APIRouter(tags=["MONAI Label"])


@router.get("/info/")
def info(review: Review) -> dict:
    """What this server offers."""
    models = models_of(review)
    trained = {name: model for name, model in models.items() if model.type == SEGMENTATION}
    return {
        "name": f"medseg-zoo review of {review.workspace.scans.name}",
        "description": "Segments, takes corrections and trains the next version",
        "version": package_version(),
        "labels": list(structure_values(review)),
        "models": {name: model_json(review, model) for name, model in models.items()},
        "trainers": {
            name: {"description": f"Trains {name} further on what was corrected", "config": {"max_epochs": 0}}
            for name in list(trained)[:1]
        },
        "strategies": {name: {"description": text} for name, text in STRATEGIES.items()},
        "scoring": {"dice": {"description": "Mean Dice of the network's labels against those decided on"}},
        "train_stats": {},
        "datastore": status_json(review),
        "config": {},
    }


@router.get("/logs/", **answers("text/plain"))
def logs(review: Review, lines: int = 300) -> PlainTextResponse:
    """The last rows of the audit trail."""
    rows = audit_csv(review.database).decode().splitlines()[1:]
    return PlainTextResponse("\n".join(rows[-max(1, min(lines, 100_000)) :]) + "\n")
