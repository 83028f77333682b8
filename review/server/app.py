"""The application: paths, errors, access, the page."""

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.responses import FileResponse, PlainTextResponse

from review.improvement.improver import Improver
from review.monailabel.routes import add_monailabel
from review.server.access import Access
from review.server.answers import add_error_answers
from review.server.described import ERRORS
from review.server.page_files import PageFiles
from review.server.routes import add_routes
from review.server.settings import Settings
from review.service import Service

PAGE = Path(__file__).parents[1] / "static"
# The page runs its own scripts alone; NiiVue compiles shaders and decodes in workers that it makes itself.
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'wasm-unsafe-eval' blob:; connect-src 'self' data: blob:; frame-ancestors 'none'"
)


def create_app(service: Service, settings: Settings | None = None, improver: Improver | None = None) -> FastAPI:
    """The ASGI application of a review.

    Args:
        service: the open review; the caller starts and closes it.
        settings: how it may be reached, on loopback without a token by default.
        improver: makes the next version; one that starts from what is known of the active artifact by default.
    """
    settings = settings or Settings()
    app = FastAPI(
        title="medseg-zoo review", openapi_url="/api/openapi.json", docs_url=None, redoc_url=None, responses=ERRORS
    )
    app.state.service, app.state.settings = service, settings
    app.state.improver = improver or Improver(service)
    add_error_answers(app)
    add_routes(app)
    add_monailabel(app)
    _add_page(app)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(settings.origins), allow_methods=["*"], allow_headers=["*"]
        )
    app.add_middleware(Access, settings=settings)
    return app


def _add_page(app):
    router = APIRouter()

    @router.get("/", include_in_schema=False)
    def page():
        if not (PAGE / "index.html").is_file():
            return PlainTextResponse("The page is not built: make page, then load this again. The API works.\n", 503)
        return FileResponse(
            PAGE / "index.html", headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
        )

    app.include_router(router)
    if PAGE.is_dir():
        app.mount("/static", PageFiles(directory=PAGE), name="static")
