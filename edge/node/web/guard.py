"""Which requests are answered at all: by token, origin and size, before anything of them is read."""

import hmac

from edge.node.config import HttpSettings
from edge.node.storage import MEGABYTE
from edge.node.values import LOOPBACK
from medseg.untrusted import host_name, is_same_host, read_token

OPEN = ("/health", "/ready")
_MULTIPART = MEGABYTE  # for the headers around a scan


class Guard:
    """An ASGI application around another; it answers 401, 403, 411 or 413 in its place.

    Args:
        app: the other.
        settings: the table ``[http]``.
    """

    def __init__(self, app, settings: HttpSettings):
        self.app, self.settings = app, settings
        token = settings.token_file
        self.token = read_token(token).encode() if token else None

    async def __call__(self, scope, receive, send):
        """Answer a request."""
        if scope["type"] == "http":
            headers = {name.decode("latin-1"): value for name, value in scope["headers"]}
            refusal = self._refusal(scope["path"], scope["method"], headers)
            if refusal is not None:
                status, reason = refusal
                await _answer(send, status, reason)
                return
        await self.app(scope, receive, send)

    def _refusal(self, path, method, headers):
        host = headers.get("host", b"").decode("latin-1")
        origin = headers.get("origin", b"").decode("latin-1")
        if origin and not is_same_host(origin, host):  # a page of another site, in a browser on this machine
            return 403, "requests of other sites are not answered"
        if self.token is None and host_name(host) not in LOOPBACK:  # a name that was bent to here
            return 403, f"expected a request to {' or '.join(LOOPBACK)}"
        if self.token is not None and path not in OPEN:
            given = headers.get("authorization", b"")
            if not hmac.compare_digest(given, b"Bearer " + self.token):
                return 401, "expected the header Authorization: Bearer TOKEN"
        if method in ("POST", "PUT", "PATCH"):
            length = headers.get("content-length", b"").decode("latin-1")
            if not length.isdecimal():
                return 411, "expected the header Content-Length"
            if int(length) > self.settings.max_mb * MEGABYTE + _MULTIPART:
                return 413, f"expected at most {self.settings.max_mb} MB (http.max_mb)"
        return None


async def _answer(send, status, reason):
    body = f'{{"detail": "{reason}"}}'.encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
