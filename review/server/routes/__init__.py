"""The paths of the server, a file a subject."""

from fastapi import FastAPI

from review.server.routes import artifacts, cases, decisions, drafts, improve, info, labels, monitoring, tools, volumes

_SUBJECTS = (info, cases, volumes, labels, drafts, decisions, tools, artifacts, improve, monitoring)


def add_routes(app: FastAPI) -> None:
    """Add all of them to an application."""
    for subject in _SUBJECTS:
        app.include_router(subject.router)
