"""What native code logs in a command's process is hidden; what Python says, and why native code died, is not."""

import subprocess
import sys

import pytest

NATIVE = (
    "import os; from medseg.quiet import *; {}; os.write(2, b'native'); import sys; print('python', file=sys.stderr)"
)
CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import sys; sys.exit(chr(33))'], stderr={})"


def said(code, **environment):
    import os

    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )
    return ended.stderr


def test_native_logs_are_hidden_and_messages_are_not():
    assert said(NATIVE.format("pass")) == "nativepython\n"
    assert said(NATIVE.format("hide_native_logs()")) == "python\n"
    assert said(NATIVE.format("hide_native_logs(); hide_native_logs()")) == "python\n"
    assert said(NATIVE.format("hide_native_logs()"), MEDSEG_TRACEBACK="1") == "nativepython\n"


def test_hidden_for_a_while():
    code = "from medseg.quiet import *; import os, sys\nwith native_logs_hidden() as seen:\n"
    code += "    os.write(2, b'native'); print('seen', file=seen)\nos.write(2, b'after')"
    assert said(code) == "seen\nafter"
    assert said("from medseg.quiet import *; hide_native_logs()\n" + code) == "seen\n"


@pytest.mark.parametrize(("stderr", "expected"), [("visible_stderr()", "!\n"), ("None", "")])
def test_processes_started_from_a_command(stderr, expected):
    assert said("from medseg.quiet import *; hide_native_logs(); " + CHILD.format(stderr)) == expected


def test_tracebacks_and_crashes_are_seen():
    assert "ZeroDivisionError" in said("from medseg.quiet import *; hide_native_logs(); 1 / 0")
    crashed = said("from medseg.quiet import *; hide_native_logs(); import os; os.abort()")
    assert "Fatal Python error: Aborted" in crashed


def test_a_stream_of_its_own_is_left_alone(capsys):
    from medseg.quiet import hide_native_logs, visible_stderr

    before = sys.stderr
    hide_native_logs()
    assert sys.stderr is before
    assert visible_stderr() is None
