"""What all paths take from a request: the user, the body up to a limit, plain JSON, numbers in headers."""

from urllib.parse import unquote

from starlette.requests import Request

from medseg.byte_sizes import spell_size
from medseg.limits import max_bytes
from medseg.untrusted import MAX_JSON_BYTES, parse_json, shown
from review.errors import TooLargeError, WrongRequestError

UNNAMED = "unnamed"
_LONGEST_NAME = 80


def user_of(request: Request) -> str:
    """The free name that a request carries: header ``X-User``, percent-encoded UTF-8, or ``?user=``."""
    given = request.headers.get("x-user") or request.query_params.get("user") or request.query_params.get("client_id")
    name = "".join(letter for letter in unquote(given or "") if letter.isprintable()).strip()
    return name[:_LONGEST_NAME] or UNNAMED


async def body_of(request: Request, limit: int | None = None) -> bytes:
    """The whole body.

    Raises:
        TooLargeError: as soon as it is larger than the limit, ``medseg.limits`` by default.
    """
    limit = max_bytes() if limit is None else limit
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise _too_large(limit)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


async def json_of(request: Request) -> dict:
    """The JSON object in a body; an empty one where there is none.

    Raises:
        WrongRequestError: if it is no object.
    """
    content = await body_of(request, MAX_JSON_BYTES)
    data = parse_json(content, "the request", finite=True) if content.strip() else {}
    if not isinstance(data, dict):
        raise WrongRequestError(f"the request: expected a JSON object, got {shown(data)}")
    return data


def whole(value, name: str, least: int = 0) -> int:
    """A whole number of a request.

    Raises:
        WrongRequestError: naming it, if it is none or too small.
    """
    text = str(value).strip().strip('"') if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdecimal() and len(text) < 16) or int(text) < least:
        raise WrongRequestError(f"{name} {shown(value)}: expected a whole number of at least {least}")
    return int(text)


def seconds_of(value) -> float | None:
    """Seconds that a person spent, or None."""
    if value is None or value == "":
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < 1e7:
        raise WrongRequestError(f"seconds {shown(value)}: expected a number of at least 0")
    return seconds


def text_of(value, name: str, longest: int = 2000) -> str:
    """Text of a request, "" for none.

    Raises:
        WrongRequestError: if it is no text, or too long.
    """
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest:
        raise WrongRequestError(f"{name} {shown(value)}: expected text of at most {longest} letters")
    return value


def _too_large(limit):
    return TooLargeError(f"the body is larger than {spell_size(limit)}; MEDSEG_MAX_BYTES raises the limit")
