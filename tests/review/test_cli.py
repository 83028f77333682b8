"""``zoo review``: wrong requests get one line, and the audit trail as CSV."""

import csv

import pytest
from review_phantoms import build_artifact, write_scans

from zoo.cli import main


@pytest.fixture
def folder(tmp_path):
    write_scans(tmp_path / "scans", ["case_a"])
    return tmp_path / "scans"


def _token(folder, text):
    path = folder.parent / "token"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (["--host", "0.0.0.0"], 2, "--token-file"),
        (["--port", "70000"], 2, "--port 70000"),
        (["--threads", "0"], 2, "--threads 0"),
        (["--sessions", "-1"], 2, "--sessions -1"),
        (["--uploads", "-1"], 2, "--uploads -1"),
        (["--session-hours", "0"], 2, "--session-hours 0"),
        (["--session-hours", "nan"], 2, "--session-hours nan"),
        (["--upload-space", "much"], 2, "--upload-space"),
        (["--tls-cert", "c.pem"], 2, "--tls-key"),
        (["--token-file", "no.txt"], 1, "no.txt: cannot be read"),
        ([], 2, "--artifact: missing"),
        (["--artifact", "nowhere"], 1, "nowhere: no such folder"),
    ],
)
def test_wrong_requests(folder, tmp_path, monkeypatch, capsys, words, status, reason):
    monkeypatch.chdir(tmp_path)
    assert main(["review", str(folder), "--no-browser", "--port", "0", *words]) == status
    printed = capsys.readouterr().err
    assert reason in printed
    assert printed.count("\n") == 1


def test_folders_that_are_none(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    artifact = build_artifact(tmp_path / "artifact")
    for folder, reason in ((tmp_path / "nothing", "no such folder"), (tmp_path / "empty", "holds no scan")):
        assert main(["review", str(folder), "--artifact", str(artifact), "--port", "0", "--no-browser"]) == 1
        assert reason in capsys.readouterr().err


def test_tokens(folder, capsys):
    for text in ("short", "with spaces in it, many", "ünicode-ünicode-ünicode"):
        words = ["--token-file", _token(folder, text), "--no-browser", "--port", "0"]
        assert main(["review", str(folder), *words]) == 1
        assert "expected a token" in capsys.readouterr().err


def test_audit_of_no_review_makes_nothing(folder, tmp_path):
    assert main(["review", str(folder), "--audit", str(tmp_path / "out.csv")]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scans"]


def test_audit(service, tmp_path, capsys):
    folder = service.workspace.scans
    assert main(["review", str(folder), "--audit", str(tmp_path / "out.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "out.csv").open(encoding="utf-8")))
    assert [row["case"] for row in rows if row["action"] == "add"] == ["case_a", "case_b", "case_c"]
    assert "rows" in capsys.readouterr().out
