"""The bar: on terminals only, and only where the work takes its time."""

import io
import time

from medseg.progress import Bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def at(monkeypatch, seconds):
    monkeypatch.setattr(time, "monotonic", lambda: seconds)


def test_slow_work_shows(monkeypatch):
    stream = Terminal()
    at(monkeypatch, 100.0)
    bar = Bar("tiles", stream)
    at(monkeypatch, 100.5)
    bar(1, 4)
    assert stream.getvalue() == ""
    at(monkeypatch, 102.0)
    bar(2, 4)
    assert stream.getvalue() == "\rtiles [############............] 2/4, 2 s left"
    bar.close()
    assert stream.getvalue().endswith("\r" + " " * len("tiles [############............] 2/4, 2 s left") + "\r")


def test_a_file_gets_nothing(monkeypatch):
    stream = io.StringIO()
    at(monkeypatch, 0.0)
    bar = Bar("tiles", stream)
    at(monkeypatch, 60.0)
    bar(1, 2)
    bar.close()
    assert stream.getvalue() == ""
