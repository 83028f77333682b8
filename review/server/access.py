"""Who may call the server: by the address that it is called by, the page that calls, and the token."""

import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.responses import JSONResponse, RedirectResponse

from medseg.byte_sizes import spell_size
from medseg.limits import max_bytes
from medseg.untrusted import host_name, is_same_host
from review.server.settings import LOOPBACK, Settings

COOKIE = "medseg_review"
# What a browser needs before it has the token, and how MONAI Label's clients ask whether they need one.
_MOST_OF_STRANGERS = 65536  # bytes of a body of who has not shown the token yet
_OPEN = ("/api/login", "/auth", "/auth/", "/auth/token")


class Access:
    """ASGI middleware that refuses what may not call the server.

    A name of another host (DNS rebinding), a page of another origin (cross-site requests) and, where the server has a
    token, whoever does not carry it.

    Args:
        app: what is called.
        settings: of the server.
    """

    def __init__(self, app, settings: Settings):
        self.app, self.settings = app, settings

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, scope, headers):
        host = headers.get("host", "")
        if self.settings.loopback and host_name(host) not in (*LOOPBACK, "testserver"):
            return _error(403, f"host {host[:80]!r}: this server is called by localhost or 127.0.0.1 only")
        origin = headers.get("origin")
        if origin is not None and origin not in self.settings.origins and not is_same_host(origin, host):
            return _error(403, f"origin {origin[:80]!r}: pages of other servers may not call this one; see --origin")
        is_open = scope["path"] in _OPEN and self.settings.token is not None
        problem = _too_large(headers, _MOST_OF_STRANGERS if is_open else max_bytes())
        if problem is not None:
            return problem
        if self.settings.token is None or scope["path"] in _OPEN or scope["method"] == "OPTIONS":
            return None
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        if scope["path"] == "/" and self._right((query.get("token") or [""])[0]):
            answer = RedirectResponse("/", 303)
            set_cookie(answer, self.settings)
            return answer
        if self._right(_bearer(headers)) or self._right(_cookie(headers)):
            return None
        return _error(401, "token missing or wrong; open the address that the server printed, or send it as Bearer")

    def _right(self, given):
        return bool(given) and hmac.compare_digest(given.encode("utf-8"), self.settings.token.encode("utf-8"))


def set_cookie(answer, settings: Settings) -> None:
    """Let the browser carry the token, out of reach of scripts and other sites."""
    answer.set_cookie(COOKIE, settings.token, httponly=True, samesite="strict", secure=settings.certificate is not None)


def _too_large(headers, limit):
    """Bodies above the limit, and those that do not say how long they are, before anything of them is kept."""
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        mend = "; MEDSEG_MAX_BYTES raises the limit" if limit == max_bytes() else ""
        return _error(413, f"the body is larger than {spell_size(limit)}{mend}")
    is_form = headers.get("content-type", "").lower().startswith(("multipart/", "application/x-www-form-urlencoded"))
    is_open_end = "transfer-encoding" in headers and limit == _MOST_OF_STRANGERS
    if not length and (is_form or is_open_end):
        return _error(411, "the body must say how long it is; send Content-Length")
    return None


def _bearer(headers):
    kind, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""


def _cookie(headers):
    try:
        jar = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return jar[COOKIE].value if COOKIE in jar else ""


def _error(status, text):
    return JSONResponse({"error": text}, status, headers={"WWW-Authenticate": "Bearer"} if status == 401 else None)
