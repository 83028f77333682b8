"""The forms that a 3D network can be rewritten into, and how to name one."""

from export.errors import FormatError

FOLDS = {
    "batch": "depth as the batch: the quickest on processors",
    "height": "depth folded into height, batch 1: GPU and vendor delegates, Edge TPU, NPUs that take large images",
    "channels": "width folded into channels, batch 1: NPUs of little memory",
}


def check_form(name: str | None) -> None:
    """Require the name of a form, or none.

    Raises:
        FormatError: for another.
    """
    if name is not None and name not in FOLDS:
        raise FormatError(f"form {name!r} is unknown: accepted are {', '.join(FOLDS)}")
