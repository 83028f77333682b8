"""The errors that stand for a user's mistake; the command lines print them as one line, without a traceback."""

import contextlib


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
