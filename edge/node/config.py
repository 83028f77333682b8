"""The configuration of a node: one TOML file, read into frozen dataclasses; its mistakes are told all at once."""

import dataclasses
import re
import tomllib
import typing
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from edge.node.values import value_mistakes
from medseg.errors import InputError
from medseg.record import from_dict
from medseg.untrusted import read_limited, shown

MAX_BYTES = 2**17
MOST_LINES = 40  # of mistakes that are told
_LONGEST_PATH = 4096
_MOST_DOTS = 100  # in one line outside of strings; Python takes the square of their number in steps
_QUOTED = re.compile(rb"""\"(?:\\.|[^"\\\n])*"|'[^'\n]*'|#.*""")


@dataclass(frozen=True)
class NodeSettings:
    """The table ``[node]``.

    Attributes:
        folder: where received instances, results and the database lie; the node makes it.
        workers: series that are segmented at a time.
        threads: processor threads of each network.
        keep_hours: how long scans and results are kept after the last result was delivered.
        free_mb: instances are refused, with "out of resources", when less would stay free on the disk.
    """

    folder: Path
    workers: int = 1
    threads: int = 2
    keep_hours: float = 24.0
    free_mb: int = 1024


@dataclass(frozen=True)
class DicomSettings:
    """The table ``[dicom]``.

    Attributes:
        title: AE title of the node; an association that calls another is rejected.
        host: address to listen on.
        port: TCP port.
        quiet_seconds: a series is complete when nothing of it has come for so long.
        count: keyword of the attribute that says how many instances a series has, such as
            "NumberOfSeriesRelatedInstances"; it is then complete as soon as they are there, and never with fewer.
        any_caller: take instances from everybody; else only from a ``[[caller]]``.
        associations: at most so many at a time.
        certificate: PEM file; with it and ``key`` the node speaks TLS only.
        key: PEM file of the certificate's private key.
        authorities: PEM file; callers must then show a certificate that one of these has signed.
    """

    title: str = "MEDSEG"
    host: str = "127.0.0.1"
    port: int = 11112
    quiet_seconds: float = 10.0
    count: str = ""
    any_caller: bool = False
    associations: int = 16
    certificate: Path | None = None
    key: Path | None = None
    authorities: Path | None = None


@dataclass(frozen=True)
class Caller:
    """A ``[[caller]]``, who may send.

    Attributes:
        title: its AE title.
        addresses: where it may call from, as "10.0.0.5" or "10.0.0.0/24"; none is anywhere.
        host: where reports of storage commitment are sent to.
        port: of that.
    """

    title: str
    addresses: tuple[str, ...] = ()
    host: str = ""
    port: int = 0


@dataclass(frozen=True)
class HttpSettings:
    """The table ``[http]``.

    Attributes:
        host: address to listen on.
        port: TCP port; 0 is no HTTP.
        token_file: file that holds the token which requests must carry; needed for addresses other than this machine.
        max_mb: the largest scan that is taken.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token_file: Path | None = None
    max_mb: int = 2048


@dataclass(frozen=True)
class Destination:
    """A ``[[destination]]`` of results.

    Attributes:
        name: for the rules.
        kind: "dicom" for C-STORE, "stow" for STOW-RS.
        title: AE title, of "dicom".
        host: of "dicom".
        port: of "dicom".
        url: of "stow": the address of the DICOMweb service, below which ``/studies`` lies.
        token_file: of "stow": file that holds a bearer token.
        authorities: PEM file of the authorities that the other side's certificate must come from; with "dicom" it
            switches TLS on.
    """

    name: str
    kind: str = "dicom"
    title: str = ""
    host: str = ""
    port: int = 0
    url: str = ""
    token_file: Path | None = None
    authorities: Path | None = None


@dataclass(frozen=True)
class Rule:
    """A ``[[rule]]``: which series go to which artifact. Every rule that fits makes a job.

    Attributes:
        name: for messages and measures.
        artifact: folder, or the name of a shipped one.
        modality, body_part, description, protocol: what the header must say, with ``*`` and ``?``; capitals do not
            count.
        write: kinds of objects: seg, sr, rtstruct, capture.
        destinations: names of where these go; none leaves them to HTTP.
        labelmap: write the SEG as LABELMAP instead of BINARY.
        codes: JSON table of codes, before the one built in.
        trust: public key, or folder of them: only an artifact that one of these has signed is opened.
    """

    name: str
    artifact: str
    modality: str = "*"
    body_part: str = "*"
    description: str = "*"
    protocol: str = "*"
    write: tuple[str, ...] = ("seg", "sr")
    destinations: tuple[str, ...] = ()
    labelmap: bool = False
    codes: Path | None = None
    trust: Path | None = None


@dataclass(frozen=True)
class Retry:
    """The table ``[retry]``: how often and how long what failed is tried again, before it is parked.

    Attributes:
        first_seconds: wait after the first failure; it doubles with each.
        longest_seconds: the longest wait.
        attempts: how many there are.
    """

    first_seconds: float = 5.0
    longest_seconds: float = 600.0
    attempts: int = 30

    def wait(self, attempts: int) -> float:
        """Seconds to wait after so many failures."""
        return min(self.longest_seconds, self.first_seconds * 2 ** min(attempts - 1, 60))


@dataclass(frozen=True)
class Config:
    """The whole file.

    Attributes:
        node, dicom, http, retry: its tables.
        caller, destination, rule: its lists of tables.
    """

    node: NodeSettings
    dicom: DicomSettings = field(default_factory=DicomSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    retry: Retry = field(default_factory=Retry)
    caller: tuple[Caller, ...] = ()
    destination: tuple[Destination, ...] = ()
    rule: tuple[Rule, ...] = ()

    def rule_named(self, name: str) -> Rule | None:
        """The rule of a name; None where the file has it no more."""
        return next((each for each in self.rule if each.name == name), None)


def read_config(path) -> Config:
    """Read the configuration; paths in it are relative to its own folder.

    Args:
        path: of the TOML file.

    Raises:
        InputError: with a line for every mistake in it.
    """
    path = Path(path)
    data, mistakes = _parsed(path), []
    config = _record(Config, data, "", path.parent, mistakes)
    mistakes += value_mistakes(config) if config else []
    if mistakes:
        raise mistakes_error(path, mistakes)
    return config


def mistakes_error(path, mistakes: list[str]) -> InputError:
    """The error that tells all mistakes of a file."""
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return InputError(f"{path}: {count}\n  " + "\n  ".join(first_lines(mistakes)))


def first_lines(lines: list[str]) -> list[str]:
    """The first lines of a list, and how many more there are."""
    left = len(lines) - MOST_LINES
    return lines[:MOST_LINES] + ([f"and {left} more"] if left > 0 else [])


def _parsed(path):
    try:
        content = read_limited(path, MAX_BYTES, "configuration")
        if max(line.count(b".") for line in _QUOTED.sub(b"", content).split(b"\n")) > _MOST_DOTS:
            raise InputError(f"{path}: has a line of more than {_MOST_DOTS} dots; is it the right file?")
        return tomllib.loads(content.decode("utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, expected the TOML file of a node") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except RecursionError:
        raise InputError(f"{path}: not readable as TOML, it is nested too deep; is it the right file?") from None
    except InputError:
        raise
    except ValueError as error:  # no TOML, or no UTF-8
        raise InputError(f"{path}: not readable as TOML ({' '.join(str(error).split())[:200]})") from None


def _record(kind, data, where, folder, mistakes):
    """A dataclass of a table, or None; what is wrong with it is added to ``mistakes``."""
    if not isinstance(data, dict):
        mistakes.append(f"{where}: expected a table, got {shown(data)}")
        return None
    hints, fields = typing.get_type_hints(kind), {each.name: each for each in dataclasses.fields(kind)}
    dot = f"{where}." if where else ""
    for number, name in enumerate(sorted(data.keys() - fields.keys())):
        near = get_close_matches(name, fields, 1) if number < MOST_LINES else []
        mend = f"; is {near[0]} meant?" if near else f"; expected some of {', '.join(fields)}"
        mistakes.append(f"{dot}{shown(name)[1:-1]}: no such key{mend}")
    before, values = len(mistakes), {}
    for name, each in fields.items():
        if name in data:
            values[name] = _value(hints[name], data[name], f"{dot}{name}", folder, mistakes)
        elif each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING:
            mistakes.append(f"{dot}{name}: is missing")
    return kind(**values) if len(mistakes) == before else None


def _value(hint, value, where, folder, mistakes):
    if dataclasses.is_dataclass(hint):
        return _record(hint, value, where, folder, mistakes)
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and dataclasses.is_dataclass(inner[0]):
        if not isinstance(value, list):
            mistakes.append(f"{where}: expected tables, each under [[{where}]], got {shown(value)}")
            return None
        return tuple(_record(inner[0], each, f"{where}[{n}]", folder, mistakes) for n, each in enumerate(value, 1))
    try:
        if hint is Path or Path in inner:
            return folder / _path(from_dict(str, value, where), where)
        return from_dict(hint, value, where)
    except InputError as error:
        mistakes.append(str(error).replace("\n", " "))
        return None


def _path(text, where) -> str:
    if "\0" in text or len(text) > _LONGEST_PATH:
        raise InputError(f"{where}: expected a path of at most {_LONGEST_PATH} letters, got {shown(text)}")
    return text
