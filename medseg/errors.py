"""The errors that stand for a user's mistake; the command lines print them as one line, without a traceback."""

import contextlib
from collections.abc import Iterable


class InputError(ValueError):
    """Something the user gave cannot be used: the message names it, what was found, what was expected and the mend."""

    exit_status = 1


class UsageError(InputError):
    """The user asked wrongly: an unknown name or option, or two that exclude each other."""

    exit_status = 2


@contextlib.contextmanager
def naming(name):
    """Put what a computation is about, a file for example, before the message of an ``InputError`` that it raises."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{name}: {error}") from None


def expected_one_of(name: str, known: Iterable[str]) -> str:
    """What a message says of an unknown name: the known one nearest to it, if one is near, and all of them."""
    import difflib

    known = tuple(known)
    near = difflib.get_close_matches(name[:80], known, n=1)
    return (f"did you mean {near[0]}? " if near else "") + f"expected one of {', '.join(known)}"
