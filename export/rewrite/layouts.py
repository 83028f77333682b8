"""The layouts that a 3D network can be rewritten into, and how to name one."""

from export.errors import FormatError

FOLDS = {
    "batch": "depth as the batch: the quickest on processors",
    "height": "depth folded into height, batch 1: GPU and vendor delegates, Edge TPU, NPUs that take large images",
    "channels": "width folded into channels, batch 1: NPUs of little memory",
}


def check_layout(name: str | None) -> None:
    """Require the name of a layout, or none.

    Raises:
        FormatError: for another.
    """
    if name is not None and name not in FOLDS:
        raise FormatError(f"layout {name!r} is unknown: expected one of {', '.join(FOLDS)}")
