"""Forms as MONAI Label's clients send them: JSON in a field, files beside it."""

import hashlib

from starlette.requests import Request

from medseg.untrusted import MAX_JSON_BYTES, parse_json, shown
from review.errors import WrongRequestError

_MOST_FILES = 5000


async def read_form(request: Request) -> tuple[dict, dict[str, list[tuple[str, bytes]]]]:
    """The fields of a form and its files, each a name and its content.

    Raises:
        WrongRequestError: if the body is no form.
    """
    kind = request.headers.get("content-type", "")
    if not kind.startswith(("multipart/form-data", "application/x-www-form-urlencoded")):
        return {}, {}
    fields: dict = {}
    files: dict[str, list[tuple[str, bytes]]] = {}
    async with request.form(max_files=_MOST_FILES, max_fields=100, max_part_size=MAX_JSON_BYTES) as form:
        for key, value in form.multi_items():
            if isinstance(value, str):
                fields[key] = value
            else:
                files.setdefault(key, []).append((value.filename or "", await value.read()))
    return fields, files


def params_of(fields: dict, key: str = "params") -> dict:
    """The JSON object in a field, {} where there is none.

    Raises:
        WrongRequestError: if it is no object.
    """
    text = fields.get(key)
    data = parse_json(text, key, finite=True) if text else {}
    if data is not None and not isinstance(data, dict):
        raise WrongRequestError(f"{key} {shown(data)}: expected a JSON object")
    return data or {}


def checksum(content: bytes) -> str:
    """As MONAI Label writes it."""
    return f"SHA256:{hashlib.sha256(content).hexdigest()}"
