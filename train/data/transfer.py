"""A file over HTTP, continued where an earlier attempt stopped."""

import http.client
import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from medseg.errors import InputError, UsageError
from medseg.progress import LineAMinute
from medseg.untrusted import read_json

CHUNK = 1 << 18
ATTEMPTS = 4  # in a row without a new byte
TIMEOUT = 60  # seconds without an answer


def download(url: str, target: Path, progress: bool = False, pause: float = 1.0) -> Path:
    """Fetch ``url`` into ``target``.

    What arrived is kept in ``<target>.part``; a later call asks for the rest by HTTP Range and starts over if the file
    on the server has changed (ETag, date or size) or the server cannot do that. A broken connection is tried again.

    Args:
        url: http or https.
        target: file to make; one that is there already is taken as complete.
        progress: show a bar.
        pause: seconds before a further attempt, doubled each time.

    Returns:
        ``target``.

    Raises:
        UsageError: for another kind of address.
        InputError: if the server refuses or the connection keeps breaking; what arrived is kept.
    """
    from tqdm import tqdm

    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url}: expected an http:// or https:// address")
    if target.exists():
        return target
    part, note = target.with_name(target.name + ".part"), target.with_name(target.name + ".json")
    failures = 0
    shown = {"unit": "B", "unit_scale": True, "unit_divisor": 1024, "desc": target.name, "leave": False}
    say = LineAMinute() if progress and not sys.stderr.isatty() else None
    with tqdm(**shown, disable=not progress or say is not None) as bar:
        while True:
            before = _size(part)
            try:
                total = _attempt(url, part, note, bar, say)
                if total is None or _size(part) == total:
                    break
                reason = f"the connection ended after {_size(part)} of {total} bytes"
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    raise InputError(
                        f"{url}: the server answers {error.code} {error.reason}; check the address"
                    ) from None
                reason = f"the server answers {error.code} {error.reason}"
            except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
                reason = str(getattr(error, "reason", error)) or type(error).__name__
            failures = 0 if _size(part) > before else failures + 1
            if failures >= ATTEMPTS:
                raise InputError(f"{url}: {reason}; {_size(part)} bytes are kept, the same command continues")
            time.sleep(pause * 2**failures if failures else pause / 10)
    part.replace(target)
    note.unlink(missing_ok=True)
    return target


def _attempt(url, part, note, bar, say):
    """One request; appends to ``part`` and returns the size that the whole file has, None if the server told none."""
    have = _size(part)
    known = _noted(note)
    if known.get("url") != url:
        have = 0
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity", "User-Agent": "medseg-zoo"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        if known["validator"]:
            request.add_header("If-Range", known["validator"])
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return have
        part.unlink()  # longer than the file: begin again
        return -1
    with response:
        continued = response.status == 206
        if continued and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise http.client.HTTPException(f"asked for bytes from {have}, got {response.headers.get('Content-Range')}")
        length = response.headers.get("Content-Length")
        start = have if continued else 0
        total = start + int(length) if length is not None else None
        if continued and known["total"] not in (None, total):
            part.unlink()
            raise http.client.HTTPException(f"the file had {known['total']} bytes and now has {total}")
        etag = response.headers.get("ETag", "")
        validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
        note.write_text(json.dumps({"url": url, "validator": validator, "total": total}))
        bar.reset(total)
        bar.update(start)
        with open(part, "ab" if continued else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
                if say is not None:
                    say(f"{part.stem}: {file.tell() / 2**20:.0f} MB" + (f" of {total / 2**20:.0f}" if total else ""))
    return total


def _noted(note) -> dict:
    """What an earlier attempt wrote of the file; {} where it is damaged, so that the download begins again."""
    try:
        known = read_json(note, "download's note") if note.exists() else {}
    except InputError:
        return {}
    return known if isinstance(known, dict) and known.keys() >= {"url", "validator", "total"} else {}


def _size(path):
    return path.stat().st_size if path.exists() else 0
