"""``zoo review``: the doctor's page over a folder of scans."""

import argparse
import importlib.util
from pathlib import Path

from medseg import command
from medseg.errors import InputError, UsageError
from medseg.quiet import native_logs_hidden
from review.room import DEFAULTS as ROOM
from review.room import add_room, room_of

SHORTEST_TOKEN = 16
SERVING = ("host", "port", "token_file", "tls_cert", "tls_key", "origin")
DEFAULTS = {"host": "127.0.0.1", "port": 8008, "threads": 2}
WEIGHTS = (".keras", ".npz")  # files that a training can start from


def build_parser(prog: str = "zoo") -> argparse.ArgumentParser:
    """The parser, with its one sub-command."""
    parser = argparse.ArgumentParser(prog=prog, description="Look at segmentations, correct them, send them back.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_review(commands)
    return parser


def add_review(commands) -> None:
    """Add ``review``."""
    parser = commands.add_parser(
        "review",
        help="look at segmentations in the browser, correct them, and train the next version",
        description="Segment what is not segmented, and open a page to look at the results, correct and accept them. "
        "The review keeps its own files in FOLDER-review; the scans are only read.",
    )
    parser.add_argument("folder", type=Path, help="scans, a dataset folder, or a folder of DICOM files")
    parser.add_argument(
        "--artifact",
        nargs="+",
        default=[],
        metavar="ARTIFACT",
        help="artifact folder, or the name of a shipped one; the first segments, the others are offered beside it",
    )
    command.add_trust(parser)
    parser.add_argument("--work", type=Path, metavar="DIR", help="the review's own folder (default: FOLDER-review)")
    parser.add_argument("--host", help="address to listen at (default: this machine alone)")
    parser.add_argument("--port", type=int, help="its port (default 8008)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open nothing")
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="file of the token that clients must send; needed with --host"
    )
    parser.add_argument("--tls-cert", type=Path, metavar="PEM", help="certificate, to be reached by https")
    parser.add_argument("--tls-key", type=Path, metavar="PEM", help="its private key")
    parser.add_argument(
        "--origin", action="append", default=[], metavar="URL", help="page of another server that may call this one"
    )
    parser.add_argument("--threads", type=int, help="processor threads of the network (default 2)")
    parser.add_argument(
        "--start",
        metavar="RUN",
        help="what the first training of a next version starts from: run folder, weights file or shipped set",
    )
    parser.add_argument(
        "--patients", type=Path, metavar="CSV", help="case and patient, a line each, so that no patient parts"
    )
    parser.add_argument("--improve", action="store_true", help="train and compare the next version now, then stop")
    parser.add_argument("--epochs", type=int, help="of --improve (default: the plan's)")
    parser.add_argument("--audit", type=Path, metavar="CSV", help="write the audit trail there and stop")
    add_room(parser)
    parser.set_defaults(handler=review)


def review(args) -> int:
    """Handle ``zoo review``."""
    check_together(args)
    if args.audit is not None:
        return _write_audit(args)
    settings, room = settings_of(args), room_of(args)
    check_request(args)
    if importlib.util.find_spec("fastapi") is None or importlib.util.find_spec("uvicorn") is None:
        raise InputError(
            'zoo review needs FastAPI and uvicorn, which are not installed; pip install "medseg-zoo[review]"'
        )
    from review.service import claim, open_service
    from review.store.workspace import open_workspace

    with claim(open_workspace(args.folder, args.work)), native_logs_hidden():
        from review.improvement.improver import Improver
        from review.server.serving import bind, serve

        patients = read_patients(args.patients)
        if args.improve:
            service = open_service(args.folder, args.artifact, args.work, args.threads, args.trust, room)
            improver = Improver(service, args.start, patients)
            return _improve(improver, args.epochs)
        with bind(settings) as socket:
            service = open_service(args.folder, args.artifact, args.work, args.threads, args.trust, room)
            return serve(Improver(service, args.start, patients), settings, socket, browser=not args.no_browser)


def check_together(args) -> None:
    """Require that no option is given that means nothing with another, and fill in what was left out.

    Raises:
        UsageError: naming the options and what they belong to.
    """
    if args.audit is not None:
        training = ("artifact", "trust", "start", "patients", "improve", "epochs", "threads")
        command.check_left_out(args, (*training, *SERVING, *ROOM), "of a review; --audit runs none, leave it out")
    if args.improve:
        command.check_left_out(args, (*SERVING, *ROOM), "of the server; leave it out with --improve, which has none")
    command.complete(args, DEFAULTS)


def check_request(args) -> None:
    """Require what is named to be there, before the review's own folder is made.

    Raises:
        UsageError: for epochs out of range or without a training, or something that no training can start from.
        InputError: if an artifact cannot be opened, or no trusted key has signed it.
    """
    from edge.shipped import locate
    from edge.shipped import names as shipped
    from edge.trust.opening import read_artifact

    if args.epochs is not None and not args.improve:
        raise UsageError(f"--epochs {args.epochs}: is of --improve, which is missing")
    if args.epochs is not None and args.epochs < 1:
        raise UsageError(f"--epochs {args.epochs}: expected at least 1")
    for name in args.artifact:
        read_artifact(name, args.trust)
    if args.start is None:
        return
    start = Path(args.start)
    fits = start.suffix in WEIGHTS if start.is_file() else (start / "model.keras").is_file()
    if not fits and (start.exists() or locate(args.start) == start):
        raise UsageError(
            f"--start {args.start}: expected a finished run folder, a {' or '.join(WEIGHTS)} file, or a shipped set: "
            f"{', '.join(shipped())}"
        )


def settings_of(args):
    """How the server may be reached, checked.

    Raises:
        UsageError: if it can be reached from elsewhere without a token, or half of TLS is given.
        InputError: if a file cannot be read.
    """
    from review.server.settings import Settings

    if not 0 <= args.port < 65536:
        raise UsageError(f"--port {args.port}: expected 0 to 65535")
    if args.threads < 1:
        raise UsageError(f"--threads {args.threads}: expected at least 1")
    if (args.tls_cert is None) != (args.tls_key is None):
        raise UsageError("--tls-cert and --tls-key: give both, or none")
    for path in filter(None, (args.tls_cert, args.tls_key)):
        if not path.is_file():
            raise InputError(f"{path}: no such file, expected PEM")
    token = None if args.token_file is None else read_token(args.token_file)
    settings = Settings(
        args.host, args.port, token, tuple(origin.rstrip("/") for origin in args.origin),
        *(None if path is None else str(path) for path in (args.tls_cert, args.tls_key)),
    )  # fmt: skip
    if not settings.loopback and token is None:
        raise UsageError(f"--host {args.host}: other machines could reach it; give --token-file as well")
    return settings


def read_token(path) -> str:
    """The token in a file.

    Raises:
        InputError: if it cannot be read, or the token is too short or no plain text.
    """
    from medseg import untrusted

    try:
        return untrusted.read_token(path, SHORTEST_TOKEN)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def read_patients(path) -> dict[str, str]:
    """Case name to patient, from a CSV file of two columns; {} without one.

    Raises:
        InputError: if it cannot be read, or a line has other columns.
    """
    import csv

    from medseg.untrusted import read_limited

    if path is None:
        return {}
    try:
        text = read_limited(path, 2**24, "a table").decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no UTF-8 text; save it as CSV with UTF-8") from None
    rows = [row for row in csv.reader(text.splitlines()) if row]
    wrong = next((row for row in rows if len(row) != 2 or not all(cell.strip() for cell in row)), None)
    if wrong is not None:
        raise InputError(f"{path}: expected case and patient in each line, got {wrong!r:.60}")
    return {case.strip(): patient.strip() for case, patient in rows}


def _improve(improver, epochs):
    """Train, export and compare the next version in the foreground."""
    import time

    from review.improvement.improver import RUNNING, WAITING

    try:
        improver.start("command line", epochs)
        last = ""
        while improver.progress.state in RUNNING:
            if improver.progress.text != last:
                last = improver.progress.text
                print(last, flush=True)
            time.sleep(0.2)
        now = improver.progress
        if now.error is not None:
            raise InputError(now.error)
        print(now.text)
        if now.state == WAITING:
            print(f"version {now.challenger} waits for a person to promote it in the page")
        return 0 if now.state == WAITING else 1
    finally:
        improver.stop()
        improver.service.close()


def _write_audit(args):
    from medseg.atomic import write_bytes
    from review.store.audit import audit_csv
    from review.store.database import Database
    from review.store.workspace import open_workspace

    workspace = open_workspace(args.folder, args.work, make=False)
    if not workspace.database.is_file():
        begin = command.command_line("zoo review", args.folder, "--artifact", "ARTIFACT")
        raise InputError(f"{workspace.root}: holds no review; {begin} begins one")
    if args.audit.is_dir():
        raise UsageError(f"--audit {args.audit}: is a folder; give the name of a CSV file")
    database = Database(workspace.database)
    try:
        content = audit_csv(database)
    finally:
        database.close()
    write_bytes(args.audit, content)
    print(f"{args.audit} written, {content.count(chr(10).encode()) - 1} rows")
    return 0


def main(argv=None, prog: str = "zoo") -> int:
    """Run the command line and return the exit status."""
    return command.run(build_parser(prog), argv)
