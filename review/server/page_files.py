"""The files of the page, packed on the way to browsers that unpack them."""

import gzip
from functools import lru_cache

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles


class PageFiles(StaticFiles):
    """Files of a folder; each is packed once, when it is first asked for."""

    async def get_response(self, path, scope):
        """The answer to a request, as Starlette makes it, but gzipped where the browser takes that."""
        answer = await super().get_response(path, scope)
        headers = Headers(scope=scope)
        if not isinstance(answer, FileResponse) or answer.status_code != 200 or scope["method"] != "GET":
            return answer
        if "range" in headers or "gzip" not in headers.get("accept-encoding", ""):
            return answer
        tag = answer.headers["etag"]
        kept = {"ETag": f"W/{tag}", "Last-Modified": answer.headers["last-modified"], "Vary": "Accept-Encoding"}
        packed = _packed(str(answer.path), tag)
        return Response(packed, media_type=answer.media_type, headers=kept | {"Content-Encoding": "gzip"})


@lru_cache(16)
def _packed(path: str, tag: str) -> bytes:
    """The gzipped file; ``tag`` changes with it."""
    with open(path, "rb") as file:
        return gzip.compress(file.read(), mtime=0)
