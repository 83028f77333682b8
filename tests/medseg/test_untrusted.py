"""Files, names and JSON from strangers: one line each, and nothing waits or grows."""

import json
import os
import socket

import pytest

from medseg import untrusted
from medseg.errors import InputError


def test_a_regular_file_is_read_through_links(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        with untrusted.open_regular(tmp_path / name) as file:
            assert file.read() == b"content"


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    for path, kind in (
        (tmp_path / "pipe", "a named pipe"),
        (tmp_path / "link", "a named pipe"),
        (tmp_path / "socket", "a socket"),
        (tmp_path, "a folder"),
        ("/dev/zero", "a device"),
    ):
        with pytest.raises(InputError, match=kind):
            untrusted.open_regular(path)
        with pytest.raises(InputError, match=kind):
            untrusted.check_regular(path)
    listener.close()


def test_a_missing_file_and_a_zero_byte(tmp_path):
    with pytest.raises(FileNotFoundError):
        untrusted.open_regular(tmp_path / "missing")
    with pytest.raises(InputError, match="zero byte"):
        untrusted.open_regular("a\0b")


def test_a_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert untrusted.read_limited(path, 5) == b"12345"
    with pytest.raises(InputError, match="expected at most"):
        untrusted.read_limited(path, 4)
    with pytest.raises(InputError, match="expected at most"):  # its size is 0 by what the system says
        untrusted.read_limited("/proc/self/maps", 10)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[" * 100_000, "nested too deep"),
        (b'{"a": ["\\ud800"]}', "surrogates not allowed"),
        (b'{"\\uDC00\\ud83d": 1}', "surrogates not allowed"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b"[" + b"[]," * untrusted.MAX_JSON_CONTAINERS + b"[]]", "lists and objects"),
        (b" " * (untrusted.MAX_JSON_BYTES + 1), "expected at most 16"),
        (b"1" * 10_000, "not readable as JSON"),
        (b"\xff\xfe", "not readable as JSON"),
        (b"{", "not readable as JSON"),
        (b"", "not readable as JSON"),
    ],
    ids=["lists", "half letter", "half letter as key", "objects", "many", "long", "digits", "UTF-8", "cut", "empty"],
)
def test_json_that_is_none_or_too_much(tmp_path, text, reason):
    path = tmp_path / "file.json"
    path.write_bytes(text)
    with pytest.raises(InputError, match=reason) as raised:
        untrusted.read_json(path, "plan")
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
    assert len(str(raised.value)) < 400


def test_json_as_json_reads_it(tmp_path):
    value = {"a": [1, 2.5, None, "ü"], "b": {}}
    (tmp_path / "file.json").write_text(json.dumps(value), encoding="utf-8")
    assert untrusted.read_json(tmp_path / "file.json", "plan") == value


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/etc/passwd", "a\\b", "a\0", "a\n", 5, None, ["a"]])
def test_names_that_leave_their_folder(tmp_path, name):
    with pytest.raises(InputError, match="no file name"):
        untrusted.inside(tmp_path, name, "manifest.json: model")


def test_links_out_of_a_folder(tmp_path):
    folder = tmp_path / "artifact"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "model").write_text("model")
    (folder / "same").symlink_to("model")
    (folder / "other").symlink_to("../secret")
    assert untrusted.inside(folder, "model") == folder / "model"
    assert untrusted.inside(folder, "same").read_text() == "model"
    with pytest.raises(InputError, match="link out of its folder"):
        untrusted.inside(folder, "other")


def test_messages_stay_short():
    for value in ("x" * 10**6, list(range(10**6)), {str(i): i for i in range(1000)}):
        assert len(untrusted.shown(value)) <= 60
    assert untrusted.shown("name") == "'name'"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "\uff20x"])
def test_text_that_a_spreadsheet_would_compute(text):
    assert untrusted.spreadsheet_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [-1, 0.5, None, "", "left-hand", "a=b", "'=1"])
def test_cells_that_compute_nothing(value):
    assert untrusted.spreadsheet_cell(value) is value


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost:8008", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]:80", "::1"),
        ("", ""),
        ("[", ""),
        ("[::1", ""),
        ("a]b", ""),
        ("Example.org", "example.org"),
    ],
)
def test_host_names(host, name):
    assert untrusted.host_name(host) == name


def test_origins():
    assert untrusted.is_same_host("https://viewer.example:80", "viewer.example:80")
    for origin in ("https://other.example", "null", "http://[", "https://viewer.example:81"):
        assert not untrusted.is_same_host(origin, "viewer.example:80")


def test_what_is_no_address_has_no_parts():
    assert not any(untrusted.split_address("http://[/x"))
    assert untrusted.split_address("https://a.example/x").path == "/x"


def test_letters_beyond_ascii_in_json():
    text = '{"a": "\\u00e4 \\ud83d\\ude00 \\\\ud800"}'
    assert untrusted.parse_json(text, "x") == {"a": "\u00e4 \U0001f600 \\ud800"}


@pytest.mark.parametrize("text", ["NaN", "[-Infinity]", '{"a": 1e999}'])
def test_numbers_that_are_not_finite(text):
    with pytest.raises(InputError, match="not readable as JSON"):
        untrusted.parse_json(text, "x", finite=True)
    untrusted.parse_json(text, "x")  # scores of cases without a structure are NaN
