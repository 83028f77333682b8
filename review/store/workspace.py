"""Where the review of a folder keeps its own files; nothing is ever written among the scans."""

from dataclasses import dataclass
from pathlib import Path

from medseg.atomic import check_writable
from medseg.errors import InputError


@dataclass(frozen=True)
class Workspace:
    """Folders of a review.

    Attributes:
        scans: the folder that is reviewed; only read.
        root: the review's own folder.
    """

    scans: Path
    root: Path

    @property
    def database(self) -> Path:
        """SQLite file with cases, results, corrections and the audit trail."""
        return self.root / "review.sqlite"

    @property
    def incoming(self) -> Path:
        """Uploads while they are checked."""
        return self.root / "incoming"

    @property
    def uploads(self) -> Path:
        """Scans that clients sent."""
        return self.root / "uploads"

    @property
    def improvements(self) -> Path:
        """Runs and artifacts of later versions."""
        return self.root / "versions"

    def label(self, case: str, version: int) -> Path:
        """A version of a case's labels."""
        return self.root / "labels" / case / f"{version:04d}.nii.gz"

    def draft(self, case: str, user_key: str, number: int) -> Path:
        """A user's unfinished labels of a case."""
        return self.root / "drafts" / case / f"{user_key}-{number}.nii.gz"

    def final(self, case: str, suffix: str) -> Path:
        """The labels of a case that a person accepted or corrected, for other programs."""
        return self.root / "final" / f"{case}{suffix}"


def open_workspace(folder, work=None, make: bool = True) -> Workspace:
    """The workspace of a folder of scans.

    Args:
        folder: what is reviewed.
        work: the review's own folder; ``FOLDER-review`` beside it by default.
        make: make it where it is missing.

    Raises:
        InputError: if there is no such folder, or the other one cannot be written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        kind = "is a file" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {kind}; give a folder of scans, a dataset folder or a folder of DICOM files")
    place = folder.resolve()
    root = place.with_name(f"{place.name}-review") if work is None else Path(work).resolve()
    if root == place:
        raise InputError(f"--work {work}: is the folder of the scans; give another one")
    if not make:
        return Workspace(place, root)
    check_writable(root, f"--work {root}")
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--work {root}: cannot be made ({error.strerror}); give another folder") from None
    return Workspace(place, root)
