"""What the configuration refers to, opened: artifacts, packages, files of TLS and tokens; all faults at once."""

import importlib.util
import os

from edge.node.config import Config, first_lines
from edge.runtime.segmenter import Segmenter, load
from medseg.errors import InputError
from medseg.untrusted import read_limited, read_token, shown

_DICOM = ("pydicom", "highdicom", "pynetdicom")
_HTTP = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
_SHORTEST_TOKEN = 16
_MAX_PEM = 2**20


def open_segmenters(config: Config) -> dict[str, Segmenter]:
    """The networks by name of rule; rules of one artifact share it.

    Raises:
        InputError: with a line for everything that the configuration refers to and that cannot be used.
    """
    faults, segmenters, opened = list(_surroundings(config)), {}, {}
    for number, rule in enumerate(config.rule, 1):
        key = rule.artifact, rule.trust
        try:
            if key not in opened:
                opened[key] = load(rule.artifact, config.node.threads, trust=rule.trust)
            segmenters[rule.name] = opened[key]
            if rule.codes is not None:
                from edge.dicom.codes import load_codes

                load_codes(rule.codes)
        except InputError as error:
            faults.append(f"rule[{number}]: {str(error).partition(chr(10))[0]}")
    if faults:
        raise InputError(
            "\n  ".join([f"{len(faults)} of what the configuration names cannot be used", *first_lines(faults)])
        )
    return segmenters


def _surroundings(config):
    yield from _packages(config)
    faults = list(_files(config))
    yield from faults
    if config.dicom.certificate and not faults:
        from edge.node.receive import server_context

        try:
            server_context(config.dicom)
        except OSError as error:
            yield f"dicom.certificate: cannot be used with dicom.key ({error.strerror or type(error).__name__})"
    if not _writable(config.node.folder):
        yield f"node.folder: {shown(str(config.node.folder))} cannot be written"


def _writable(folder) -> bool:
    above = folder
    try:
        while not above.exists() and above != above.parent:
            above = above.parent
    except OSError:  # a name that is too long
        return False
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)


def _packages(config):
    names = list(_DICOM)
    if config.http.port:
        names += _HTTP
    if any(each.kind == "stow" for each in config.destination):
        names.append("requests")
    for name in names:
        if importlib.util.find_spec(name) is None:
            yield f'{name} is not installed: pip install "medseg-zoo[node]"'


def _files(config):
    files = {f"dicom.{name}": getattr(config.dicom, name) for name in ("certificate", "key", "authorities")}
    files["http.token_file"] = config.http.token_file
    for number, each in enumerate(config.destination, 1):
        files |= {f"destination[{number}].{name}": getattr(each, name) for name in ("token_file", "authorities")}
    for where, path in files.items():
        if path is None:
            continue
        try:
            if where.endswith("token_file"):
                read_token(path, _SHORTEST_TOKEN if where.startswith("http.") else 1)
            else:
                read_limited(path, _MAX_PEM, "PEM")
        except OSError as error:
            yield f"{where}: {shown(str(path))} is missing or cannot be read ({error.strerror})"
        except InputError as error:
            yield f"{where}: {error}"
