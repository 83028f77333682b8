"""What every command line of the project shares: one-line errors, exit statuses, JSON output, extras by package."""

import importlib
import json
import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping

from medseg.errors import InputError, UsageError
from medseg.quiet import hide_native_logs
from medseg.untrusted import in_one_line

EXTRAS = {
    "cryptography": "sign",
    "onnxruntime": "onnx",
    "openvino": "openvino",
    "pydicom": "dicom",
    "highdicom": "dicom",
    "pynetdicom": "node",
    "fastapi": "node",
    "uvicorn": "node",
    "prometheus_client": "node",
    "requests": "node",
    "distributed": "cohort",
    "ethosu": "ethos",
    "SimpleITK": "imaging",
    "skimage": "imaging",
    "sklearn": "imaging",
}


class TerminatedError(KeyboardInterrupt):
    """SIGTERM, by which service managers and containers stop a program: it ends as by Ctrl-C, nothing half-written."""


def run(parser, argv=None) -> int:
    """Parse ``argv``, run the chosen sub-command and return the exit status.

    Every sub-parser sets ``handler`` (a function of the parsed arguments that returns None or an exit status).
    A user's mistake (``ValueError`` raised as ``InputError``, or any error that carries ``exit_status``) is printed as
    one line, and so is a package that an extra would bring. ``MEDSEG_TRACEBACK=1`` shows the traceback as well.
    Ctrl-C and SIGTERM end a command with "stopped" and, as shells have it, the status 130 or 143.
    """
    if argv is None:  # the process is the command's own
        hide_native_logs()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _terminate)
    args = parser.parse_args(argv)
    try:
        return args.handler(args) or 0
    except KeyboardInterrupt as stop:
        print("stopped", file=sys.stderr)
        return 143 if isinstance(stop, TerminatedError) else 130
    except Exception as error:
        message = missing_package(error) or str(error)
        status = getattr(error, "exit_status", None)
        if status is None and not isinstance(error, OSError | ModuleNotFoundError):
            raise
        if os.environ.get("MEDSEG_TRACEBACK"):
            traceback.print_exc()
        print(f"{parser.prog}: error: {printable(message)}", file=sys.stderr)
        return status or 1


def _terminate(number, frame):
    signal.signal(number, signal.SIG_IGN)  # a second one would interrupt what cleans up
    raise TerminatedError


def printable(message: str) -> str:
    r"""A message whose names from strangers can neither begin a line of their own nor steer the terminal.

    Control characters and others that are not printable become escapes such as ``\x1b``. A line that is indented by two
    blanks, as lists of several mistakes have them, stays one.
    """
    return "\n  ".join(in_one_line(line) for line in message.split("\n  "))


def missing_package(error: Exception) -> str | None:
    """The line for a package that is not installed: what it is and which extra brings it; None for other errors."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    package = error.name.split(".")[0]
    extra = EXTRAS.get(package, "all")
    return f'this needs {package}, which is not installed; pip install "medseg-zoo[{extra}]"'


def load_package(module: str, purpose: str):
    """Import a module of an optional package.

    Args:
        module: its dotted name, such as "skimage.exposure".
        purpose: what needs it, for the message: "reading scan.nrrd".

    Returns:
        The module.

    Raises:
        InputError: if the package is not installed; the message names the extra that brings it.
    """
    package = module.split(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != package:
            raise
        extra = EXTRAS.get(package, "all")
        raise InputError(
            f'{purpose} needs {package}, which is not installed; pip install "medseg-zoo[{extra}]"'
        ) from None


def add_trust(parser) -> None:
    """Add ``--trust``, which every command takes that opens an artifact."""
    parser.add_argument(
        "--trust", metavar="KEYS", help="public key, or a folder of them: take only what one of these has signed"
    )


def check_left_out(args, names: Iterable[str], reason: str) -> None:
    """Require options that would have no effect to be left out; called before any work.

    An option counts as given where its value is neither None nor False nor empty, so one that means something by
    default has the default None, which ``complete`` replaces.

    Args:
        args: the parsed command line.
        names: attributes of it, such as "roi_margin" for ``--roi-margin``.
        reason: what they belong to and what to do.

    Raises:
        UsageError: naming all that were given.
    """
    given = [name for name in names if not _is_left_out(getattr(args, name))]
    if given:
        raise UsageError(f"{', '.join('--' + name.replace('_', '-') for name in given)}: {reason}")


def _is_left_out(value) -> bool:
    return value is None or value is False or (isinstance(value, list | tuple) and not value)  # 0 is a value


def complete(args, defaults: Mapping) -> None:
    """Give options that were left out the values that they have by default."""
    for name, value in defaults.items():
        if getattr(args, name) is None:
            setattr(args, name, value)


def emit_json(data) -> None:
    """Print ``data`` (plain JSON types) for a script to read."""
    print(json.dumps(data, indent=1, allow_nan=True))


def emit_json_line(data) -> None:
    """Print ``data`` (plain JSON types) as one line, at once, for a script that reads along."""
    print(json.dumps(data), flush=True)


def command_line(command: str, *words) -> str:
    """A command as one types it into a shell.

    Args:
        command: the command, taken as it is written here: "zoo train --resume".
        words: the words behind it, each of them one word to the shell, whatever a path or a name of the user's holds.
    """
    return " ".join([command, *(shlex.quote(str(word)) for word in words)])


def next_command(command: str, *words) -> None:
    """Tell the user what to type next; takes what ``command_line`` takes."""
    print(f"\nNext: {command_line(command, *words)}")
