"""Errors as answers: one line of JSON with a fitting status, never a traceback."""

import errno
import logging
import sqlite3

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from medseg.command import printable
from medseg.errors import InputError, UsageError
from review.errors import ReviewError

_LOG = logging.getLogger("review")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def add_error_answers(app) -> None:
    """Teach a FastAPI application to answer errors."""
    from fastapi.exceptions import RequestValidationError

    for kind, handler in (
        (ReviewError, _review_error),
        (InputError, _input_error),
        (OSError, _system_error),
        (MemoryError, _memory_error),
        (sqlite3.Error, _database_error),
        (RequestValidationError, _invalid),
        (HTTPException, _http_error),
        (ClientDisconnect, _disconnected),
        (Exception, _unexpected),
    ):
        app.add_exception_handler(kind, handler)


def answer(status: int, text: str, **facts) -> JSONResponse:
    """The JSON of an error."""
    return JSONResponse({"error": printable(text), **facts}, status)


def _review_error(request, error):
    return answer(error.status, str(error), **error.facts)


def _input_error(request, error):
    return answer(422 if isinstance(error, UsageError) else 400, str(error))


def _system_error(request, error):
    if error.errno in _FULL:
        return answer(503, f"nothing was kept: {error.strerror}; make room, then save again")
    return answer(503, f"nothing was kept: {error.strerror or error}; try again")


def _memory_error(request, error):
    return answer(503, "too large for this machine's memory now; close other cases, then try again")


def _database_error(request, error):
    return answer(503, f"the database cannot be used now ({error}); nothing was changed, try again")


def _invalid(request, error):
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    return answer(422, f"{place}: {first['msg']}")


def _http_error(request, error):
    return answer(error.status_code, str(error.detail))


def _disconnected(request, error):
    return Response(status_code=499)


def _unexpected(request, error):
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer(500, f"a fault of the server ({type(error).__name__}); nothing was changed, its log says more")
