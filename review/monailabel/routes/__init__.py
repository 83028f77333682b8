"""The paths of MONAI Label, a file a subject."""

from fastapi import FastAPI

from review.monailabel.routes import activelearning, auth, datastore, images, infer, info, session, tasks, train
from review.monailabel.sessions import Sessions
from review.monailabel.tasks import Tasks

_SUBJECTS = (info, activelearning, datastore, images, infer, session, tasks, train)


def add_monailabel(app: FastAPI) -> None:
    """Add all of them to an application; ``/auth/`` where the server has a token."""
    service = app.state.service
    app.state.sessions = Sessions(service.workspace.incoming / "sessions", service.room)
    app.state.tasks = {kind: Tasks(kind) for kind in ("scoring", "batch")}
    for subject in _SUBJECTS + ((auth,) if app.state.settings.token is not None else ()):
        app.include_router(subject.router)
