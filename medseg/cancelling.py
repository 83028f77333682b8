"""Work that its caller can stop half-way."""

from collections.abc import Callable
from threading import Event

from medseg.errors import InputError

Cancel = Event | Callable[[], bool] | None


class CancelledError(InputError):
    """The caller stopped the work; nothing of it was kept."""


def check_cancelled(cancel: Cancel, task: str) -> None:
    """Stop here if the caller asked for it.

    Args:
        cancel: a ``threading.Event``, or a function that returns whether to stop; None never stops.
        task: what is stopped, for the message.

    Raises:
        CancelledError: if the event is set or the function returns True.
    """
    if cancel is not None and (cancel.is_set() if isinstance(cancel, Event) else cancel()):
        raise CancelledError(f"{task}: cancelled; nothing was written")
