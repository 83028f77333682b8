"""What the command lines share: one line for a user's mistake, the exit status, a traceback only when asked for."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imaging import InputError, UsageError
from medseg.command import check_left_out, command_line, complete, emit_json, next_command, run


def parser(action):
    zoo_parser = argparse.ArgumentParser(prog="zoo")
    zoo_parser.add_argument("--name", default="x")
    zoo_parser.set_defaults(handler=action)
    return zoo_parser


def raising(error):
    def action(args):
        raise error

    return action


def test_status_of_the_handler():
    assert run(parser(lambda args: None), []) == 0
    assert run(parser(lambda args: 3), []) == 3
    assert run(parser(lambda args: args.name == "y"), ["--name", "y"]) == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [(InputError("a.nii: bad"), 1), (UsageError("a.nii: bad"), 2), (FileNotFoundError("a.nii: bad"), 1)],
)
def test_a_mistake_is_one_line(error, status, capsys):
    assert run(parser(raising(error)), []) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "zoo: error: a.nii: bad\n"


def test_traceback_when_asked_for(monkeypatch, capsys):
    monkeypatch.setenv("MEDSEG_TRACEBACK", "1")
    assert run(parser(raising(InputError("bad"))), []) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_fault_of_the_program_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run(parser(raising(ZeroDivisionError())), [])


@pytest.mark.parametrize(("name", "extra"), [("keras.layers", "all"), ("onnxruntime", "onnx"), ("pydicom", "dicom")])
def test_a_missing_package_names_the_extra_that_brings_it(capsys, name, extra):
    assert run(parser(raising(ModuleNotFoundError(f"No module named {name!r}", name=name))), []) == 1
    package = name.split(".")[0]
    assert capsys.readouterr().err == (
        f'zoo: error: this needs {package}, which is not installed; pip install "medseg-zoo[{extra}]"\n'
    )


def test_stopped(capsys):
    assert run(parser(raising(KeyboardInterrupt())), []) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_output(capsys):
    emit_json({"hd95": float("inf")})
    next_command("zoo train", "x")
    out = capsys.readouterr().out
    assert '"hd95": Infinity' in out
    assert out.endswith("\nNext: zoo train x\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "zoo plan -o"),
        (("scans", 0), "zoo plan -o scans 0"),
        ((Path("my scans (1)"), "Bob's"), "zoo plan -o 'my scans (1)' 'Bob'\"'\"'s'"),
        (("$HOME", "", "a,b=c:d"), "zoo plan -o '$HOME' '' a,b=c:d"),
    ],
)
def test_a_command_line_is_taken_apart_as_it_was_put_together(words, line):
    assert command_line("zoo plan -o", *words) == line
    assert shlex.split(line) == ["zoo", "plan", "-o", *map(str, words)]


def test_options_that_must_be_left_out_and_what_they_are_then():
    args = argparse.Namespace(margin_mm=None, flag=False, words=[], names=(), zero=0, text="")
    check_left_out(args, ("margin_mm", "flag", "words", "names"), "of nothing")
    with pytest.raises(UsageError, match=r"^--zero, --text: of nothing$"):
        check_left_out(args, ("flag", "zero", "text"), "of nothing")
    complete(args, {"margin_mm": 10.0, "zero": 3})
    assert (args.margin_mm, args.zero) == (10.0, 0)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_stopped_cleans_up(tmp_path, number, status):
    """The part of a file that was written goes, and one line is all that is said; a second signal changes nothing."""
    program = """
import argparse, os, signal, sys, time
from medseg.atomic import moved_into_place
from medseg.command import run

signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that were started in the background ignore it

def work(args):
    with moved_into_place("out.bin") as place:
        try:
            place.write_bytes(b"half")
            print("begun", flush=True)
            time.sleep(60)
        finally:
            if SECOND:
                os.kill(os.getpid(), signal.SIGTERM)

parser = argparse.ArgumentParser(prog="zoo")
parser.set_defaults(handler=work)
sys.argv[1:] = []
sys.exit(run(parser))
""".replace("SECOND", str(number == signal.SIGTERM))
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (status, "", "stopped\n")
    assert list(tmp_path.iterdir()) == []
