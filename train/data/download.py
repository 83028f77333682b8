"""Public datasets: download with resume, verify, unpack."""

import difflib
import hashlib
import shutil
from pathlib import Path

from medseg.errors import InputError, UsageError
from train.data.public_sets import PUBLIC_SETS
from train.data.transfer import download
from train.data.unpack import unpack, verify_members

MARK, ARCHIVE, UNPACKED = ".zoo-download", "archive.tar", "unpacked"


def fetch(
    name: str,
    folder,
    url: str | None = None,
    sha256: str | None = None,
    progress: bool = False,
    say=print,
) -> Path:
    """Download, verify and unpack a public dataset.

    The archive is kept beside ``folder`` in ``<folder>.download`` until all is done, so that an interrupted call
    continues where it stopped. A dataset that is there already is left as it is.

    Verified are the archive's checksum and, from its own ``dataset.json``, that every listed file is there. An archive
    from another ``url`` that has neither the published checksum nor a given ``sha256`` is verified by the checksums
    inside its compressed scans instead, and that is said.

    Args:
        name: one of ``train.data.public_sets.PUBLIC_SETS``.
        folder: dataset folder to make.
        url: fetch the archive from here instead.
        sha256: of the archive; it must match.
        progress: show a bar.
        say: takes each line for the user.

    Returns:
        The folder.

    Raises:
        UsageError: for an unknown name.
        InputError: if the download fails, the archive is not what it should be or the folder cannot be written.
    """
    public = _public_set(name)
    folder = Path(folder)
    if (folder / "dataset.json").is_file():
        say(f"{folder}: holds a dataset already, nothing is downloaded")
        return folder
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty and holds no dataset; choose another folder or empty it")
    address = url or public.url
    work = folder.with_name(f"{folder.name}.download")
    try:
        _open_work(work)
        archive = download(address, work / ARCHIVE, progress)
        verified = verify_archive(archive, public.md5, sha256, url is not None, address)
        say(f"{address}: {verified or 'checksum unknown, so every scan in it is read'}")
        try:
            unpacked = unpack(archive, work / UNPACKED, progress)
            expected = public.cases if url is None else None
            cases = verify_members(unpacked, expected, read_all=not verified, progress=progress)
        except InputError:
            archive.unlink()  # complete but wrong: to continue with it would fail the same way for ever
            raise
        if folder.exists():
            folder.rmdir()
        unpacked.rename(folder)
        _close_work(work)
    except OSError as error:
        raise InputError(
            f"{error.filename or folder}: cannot be written ({error.strerror}); choose another -o"
        ) from None
    say(f"{folder}: all {cases} listed cases are there")
    return folder


def _open_work(work):
    """The folder of an unfinished download, which holds a mark so that no other of that name is taken for one."""
    if work.is_dir() and any(work.iterdir()) and not (work / MARK).is_file():
        raise InputError(f"{work}: exists and holds no download of ours; move it away, or choose another -o")
    work.mkdir(parents=True, exist_ok=True)
    (work / MARK).touch()


def _close_work(work):
    """Remove what the download wrote, and the folder unless something else lies in it."""
    shutil.rmtree(work / UNPACKED, ignore_errors=True)
    for name in (ARCHIVE, MARK):
        (work / name).unlink(missing_ok=True)
    if not any(work.iterdir()):
        work.rmdir()


def verify_archive(archive: Path, md5: str, sha256: str | None, elsewhere: bool, address: str) -> str | None:
    """Compare an archive with its checksums; one that does not fit is deleted, as it cannot be continued.

    Args:
        archive: the file.
        md5: the published one.
        sha256: the user's, or None.
        elsewhere: the archive comes from another place than the published one, and may be another.
        address: for the message.

    Returns:
        What was verified, None if nothing could be.

    Raises:
        InputError: if a checksum that must fit does not.
    """
    if sha256 is not None:
        _require(archive, "sha256", sha256, address)
        return "sha256 as given"
    digest = _digest(archive, "md5")
    if digest == md5:
        return "md5 as published"
    if elsewhere:
        return None
    return _require(archive, "md5", md5, address)


def _require(archive, kind, expected, address):
    digest = _digest(archive, kind)
    if digest != expected.strip().lower():
        archive.unlink()
        raise InputError(f"{address}: {kind} is {digest}, expected {expected}; the archive was deleted, fetch it again")


def _digest(path, kind):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _public_set(name):
    if name in PUBLIC_SETS:
        return PUBLIC_SETS[name]
    near = difflib.get_close_matches(name, [*PUBLIC_SETS, "phantom"], n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"unknown dataset {name!r}.{meant} Expected one of phantom, {', '.join(PUBLIC_SETS)}")
