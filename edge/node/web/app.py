"""The HTTP interface: POST a scan, ask for jobs and their files, health, readiness, measures."""

import logging
import secrets
import sqlite3
import time
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, File, HTTPException, UploadFile
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse

from edge.node import jobs
from edge.node.storage import RESULTS, UPLOADS, has_room
from edge.node.web.guard import Guard
from edge.node.web.metrics import measures
from edge.node.work import OVERLAY, report
from imaging.io.dicom.reference import SUFFIXES as DICOM_SUFFIXES
from imaging.io.dicom.reference import ZIP
from imaging.io.files import SUFFIXES
from medseg.atomic import write_durably
from medseg.errors import InputError
from medseg.untrusted import inside, shown

log = logging.getLogger("medseg.node")
_TAKEN = (*SUFFIXES, *DICOM_SUFFIXES, ZIP)
_LONGEST_LIST = 1000
_WHY = {
    401: "the token is missing or wrong",
    403: "not allowed from there",
    404: "there is no such job or file",
    409: "it contradicts the state of the job",
    411: "a body without its length",
    413: "larger than the node takes",
    415: "a file of an unknown type",
    422: "a value is missing or of the wrong kind",
    507: "the disk is full",
}
_ERRORS: dict[int | str, dict] = {
    status: {"description": why, "content": {"application/json": {}}} for status, why in _WHY.items()
}


def make_app(node):
    """The ASGI application of a node.

    Args:
        node: an ``edge.node.service.Node`` whose database is open.
    """
    app = FastAPI(title="medseg-zoo node", docs_url=None, redoc_url=None, responses=_ERRORS)
    config, database, folder = node.config, node.database, node.config.node.folder

    def row_of(number):
        if not 0 <= number < 2**63:  # SQLite's
            raise HTTPException(404, f"there is no job {shown(number)}")
        row = database.row("select * from jobs where id = ?", number)
        if row is None:
            raise HTTPException(404, f"there is no job {number}")
        return row

    @app.exception_handler(Exception)
    async def fault(_, error):
        log.error("http: %s", type(error).__name__)
        return JSONResponse({"detail": "an error of the node; its log names the kind"}, 500)

    @app.get("/health")
    def health():
        return {"status": "ok"}

    @app.get("/ready", responses={503: {"description": "it takes no work now, and why"}})
    def ready():
        problems = list(_problems(node))
        return JSONResponse({"ready": not problems, "problems": problems}, 503 if problems else 200)

    @app.get("/metrics", response_class=PlainTextResponse)
    def metrics():
        return PlainTextResponse(measures(node), media_type="text/plain; version=0.0.4")

    @app.post("/scans", status_code=202)
    def post_scan(scan: Annotated[UploadFile, File()], rule: str = ""):
        name = _rule_name(config, rule)
        kind = next((suffix for suffix in _TAKEN if (scan.filename or "").lower().endswith(suffix)), None)
        if kind is None:
            raise HTTPException(415, f"expected a file of type {', '.join(_TAKEN)}")
        if not has_room(folder, scan.size or 0, config.node.free_mb):
            raise HTTPException(507, "the disk is full")
        token = secrets.token_hex(10)
        place = Path(UPLOADS) / f"{token}{kind}"
        try:
            write_durably(folder / place, scan.file)
            number = jobs.add_upload(database, token, name, place)
        except (OSError, sqlite3.Error) as error:
            (folder / place).unlink(missing_ok=True)
            raise HTTPException(507, f"it cannot be kept ({type(error).__name__})") from None
        return report(row_of(number))

    @app.get("/jobs")
    def list_jobs(state: str = "%", limit: int = 100):
        limit = max(1, min(limit, _LONGEST_LIST))
        query = "select * from jobs where state like ? order by id desc limit ?"
        return [report(row) for row in database.rows(query, state, limit)]

    @app.get("/jobs/{number}")
    def job(number: int):
        row = row_of(number)
        columns = ("destination", "kind", "state", "attempts", "reason")
        sent = database.rows("select * from deliveries where job = ? order by id", number)
        files = sorted(path.name for path in (folder / RESULTS / str(number)).glob("*") if row["state"] == "done")
        return report(row) | {"deliveries": [{name: each[name] for name in columns} for each in sent], "files": files}

    @app.post("/jobs/{number}/retry")
    def retry(number: int):
        row_of(number)
        if not jobs.try_again(database, number):
            raise HTTPException(409, f"nothing of job {number} is parked")
        return report(row_of(number))

    @app.get("/jobs/{number}/overlay", response_class=FileResponse)
    def overlay(number: int):
        return FileResponse(_file(row_of(number), folder, OVERLAY))

    @app.get("/jobs/{number}/files/{name}", response_class=FileResponse)
    def file(number: int, name: str):
        path = _file(row_of(number), folder, name)
        with database.change() as connection:
            connection.execute("update jobs set fetched = ? where id = ?", (time.time(), number))
        return FileResponse(path)

    return Guard(app, config.http)


def _rule_name(config, name):
    names = [rule.name for rule in config.rule]
    if not name and len(names) == 1:
        return names[0]
    if name not in names:
        given = f"got {shown(name)}" if name else "got none"
        raise HTTPException(422, f"rule: expected one of {', '.join(names)}, {given}")
    return name


def _file(row, folder, name):
    number = row["id"]
    if row["state"] != "done":
        raise HTTPException(409, f"job {number} is {row['state']}")
    try:
        path = inside(folder / RESULTS / str(number), name)
    except InputError:
        path = None
    if path is None or not path.is_file():
        raise HTTPException(404, f"job {number} has no such file, or it was removed")
    return path


def _problems(node):
    if not node.working:
        yield "a thread of the node has ended"
    if not has_room(node.config.node.folder, 0, node.config.node.free_mb):
        yield "the disk is full"
    try:
        with node.database.change() as connection:
            connection.execute("update counts set value = value where 0")
    except sqlite3.Error as error:
        yield f"the database cannot be written ({type(error).__name__})"
