"""A review that is open: its cases, scans, artifacts and background work; the server's paths call it."""

import secrets
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.measure import areas_mm2, volumes_ml
from edge.runtime.options import Options, Outputs
from edge.runtime.segmenter import Segmenter, load
from edge.trust.opening import read_artifact
from imaging.io.files import read_labels
from imaging.labels import Label
from imaging.scan import Scan
from medseg.claims import claimed
from medseg.errors import InputError, UsageError
from medseg.untrusted import read_limited
from review.errors import UnavailableError
from review.room import Room, UploadRoom
from review.segmenting import Segmenting
from review.store import artifacts
from review.store.cases import Case, add_sources, fact
from review.store.database import Database
from review.store.drafts import read_draft
from review.store.presence import Presence
from review.store.versions import check_version
from review.store.workspace import Workspace, open_workspace
from review.volumes.labels import check_values, parse_labels
from review.volumes.opened import OpenScans
from review.volumes.page_grid import as_page, off_page, on_page
from review.volumes.sources import find_sources

_LARGEST_LABEL_FILE = 2**31


class Service:
    """An open review; threads share it.

    Args:
        workspace: where it keeps its files.
        database: of it.
        manifest: of the active artifact.
        threads: processor threads of a segmenter.
        trust: public key, or a folder of them: only an artifact that one of these has signed segments.
        room: ``Room``, how much clients may send.

    Attributes:
        room: as given, or its defaults.
        upload_room: counts the scans that clients sent as cases.
        manifest: of the active artifact; its classes, channels and rank are the review's.
        finals: case to the version whose labels were last written for other programs.
        finals_lock: held while they are written.
    """

    def __init__(self, workspace: Workspace, database: Database, manifest, threads: int = 2, trust=None, room=None):
        self.room = room or Room()
        self.upload_room = UploadRoom(workspace.uploads, self.room)
        self.workspace, self.database, self.manifest = workspace, database, manifest
        self.scans = OpenScans(manifest.recipe)
        self.presence = Presence()
        self.segmenting = Segmenting(self)
        self.trust, self._threads = trust, threads
        self.finals: dict[str, int] = {}
        self.finals_lock = threading.Lock()
        self._segmenters: dict[tuple[int, bool], Segmenter] = {}
        self._loading = threading.Lock()
        self._references: dict[str, str] = {}
        self._probabilities: dict[tuple, np.ndarray] = {}
        self._salt = fact(database, "salt", secrets.token_hex(16))

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes, background first."""
        return self.manifest.labels

    def look_for_cases(self) -> tuple[str, ...]:
        """Make cases of what is new in the folder; returns their names."""
        recipe = self.manifest.recipe
        sources = find_sources(self.workspace.scans, recipe.channels, recipe.rank, self._salt)
        self._references = {source.name: source.label for source in sources if source.label is not None}
        return add_sources(self.database, sources)

    def start(self) -> None:
        """Begin to segment in the background."""
        self.segmenting.start()

    def close(self) -> None:
        """Stop the background work and close the database."""
        self.segmenting.stop()
        self.database.close()

    def segmenter(self, version: int | None = None, judging: bool = False) -> tuple[int, Segmenter]:
        """An artifact, opened: the active one by default, and its version.

        Args:
            version: of the artifact.
            judging: it is compared, not used; what was trained here then needs no signature, as nobody gave it one yet.

        Raises:
            UnavailableError: if its folder vanished or was altered since it was registered, or it is not signed by a
                trusted key.
        """
        row = artifacts.active(self.database) if version is None else artifacts.artifact(self.database, version)
        if row is None:
            raise UnavailableError("no artifact is active; start the server with --artifact")
        with self._loading:
            key = row.version, self.trust is not None and not (judging and row.run is not None)
            if key not in self._segmenters:
                checksum = artifacts.manifest_checksum(self.database, row.version, row.folder)
                try:
                    opened = load(row.folder, self._threads, trust=self.trust if key[1] else None, checksum=checksum)
                except (InputError, OSError) as error:
                    raise UnavailableError(f"artifact {row.name} v{row.version} cannot be opened: {error}") from None
                self._segmenters[key] = opened
            return row.version, self._segmenters[key]

    def reference(self, case: str) -> str | None:
        """The file of labels that the folder itself holds for a case, or None."""
        return self._references.get(case)

    def grid(self, case: Case) -> Scan:
        """Where a case's labels lie, in the scan's own geometry."""
        return self.scans.get(case.files).grid

    def scan_of(self, files: tuple[str, ...]) -> Scan:
        """A scan by its files, as it was read.

        Raises:
            UnavailableError: if it cannot be read.
        """
        return self.scans.get(files).scan

    def page_scan(self, case: Case) -> Scan:
        """A case's scan on the page's grid."""
        return on_page(self.scans.get(case.files).scan)

    def check_labels(self, case: Case, file) -> Scan:
        """Labels of a file on the page's grid.

        Raises:
            InputError: if they do not fit the case.
        """
        page = as_page(read_labels(file), self.grid(case), file)
        check_values(page.voxels, self.labels)
        return page

    def parse_labels(self, case: Case, content: bytes) -> Scan:
        """Labels that a client sent, on the page's grid.

        Raises:
            InputError: if they do not fit the case.
        """
        return parse_labels(content, self.grid(case), self.labels, self.workspace.incoming)

    def label_content(self, case: Case, version: int | None = None) -> tuple[int, bytes]:
        """A version of a case's labels, the newest by default, as a gzipped NIfTI file.

        Raises:
            UnknownError: if there is none.
            UnavailableError: if its file cannot be read.
        """
        number = check_version(self.database, case, version)
        try:
            return number, read_limited(self.workspace.label(case.id, number), _LARGEST_LABEL_FILE, "labels")
        except OSError as error:
            raise UnavailableError(f"case {case.id}: version {number} cannot be read ({error.strerror})") from None

    def label(self, case: Case, version: int | None = None) -> Scan:
        """The same, read."""
        return self.parse_labels(case, self.label_content(case, version)[1])

    def draft(self, case: Case, user: str) -> Scan:
        """A user's draft of a case."""
        return self.parse_labels(case, read_draft(self.database, self.workspace, case.id, user)[1])

    def empty(self, case: Case) -> Scan:
        """Labels of background alone."""
        page = on_page(self.grid(case))
        return Scan(np.full((*page.shape, 1), self.labels[0].value, page.voxels.dtype), page.affine, page.geometry)

    def volumes(self, case: Case, labels: Scan) -> dict[str, float]:
        """Volume in ml, or area in mm², of each structure of labels on the page's grid."""
        own = off_page(labels, self.grid(case))
        facts = own, self.labels, self.manifest.regions
        return volumes_ml(*facts) or areas_mm2(*facts)

    def probabilities(self, case: Case) -> tuple[np.ndarray, list[int]]:
        """The active network's probabilities of a case, (i, j, k, K) on the page's grid, and the classes' values.

        The last ones are kept, so that only the first click waits for the network.
        """
        (version, segmenter), opened = self.segmenter(), self.scans.get(case.files)
        key = case.id, version, opened.state
        order = sorted(range(len(self.labels)), key=lambda index: self.labels[index].value)
        if key not in self._probabilities:
            options = Options(outputs=Outputs(probabilities=True))
            maps = segmenter.predict(opened.scan, options=options).probabilities
            self._probabilities.clear()
            self._probabilities[key] = on_page(maps).voxels[..., order]
        return self._probabilities[key], [self.labels[index].value for index in order]


def open_service(folder, given: Sequence, work=None, threads: int = 2, trust=None, room=None) -> Service:
    """Open the review of a folder.

    Args:
        folder: of the scans.
        given: artifact folders, or names of shipped ones. The first becomes the active one if it is new here;
            otherwise the version that was active stays so. None given takes the active one.
        work: the review's own folder, ``FOLDER-review`` by default.
        threads: processor threads of a segmenter.
        trust: public key, or a folder of them: only artifacts that one of these has signed are opened.
        room: ``Room``, how much clients may send; its defaults where None.

    Raises:
        InputError: if the folder holds no case, an artifact cannot be opened, or another server reviews the folder.
        UsageError: if the artifacts have different classes.
    """
    workspace = open_workspace(folder, work)
    database = Database(workspace.database)
    try:
        manifest = _register(database, given, trust)
        service = Service(workspace, database, manifest, threads, trust, room)
        service.segmenter()
        service.look_for_cases()
    except BaseException:
        database.close()
        raise
    return service


def claim(workspace: Workspace):
    """Hold the review of a folder, so that a second server is told."""
    return claimed(workspace.database)


def _register(database, given, trust):
    manifests = [read_artifact(folder, trust)[0] for folder in given]
    for following, folder in zip(manifests[1:], given[1:], strict=True):
        if following.labels != manifests[0].labels or following.recipe.rank != manifests[0].recipe.rank:
            raise UsageError(
                f"--artifact {folder}: has other classes or axes than {given[0]}; review them by themselves"
            )
    known = {row.version for row in artifacts.artifacts(database)}
    versions = [artifacts.register(database, folder, each) for folder, each in zip(given, manifests, strict=True)]
    if versions and versions[0] not in known:
        artifacts.activate(database, versions[0], "server", "start")
    row = artifacts.active(database)
    if row is None:
        raise UsageError("--artifact: missing; give the folder of an artifact, or the name of a shipped one")
    if not Path(row.folder).is_dir():
        raise InputError(f"{row.folder}: the active artifact is gone; give another one by --artifact")
    manifest, _ = read_artifact(row.folder, trust, artifacts.manifest_checksum(database, row.version, row.folder))
    if manifests and manifest.labels != manifests[0].labels:
        raise UsageError(f"--artifact {given[0]}: has other classes than the active {row.name}; choose another --work")
    return manifest
