"""What the OpenAPI description says of bodies, headers and errors that the paths read and answer themselves."""

from starlette.responses import JSONResponse, Response

NIFTI = "application/octet-stream"
_WHOLE = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
_ERROR = {"type": "object", "properties": {"error": _TEXT}, "required": ["error"]}
_WHY = {
    400: "what was sent cannot be read",
    401: "the token is missing or wrong",
    403: "not allowed from there, or never done here",
    404: "there is no such case, version, draft, session or model",
    409: "it contradicts what is kept or what runs",
    411: "a form without its length",
    412: "somebody saved a newer version meanwhile",
    413: "larger than the server takes",
    422: "a value is missing or of the wrong kind",
    429: "more at once than the server takes",
    503: "not possible now: full disk, locked database, an artifact that vanished",
    507: "no room on the disk for what was sent",
}
ERRORS: dict[int | str, dict] = {
    status: {"description": why, "content": {"application/json": {"schema": _ERROR}}} for status, why in _WHY.items()
}
POINT = {"type": "array", "items": _WHOLE, "minItems": 3, "maxItems": 3}
POINTS = {"type": "array", "items": POINT}
USER = {
    "name": "X-User", "in": "header", "required": False, "schema": _TEXT,
    "description": "who asks: a free name, percent-encoded UTF-8",
}  # fmt: skip


def json_body(required: bool = True, **properties) -> dict:
    """``openapi_extra`` of a path that reads a JSON object.

    Args:
        required: whether a request without a body is wrong.
        properties: name to JSON schema; a schema with ``"needed": True`` must be there.
    """
    schemas = {
        name: {key: value for key, value in each.items() if key != "needed"} for name, each in properties.items()
    }
    needed = [name for name, each in properties.items() if each.get("needed")]
    schema = {"type": "object", "properties": schemas} | ({"required": needed} if needed else {})
    return {
        "parameters": [USER],
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema}}},
    }


def file_body(*parameters: dict) -> dict:
    """``openapi_extra`` of a path that reads a file as the body.

    Args:
        parameters: further ones, as OpenAPI has them.
    """
    content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {"parameters": [USER, *parameters], "requestBody": {"required": True, "content": content}}


def form_body(required: tuple[str, ...] = (), files: tuple[str, ...] = (), **fields) -> dict:
    """``openapi_extra`` of a path that reads a form.

    Args:
        required: names of fields and files without which a request is wrong.
        files: names of files.
        fields: name to JSON schema.
    """
    properties = {name: {"type": "string", "format": "binary"} for name in files} | fields
    schema = {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})
    return {
        "parameters": [USER],
        "requestBody": {"required": bool(required), "content": {"multipart/form-data": {"schema": schema}}},
    }


UNCHANGED: dict[int | str, dict] = {304: {"description": "what the client has is what there is"}}


def answers(*media: str, unchanged: bool = False) -> dict:
    """Arguments of a path that answers something other than JSON, or beside it.

    Args:
        media: the types that the answer may have; none for one without a body.
        unchanged: whether it may say that what the client has is what there is.
    """
    responses: dict[int | str, dict] = {200: {"content": {each: {} for each in media}}}
    kind = JSONResponse if "application/json" in media else Response  # what makes an answer of plain types
    return {"response_class": kind, "responses": responses | (UNCHANGED if unchanged else {})}
