"""Errors of the review server, each with the HTTP status that it is answered with."""

from medseg.errors import InputError


class ReviewError(InputError):
    """What a client asked for cannot be done.

    Args:
        message: one line for people.
        facts: further fields of the JSON answer.
    """

    status = 400

    def __init__(self, message: str, **facts):
        super().__init__(message)
        self.facts = facts


class UnknownError(ReviewError):
    """There is no such case, version, draft or session."""

    status = 404


class ConflictError(ReviewError):
    """It contradicts what is going on: an older draft, a tool or a training that runs."""

    status = 409


class DecidedError(ConflictError):
    """A person decided on the case, and what was made otherwise does not take the place of that."""


class NewerVersionError(ReviewError):
    """Somebody else saved a newer version meanwhile."""

    status = 412


class TooLargeError(ReviewError):
    """The body is larger than the limit."""

    status = 413


class WrongRequestError(ReviewError):
    """An argument is missing or of the wrong kind."""

    status = 422


class TooManyError(ReviewError):
    """More at once than the server takes; later it may."""

    status = 429


class NoRoomError(ReviewError):
    """The disk, or the part of it that clients may fill, has no room for it."""

    status = 507


class UnavailableError(ReviewError):
    """The database is locked, the disk is full, or an artifact vanished; asking again later may help."""

    status = 503
