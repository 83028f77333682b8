"""Files, names, JSON and addresses that strangers give: checked before they are read, whatever they hold."""

import contextlib
import hashlib
import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from medseg.byte_sizes import spell_size
from medseg.errors import InputError

# Plans of thousands of cases and configurations of the largest networks have some MB. Python takes up to eight times
# the bytes of JSON for numbers and 72 bytes for each list or object, however short it is written.
MAX_JSON_BYTES = 16 * 2**20
MAX_JSON_CONTAINERS = 10**6
_MAX_TOKEN_BYTES = 4096
# What begins a formula in Excel and Calc, full-width as well, or is skipped before one.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NO_ADDRESS = SplitResult("", "", "", "", "")
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path) -> BufferedReader:
    """Open a file for reading, if it is one: a device never ends, and a named pipe never begins.

    Args:
        path: of the file; symbolic links are followed.

    Returns:
        The open binary file.

    Raises:
        InputError: if the path leads to a folder, a device, a named pipe or a socket, or holds a zero byte.
        OSError: as ``open`` does, for a file that is missing or may not be read.
    """
    try:
        _require_regular(path, os.stat(path).st_mode)
        # Should a pipe have taken the file's place meanwhile, opening it must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError:
        if "\0" not in os.fspath(path):
            raise
        raise InputError(f"{os.fspath(path)!r}: a file name holds no zero byte; correct the path") from None
    try:
        _require_regular(path, os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        with contextlib.suppress(OSError):  # fdopen may have closed it
            os.close(descriptor)
        raise


def check_regular(path) -> None:
    """Require a path to lead to a regular file, for libraries that open it by its name themselves.

    Raises:
        InputError, OSError: as ``open_regular`` does.
    """
    open_regular(path).close()


def read_limited(path, limit: int, content: str = "file") -> bytes:
    """The bytes of a regular file.

    Args:
        path: of the file.
        limit: the most bytes it may have.
        content: what it holds, for the message.

    Raises:
        InputError: if it is larger, or no regular file.
        OSError: as ``open`` does.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1) if size <= limit else b""
        while data and len(data) <= limit and (more := file.read(2**16)):  # some files are longer than the system says
            data += more
    if max(size, len(data)) > limit:
        raise InputError(
            f"{path}: has {spell_size(max(size, len(data)))}, expected at most {spell_size(limit)} of {content}; "
            "is it the right file?"
        )
    return data


def read_token(path, shortest: int = 1) -> str:
    """The token in a file, by which clients show who they are.

    Args:
        path: of the file.
        shortest: the fewest letters that it may have.

    Raises:
        InputError: if it is shorter, no plain text of one word, or the file is no regular one or too large.
        OSError: as ``open`` does.
    """
    try:
        text = read_limited(path, _MAX_TOKEN_BYTES, "a token").decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    if len(text) < shortest or not text.isprintable() or " " in text:
        raise InputError(
            f"{path}: expected a token of at least {shortest} letters and digits, without spaces; "
            "openssl rand -hex 32 makes one"
        )
    return text


def read_json(path, name: str, checksum: str | None = None):
    """The plain JSON types in a file.

    Args:
        path: of the file.
        name: what it should be, for the message: "plan".
        checksum: SHA-256 that its bytes must have, hexadecimal, where that is known.

    Raises:
        InputError: if it is missing, unreadable, altered, too large, nested too deep or no JSON.
    """
    path = Path(path)
    try:
        data = read_limited(path, MAX_JSON_BYTES, "JSON")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, expected the JSON file of a {name}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if checksum is not None:
        check_content(path, data, checksum)
    return parse_json(data, path)


def check_content(path, content: bytes, checksum: str) -> None:
    """Require what was read of a file to be what is known of it; what is used afterwards is what was checked.

    Args:
        path: of the file, for the message.
        content: its bytes.
        checksum: their SHA-256, hexadecimal.

    Raises:
        InputError: if they are others.
    """
    if hashlib.sha256(content).hexdigest() != checksum.lower():
        raise InputError(f"{path}: altered since its checksum was taken, or while it was opened; copy it again")


def parse_json(data: bytes | str, name, finite: bool = False):
    """JSON in plain types.

    Args:
        data: the text, or its UTF-8.
        name: where it comes from, for the messages.
        finite: take no NaN and no infinity, which Python reads and JSON has not.

    Raises:
        InputError: if it is no JSON, too large, or nested too deep.
    """
    data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    containers = data.count(b"[") + data.count(b"{")
    if len(data) > MAX_JSON_BYTES or containers > MAX_JSON_CONTAINERS:
        raise InputError(
            f"{name}: has {spell_size(len(data))} and {containers} lists and objects, expected at most "
            f"{spell_size(MAX_JSON_BYTES)} and {MAX_JSON_CONTAINERS} of JSON; is it the right file?"
        )
    try:
        value = json.loads(data.decode("utf-8-sig"))  # editors of Windows begin with a mark
        if finite or b"\\u" in data:  # half a pair, which JSON can spell, is no text that a file or database takes
            json.dumps(value, ensure_ascii=False, allow_nan=not finite).encode()
        return value
    except RecursionError:
        raise InputError(f"{name}: not readable as JSON, it is nested too deep; is it the right file?") from None
    except ValueError as error:  # no JSON, no UTF-8, or a number of thousands of digits
        raise InputError(f"{name}: not readable as JSON ({error})") from None


def file_name(name, where: str) -> str:
    """A name that a file from a stranger gives, as a part of a path that stays in its folder.

    Args:
        name: the name, of whatever type was there.
        where: what holds it, for the message.

    Returns:
        The name, unaltered.

    Raises:
        InputError: if it is no text, empty, ``.`` or ``..``, or holds a separator or a control character.
    """
    if not isinstance(name, str) or not name or name in (".", "..") or not name.isprintable() or set(name) & set("/\\"):
        raise InputError(f"{where}: {shown(name)} is no file name; expected one without / and \\, and not ..")
    return name


def inside(folder, name, where: str = "") -> Path:
    """The path of a file in a folder, by a name that a stranger gives; no link may lead out of the folder.

    Args:
        folder: the folder.
        name: of a file directly in it.
        where: what holds the name, for the message.

    Raises:
        InputError: if the file lies elsewhere.
    """
    path = Path(folder) / file_name(name, where or str(folder))
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise InputError(
            f"{path}: is a link out of its folder, expected a file in it; copy the folder with what its links lead to"
        )
    return path


def shown(value, width: int = 60) -> str:
    """A value from a stranger as a message shows it: ``repr``, cut where it is long."""
    text = repr(value[: 2 * width]) if isinstance(value, str | bytes | list | tuple) else repr(value)
    return text if len(text) <= width else f"{text[: width - 3]}..."


def in_one_line(text: str) -> str:
    r"""Text from a stranger for the middle of a message: what is not printable becomes an escape such as ``\n``."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def spreadsheet_cell(value):
    """A cell of a CSV file: spreadsheets take text of strangers for a formula by its first letter.

    Args:
        value: what the cell holds, of any type; a heading is a cell, too.

    Returns:
        Text that would be a formula with an apostrophe before it (OWASP, CSV injection); anything else unaltered.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def split_address(url: str) -> SplitResult:
    """The parts of a URL; all of them empty where it is none, as ``http://[`` with half a pair of brackets."""
    try:
        return urlsplit(url)
    except ValueError:
        return _NO_ADDRESS


def host_name(host: str) -> str:
    """The name or number in ``host:port``, a header for example; "" where there is none."""
    return split_address(f"//{host}").hostname or ""


def is_same_host(origin: str, host: str) -> bool:
    """Whether the header ``Origin`` of a request is of the host that its header ``Host`` names."""
    return split_address(origin).netloc == host


def _require_regular(path, mode):
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
        raise InputError(f"{path}: is {kind}, expected a file")
