"""A downloaded dataset archive: unpacked without trusting it, and verified by its own list of cases."""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from medseg.archives import MAX_RATIO, SMALL_BYTES
from medseg.byte_sizes import spell_size
from medseg.errors import InputError
from medseg.progress import track


def unpack(archive: Path, folder: Path, progress: bool = False) -> Path:
    """Unpack a tar archive (compressed or not) that holds one dataset.

    Only plain files and folders are accepted, and only below ``folder``: an archive that reaches elsewhere, by ``..``,
    an absolute path or a link, is refused whole. Files that macOS adds (``._name``) are left out.

    Args:
        archive: the file.
        folder: where to; what an interrupted call left there is removed first.
        progress: show a bar.

    Returns:
        The folder that holds ``dataset.json``.

    Raises:
        InputError: if the archive is damaged, reaches elsewhere or holds no ``dataset.json``.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with tarfile.open(archive) as tar:
            members = [member for member in tar if not PurePosixPath(member.name).name.startswith("._")]
            for member in members:
                _require_safe(archive, member)
            _require_room(archive, folder, sum(member.size for member in members))
            for member in track(members, "unpack", show=progress):
                place = folder / member.name
                if member.isdir():
                    place.mkdir(parents=True, exist_ok=True)
                    continue
                place.parent.mkdir(parents=True, exist_ok=True)
                with tar.extractfile(member) as source, open(place, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                if place.stat().st_size != member.size:
                    raise tarfile.ReadError(f"{member.name} is cut short")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{archive}: not a whole tar archive ({error}); fetch it again") from None
    lists = sorted(folder.rglob("dataset.json"), key=lambda path: len(path.parts))
    if not lists:
        raise InputError(f"{archive}: holds no dataset.json, so it is no dataset in the MSD layout; check the address")
    return lists[0].parent


def verify_members(folder: Path, cases: int | None, read_all: bool = False, progress: bool = False) -> int:
    """Require an unpacked dataset to hold what its ``dataset.json`` lists.

    Args:
        folder: the unpacked dataset.
        cases: how many labelled cases it must have, if that is known; ``numTraining`` is required too where it is told.
        read_all: decompress every scan, which verifies the checksum inside it.
        progress: show a bar.

    Returns:
        The number of labelled cases.

    Raises:
        InputError: if cases are missing, damaged or fewer or more than told.
    """
    from train.data import layouts
    from train.data.dataset_json import description_of

    listing = layouts.read(folder)
    problems = list(listing.problems)
    announced = description_of(folder).get("numTraining")
    for expected in dict.fromkeys(n for n in (cases, announced) if n is not None):
        if len(listing.entries) != expected:
            problems.append(f"{len(listing.entries)} labelled cases, {expected} are expected")
    if read_all and not problems:
        files = [path for entry in listing.entries for path in (*entry.images, entry.label)]
        for path in track(files, "verify", show=progress):
            if path.suffix == ".gz" and not _whole(path):
                problems.append(f"{path.name} is damaged")
    if problems:
        raise InputError(f"archive of {listing.name}: {'; '.join(problems)}; fetch it again or elsewhere")
    return len(listing.entries)


def _require_safe(archive, member):
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or ":" in member.name:
        raise InputError(f"{archive}: member {member.name!r} reaches outside the folder; nothing was unpacked")
    if not (member.isfile() or member.isdir()):
        raise InputError(f"{archive}: member {member.name!r} is a link or device; nothing was unpacked")


def _require_room(archive, folder, size):
    """Refuse a bomb, and what would fill the disk, before the first file is written."""
    packed = archive.stat().st_size
    if size > max(SMALL_BYTES, MAX_RATIO * packed):
        raise InputError(
            f"{archive}: {spell_size(packed)} unpack to {spell_size(size)}, expected at most {MAX_RATIO} times as much "
            "of an archive of scans"
        )
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InputError(f"{archive}: unpacks to {spell_size(size)}, the disk has {spell_size(free)} left; make room")


def _whole(path):
    try:
        with gzip.open(path) as file:
            while file.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error):
        return False
    return True
