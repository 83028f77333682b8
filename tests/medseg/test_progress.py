"""The bar: on terminals only, and only where the work takes its time; a file gets a line a minute."""

import io
import re
import time

from medseg.progress import Bar, LineAMinute, in_turn, track


class Terminal(io.StringIO):
    def isatty(self):
        return True


def at(monkeypatch, seconds):
    monkeypatch.setattr(time, "monotonic", lambda: seconds)


def test_slow_work_shows():
    stream = Terminal()
    bar = Bar("tiles", stream, patience=0)
    time.sleep(0.15)  # tqdm draws ten times a second at most
    bar(2, 4)
    assert re.search(r"\rtiles:  50%\|.*\| 2/4 \[", stream.getvalue())
    bar.close()
    assert stream.getvalue().split("\r")[-2].strip() == "", "the line is left empty"


def test_quick_work_shows_nothing():
    stream = Terminal()
    bar = Bar("tiles", stream)
    for done in range(4):
        bar(done + 1, 4)
    bar.close()
    assert stream.getvalue().strip() == ""


def test_a_file_gets_nothing(monkeypatch):
    stream = io.StringIO()
    at(monkeypatch, 0.0)
    bar = Bar("tiles", stream)
    at(monkeypatch, 60.0)
    bar(1, 2)
    bar.close()
    assert stream.getvalue() == ""


def test_a_file_gets_a_line_a_minute(monkeypatch):
    stream = io.StringIO()
    at(monkeypatch, 0.0)
    bar = Bar("tiles", stream)
    for second in range(0, 200, 10):
        at(monkeypatch, float(second))
        bar(1 + second, 400)
    bar.close()
    assert stream.getvalue() == "tiles: 71 of 400, 324 s left\ntiles: 141 of 400, 257 s left\n"


def test_a_line_a_minute(monkeypatch):
    stream = io.StringIO()
    at(monkeypatch, 5.0)
    say = LineAMinute(stream)
    for second in (5, 64, 66, 100, 127, 300):
        at(monkeypatch, float(second))
        say(f"second {second}")
    assert stream.getvalue().split("\n") == ["second 66", "second 127", "second 300", ""]


def test_tracked_items_are_all_given(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("medseg.progress.PATIENCE_S", 0)
    seen = []
    for item in track(iter("abc"), "letters", 3):
        seen.append(item)
        time.sleep(0.15)
    assert seen == ["a", "b", "c"]
    assert "letters:  33%" in terminal.getvalue()
    assert "1/3" in terminal.getvalue()
    shown = terminal.getvalue()
    assert list(track([1, 2], "numbers", show=False)) == [1, 2]
    assert terminal.getvalue() == shown


def test_parts_of_a_work_are_told_as_one():
    calls = []
    for number, part in enumerate(in_turn(lambda *now: calls.append(now), 3)):
        for done in range(number + 1):
            part(done + 1, number + 1)
    assert calls == [(1, 3), (2, 5), (3, 5), (4, 6), (5, 6), (6, 6)]
    assert list(in_turn(None, 2)) == [None, None]
