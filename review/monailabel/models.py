"""The models that a client may ask for: our artifacts, click tools and scribble tools."""

from dataclasses import dataclass

from review.errors import UnknownError
from review.service import Service
from review.store.artifacts import REFUSED, artifacts

SEGMENTATION, DEEPGROW, DEEPEDIT, SCRIBBLES = "segmentation", "deepgrow", "deepedit", "scribbles"
# Tools of ``review.tools`` by the type that MONAI Label gives such models.
_CLICKS = (("clicks", DEEPGROW, "Grows structures from clicks, without a network"),)
_CORRECTIONS = (("network-clicks", DEEPEDIT, "The network's answer, corrected by clicks"),)
_SCRIBBLES = (
    ("graph-cut", SCRIBBLES, "Graph cut between scribbles"),
    ("random-walker", SCRIBBLES, "Random walker from scribbles"),
)


@dataclass(frozen=True)
class Model:
    """A model as clients know it.

    Attributes:
        name: that they ask for it by.
        type: "segmentation", "deepgrow", "deepedit" or "scribbles".
        description: for people.
        artifact: version of the artifact, None of tools.
        tool: of ``review.tools``, None of artifacts.
    """

    name: str
    type: str
    description: str
    artifact: int | None = None
    tool: str | None = None


def models_of(service: Service) -> dict[str, Model]:
    """Name to model; an artifact of a name that an older one has gets its version behind it."""
    models: dict[str, Model] = {}
    for row in artifacts(service.database):
        if row.state == REFUSED:
            continue
        name = row.name if row.name not in models else f"{row.name}-v{row.version}"
        models[name] = Model(name, SEGMENTATION, f"{row.name} {row.format}, version {row.version}", row.version)
    tools = _CLICKS + _SCRIBBLES + (() if service.manifest.regions else _CORRECTIONS)
    for name, kind, description in tools:
        tool = "network" if kind == DEEPEDIT else name
        models.setdefault(name, Model(name, kind, description, tool=tool))
    return models


def get_model(service: Service, name: str) -> Model:
    """A model by its name.

    Raises:
        UnknownError: naming those that there are.
    """
    models = models_of(service)
    if name not in models:
        raise UnknownError(f"model {name[:80]!r}: there is none; expected one of {', '.join(models)}")
    return models[name]


def structure_values(service: Service) -> dict[str, int]:
    """Name of each structure, without the background, to its value in label maps."""
    return {label.name: label.value for label in service.labels[1:]}


def model_json(service: Service, model: Model) -> dict:
    """What ``/info/`` says of a model."""
    return {
        "type": model.type,
        "labels": structure_values(service),
        "dimension": service.manifest.recipe.rank,
        "description": model.description,
        "config": {},
    }
