"""Makes the next version, step by step, in the background; one at a time."""

import threading
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge.manifest import load_manifest
from edge.shipped import names as shipped_names
from medseg.errors import InputError
from medseg.progress import CancelledError
from review.errors import ConflictError, ReviewError, WrongRequestError
from review.improvement import commands
from review.improvement.comparison import compare
from review.improvement.selection import Selection, select
from review.improvement.training_set import write_plan, write_training_set
from review.service import Service
from review.store import artifacts
from review.store.audit import record
from review.store.cases import ACCEPTED, CORRECTED, all_cases

IDLE, PREPARING, TRAINING, EXPORTING, COMPARING = "idle", "preparing", "training", "exporting", "comparing"
WAITING, REFUSED, FAILED, STOPPED = "waiting", "refused", "failed", "stopped"
RUNNING = (PREPARING, TRAINING, EXPORTING, COMPARING)
_LINES = 50


@dataclass(frozen=True)
class Progress:
    """How far it is.

    Attributes:
        state: one of the names above; "waiting" for a person to promote or refuse the challenger.
        text: one line.
        share: 0 to 1 of the training, or None.
        error: why it failed, or None.
        champion, challenger: versions of the artifact.
        comparison: of the two, or None.
    """

    state: str = IDLE
    text: str = ""
    share: float | None = None
    error: str | None = None
    champion: int | None = None
    challenger: int | None = None
    comparison: dict | None = None


@dataclass
class Improver:
    """Starts, watches and stops a training of the next version.

    Attributes:
        service: the review.
        start_from: what the first training starts from: run folder, weights file or shipped set; None takes what is
            known of the active artifact.
        patients: case name to patient.
        make: the commands, ``review.improvement.commands`` or what has the same functions.
    """

    service: Service
    start_from: str | None = None
    patients: dict[str, str] = field(default_factory=dict)
    make: Any = commands

    def __post_init__(self):
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._log: deque[str] = deque(maxlen=_LINES)
        self._thread: threading.Thread | None = None
        waiting = [row for row in artifacts.artifacts(self.service.database) if row.state == artifacts.WAITING]
        self._progress = Progress()
        if waiting:
            self._progress = Progress(WAITING, waiting[-1].comparison["text"], challenger=waiting[-1].version)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        with self._lock:
            return self._progress

    @property
    def log(self) -> list[str]:
        """The last lines of the processes."""
        return list(self._log)

    def ready(self) -> dict:
        """How many cases there are to train on, and what is missing."""
        cases = all_cases(self.service.database)
        counts = {state: sum(case.state == state for case in cases) for state in (CORRECTED, ACCEPTED)}
        try:
            selection = select(self.service.database, cases, self.patients)
            return counts | {"test": len(selection.test), "enough": True, "missing": ""}
        except WrongRequestError as error:
            return counts | {"test": 0, "enough": False, "missing": str(error)}

    def start(self, user: str, epochs: int | None = None, minutes: float | None = None, check: bool = True) -> None:
        """Begin.

        Args:
            user: who asked for it.
            epochs, minutes: how long to train; the plan's own by default.
            check: refuse at once what cannot be done; otherwise it fails in the background.

        Raises:
            ConflictError: if it runs.
            WrongRequestError: if there are too few cases, or nothing to start from.
        """
        if check:
            select(self.service.database, all_cases(self.service.database), self.patients)
            self._source()
        with self._lock:
            if self._progress.state in RUNNING:
                raise ConflictError("a training runs already; stop it, or wait")
            self._stop = threading.Event()
            self._log.clear()
            champion = artifacts.active(self.service.database)
            self._progress = Progress(
                PREPARING, "writing the training set", champion=None if champion is None else champion.version
            )
        with self.service.database.change() as connection:
            record(connection, "improve", user, epochs=epochs, minutes=minutes)
        self._thread = threading.Thread(target=self._run, args=(epochs, minutes), daemon=True)
        self._thread.start()

    def stop(self, wait_s: float = 20.0) -> None:
        """Stop what runs; what it had written stays for people to look at."""
        self._stop.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(wait_s)

    def promote(self, version: int, user: str) -> None:
        """Let a version segment from now on; a person's decision.

        Raises:
            ConflictError: if it was found worse, or refused.
            UnavailableError: if it cannot be opened, or a trusted key has not signed it.
        """
        self.service.segmenter(version)
        artifacts.activate(self.service.database, version, user, "promote")
        self._decided(version)

    def rollback(self, version: int, user: str) -> None:
        """Go back to a version that segmented before.

        Raises:
            UnavailableError: as ``promote`` does.
        """
        self.service.segmenter(version)
        artifacts.activate(self.service.database, version, user, "rollback")

    def refuse(self, version: int, user: str, reason: str = "") -> None:
        """Refuse a version; it is kept with its card."""
        artifacts.refuse(self.service.database, version, user, reason)
        self._decided(version)

    def _decided(self, version):
        with self._lock:
            if self._progress.challenger == version and self._progress.state not in RUNNING:
                self._progress = Progress()

    def _note(self, **changes):
        with self._lock:
            self._progress = replace(self._progress, **changes)

    def _run(self, epochs, minutes):
        try:
            self._improve(epochs, minutes)
        except (InputError, OSError) as error:
            stopped = self._stop.is_set() or isinstance(error, CancelledError)
            text = str(error) if isinstance(error, InputError) else f"{error.strerror or error}"
            self._note(state=STOPPED if stopped else FAILED, error=None if stopped else text, share=None)
            self._note(text="stopped" if stopped else text)
        except Exception as error:  # of any type, so that the page is told
            self._note(state=FAILED, error=f"{type(error).__name__}: {error}", text="a fault of the server", share=None)

    def _improve(self, epochs, minutes):
        service, stop = self.service, self._stop
        selection = select(service.database, all_cases(service.database), self.patients)
        champion = artifacts.active(service.database)
        start, place = self._source(), _new_folder(service.workspace.improvements)
        data = write_training_set(service, selection, place / "dataset")
        plan = write_plan(selection, start, place / "plan.json")
        network = str(_facts(champion).get("network") or "")
        run = place / "run"
        self._note(state=TRAINING, text="training begins", share=0.0)
        command = self.make.train_command(data, run, start, plan, network, epochs, minutes)
        commands.run_command("the training", command, self._log.append, stop, lambda: self._look(run))
        self._note(state=EXPORTING, text="exporting through the gate", share=None)
        command = self.make.export_command(run, champion.format, place / "artifact")
        commands.run_command("the export", command, self._log.append, stop)
        self._judge(champion, place, run, selection)

    def _judge(self, champion, place, run, selection: Selection):
        service = self.service
        folder = place / "artifact" / champion.format
        manifest = load_manifest(folder)
        if manifest.labels != service.labels:
            raise InputError("the new version has other classes than the active one; train it by zoo train")
        facts = {"parent": champion.version, "run": str(run), "cases": len(selection.training)}
        version = artifacts.register(service.database, folder, manifest, state=artifacts.OLD, **facts)
        self._note(state=COMPARING, text="comparing with the active version", challenger=version)
        cases = [*selection.test, *selection.recent]
        result = compare(service, cases, (champion.version, version), self._log.append, self._stop)
        result |= {"test": len(selection.test), "recent": len(selection.recent)}
        artifacts.record_comparison(service.database, version, result)
        state = WAITING if result["not_worse"] else REFUSED
        self._note(state=state, text=result["text"], comparison=result)

    def _look(self, run):
        done, total = commands.epochs_done(run)
        text = f"epoch {done} of {total}" if total else f"epoch {done}"
        self._note(text=text, share=min(1.0, done / total) if total else None)

    def _source(self) -> str:
        """What to start from: the active version's own run, else what the user gave, else its shipped weights."""
        row = artifacts.active(self.service.database)
        if row.run is not None and Path(row.run).is_dir():
            return row.run
        if self.start_from is not None:
            return self.start_from
        if Path(row.folder).parent.name in shipped_names():
            return Path(row.folder).parent.name
        raise WrongRequestError(
            f"artifact {row.name} v{row.version}: nothing is known to start from; give the run folder that it was "
            "exported from, zoo review --start RUN"
        )


def improve_json(improver: Improver) -> dict:
    """How far it is, as plain JSON types."""
    now = improver.progress
    champion = artifacts.active(improver.service.database)
    return {
        "state": now.state, "text": now.text, "progress": now.share, "log": improver.log, "error": now.error,
        "ready": improver.ready(), "champion": champion.version if champion else None, "challenger": now.challenger,
        "comparison": now.comparison or _stored(improver, now.challenger),
    }  # fmt: skip


def _stored(improver, challenger):
    return None if challenger is None else artifacts.artifact(improver.service.database, challenger).comparison


def _facts(row) -> dict:
    try:
        source = load_manifest(row.folder, verify=False).source
    except InputError as error:
        raise ReviewError(f"artifact {row.name} v{row.version} cannot be opened: {error}") from None
    return source if isinstance(source, dict) else {}


def _new_folder(root: Path) -> Path:
    """A folder of the next number."""
    root.mkdir(parents=True, exist_ok=True)
    numbers = [int(path.name) for path in root.iterdir() if path.name.isdecimal()]
    place = root / f"{max(numbers, default=0) + 1:04d}"
    place.mkdir()
    return place
