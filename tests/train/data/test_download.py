import hashlib
import io
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from dataset_folders import write_msd

from medseg.errors import InputError, UsageError
from train.cli import main
from train.data import transfer
from train.data.dataset import open_dataset
from train.data.download import fetch
from train.data.public_sets import PUBLIC_SETS, PublicSet
from train.data.unpack import unpack


class Server(ThreadingHTTPServer):
    """Serves ``content`` under any path, by Range too; breaks off after ``cuts[n]`` bytes of the n-th answer."""

    daemon_threads = True

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.etag = '"one"'
        self.ranges = True
        self.cuts = []
        self.asked = []
        self.status = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/set.tar"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, content = self.server, self.server.content
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if server.status:
            self.send_error(server.status)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", asked).group(1)) if asked else 0
        unchanged = self.headers.get("If-Range") in (None, server.etag)
        if asked and server.ranges and unchanged:
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            start = 0
            self.send_response(200)
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else None
        self.wfile.write(content[start:] if cut is None else content[start : start + cut])
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A small dataset as the bytes of a tar archive, with the files that macOS adds."""
    folder = write_msd(tmp_path_factory.mktemp("source") / "Task99_Balls", cases=3)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.add(folder, "Task99_Balls")
        member = tarfile.TarInfo("Task99_Balls/imagesTr/._case_001.nii.gz")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"mac"))
    return content.getvalue()


@pytest.fixture
def server(archive, monkeypatch):
    monkeypatch.setitem(PUBLIC_SETS, "balls", PublicSet("", hashlib.md5(archive).hexdigest(), "balls", cases=3))
    served = Server(archive)
    monkeypatch.setitem(PUBLIC_SETS, "balls", PublicSet(served.url, hashlib.md5(archive).hexdigest(), "balls", cases=3))
    original = transfer.download
    monkeypatch.setattr("train.data.download.download", lambda *args: original(*args, pause=0.001))
    thread = threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server_close()


def test_fetch(server, tmp_path):
    said = []
    folder = fetch("balls", tmp_path / "balls", say=said.append)
    assert [case.name for case in open_dataset(folder).cases] == ["case_001", "case_002", "case_003"]
    assert not (folder / "imagesTr" / "._case_001.nii.gz").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["balls"]
    assert said == [f"{server.url}: md5 as published", f"{folder}: all 3 listed cases are there"]
    assert server.asked == [None]
    assert fetch("balls", folder, say=said.append) == folder
    assert "nothing is downloaded" in said[-1]
    assert len(server.asked) == 1


def test_a_connection_that_breaks_is_continued(server, tmp_path):
    server.cuts = [1000, 2000]
    fetch("balls", tmp_path / "balls", say=str)
    assert server.asked == [None, "bytes=1000-", "bytes=3000-"]


def test_a_call_continues_what_an_earlier_one_left(server, archive, tmp_path):
    server.cuts = [5000, 0, 0, 0, 0]
    with pytest.raises(
        InputError, match=r"the connection ended after 5000 of \d+ bytes; 5000 bytes are kept, the same"
    ):
        fetch("balls", tmp_path / "balls", say=str)
    assert not (tmp_path / "balls").exists()
    assert (tmp_path / "balls.download" / "archive.tar.part").read_bytes() == archive[:5000]
    server.asked.clear()
    assert len(open_dataset(fetch("balls", tmp_path / "balls", say=str)).cases) == 3
    assert server.asked == ["bytes=5000-"]


def test_a_part_that_was_complete_already(server, archive, tmp_path):
    transfer.download(server.url, tmp_path / "a", pause=0.001)
    (tmp_path / "a").rename(tmp_path / "a.part")
    (tmp_path / "a.json").write_text(f'{{"url": "{server.url}", "validator": null, "total": null}}')
    assert transfer.download(server.url, tmp_path / "a").read_bytes() == archive
    assert server.asked[1:] == [f"bytes={len(archive)}-"]


def test_a_file_that_changed_on_the_server_is_fetched_anew(server, archive, tmp_path):
    server.cuts = [700, 0, 0, 0, 0]
    with pytest.raises(InputError):
        transfer.download(server.url, tmp_path / "a", pause=0.001)
    server.etag = '"two"'
    server.content = archive[::-1]
    assert transfer.download(server.url, tmp_path / "a", pause=0.001).read_bytes() == archive[::-1]


def test_a_server_without_ranges_or_tags_starts_over(server, archive, tmp_path):
    server.ranges, server.etag, server.cuts = False, None, [700]
    assert transfer.download(server.url, tmp_path / "a", pause=0.001).read_bytes() == archive


def test_a_file_of_another_size_is_not_appended_to(server, archive, tmp_path):
    server.etag, server.cuts = None, [700]
    (tmp_path / "a.part").write_bytes(b"x" * 100)
    (tmp_path / "a.json").write_text(f'{{"url": "{server.url}", "validator": null, "total": 12}}')
    assert transfer.download(server.url, tmp_path / "a", pause=0.001).read_bytes() == archive


@pytest.mark.parametrize("note", ["", "[]", '{"url": "URL"}', '{"url": "URL", "validator"'])
def test_a_damaged_note_of_an_earlier_attempt_begins_anew(server, archive, tmp_path, note):
    (tmp_path / "a.part").write_bytes(b"x" * 100)
    (tmp_path / "a.json").write_text(note.replace("URL", server.url))
    assert transfer.download(server.url, tmp_path / "a", pause=0.001).read_bytes() == archive
    assert server.asked == [None]


@pytest.mark.parametrize(("status", "message"), [(404, "answers 404 .*; check the address"), (503, "answers 503")])
def test_a_server_that_refuses(server, tmp_path, status, message):
    server.status = status
    with pytest.raises(InputError, match=message):
        fetch("balls", tmp_path / "balls", say=str)
    assert len(server.asked) == (1 if status == 404 else transfer.ATTEMPTS)


def test_no_server(tmp_path):
    with pytest.raises(InputError, match="refused"):
        transfer.download("http://127.0.0.1:9/a", tmp_path / "a", pause=0.001)
    with pytest.raises(UsageError, match=r"http:// or https://"):
        transfer.download("file:///etc/hostname", tmp_path / "a")


def test_wrong_checksum_is_an_error_and_the_archive_is_not_kept(server, archive, tmp_path):
    server.content = archive[:6000] + b"x" + archive[6001:]
    with pytest.raises(InputError, match=r"md5 is [0-9a-f]{32}, expected [0-9a-f]{32}; the archive was deleted"):
        fetch("balls", tmp_path / "balls", say=str)
    assert not (tmp_path / "balls").exists()
    server.content = archive
    fetch("balls", tmp_path / "balls", say=str)


def test_checksum_by_the_user(server, archive, tmp_path):
    said = []
    fetch("balls", tmp_path / "a", sha256=hashlib.sha256(archive).hexdigest().upper(), say=said.append)
    assert said[0].endswith("sha256 as given")
    with pytest.raises(InputError, match="sha256 is"):
        fetch("balls", tmp_path / "b", sha256="0" * 64, say=str)


def test_another_archive_from_another_url_is_verified_by_what_it_holds(server, tmp_path, archive):
    said = []
    folder = fetch("hippocampus", tmp_path / "mine", url=server.url, say=said.append)
    assert len(open_dataset(folder).cases) == 3
    assert said[0].endswith("checksum unknown, so every scan in it is read")
    # a scan whose content changed: its gzip checksum no longer fits
    place = archive.index(b"\x1f\x8b") + 400
    server.content = archive[:place] + bytes([archive[place] ^ 1]) + archive[place + 1 :]
    with pytest.raises(InputError, match=r"case_\d+\.nii\.gz is damaged; fetch it again"):
        fetch("hippocampus", tmp_path / "other", url=server.url, say=str)
    assert not (tmp_path / "other").exists()


def test_an_archive_with_fewer_cases_than_it_should_have(server, monkeypatch, tmp_path, archive):
    monkeypatch.setitem(
        PUBLIC_SETS, "balls", PublicSet(server.url, hashlib.md5(archive).hexdigest(), "balls", cases=260)
    )
    with pytest.raises(InputError, match="3 labelled cases, 260 are expected"):
        fetch("balls", tmp_path / "balls", say=str)


def test_a_truncated_or_foreign_archive(tmp_path, archive):
    (tmp_path / "a.tar").write_bytes(archive[: len(archive) // 2])
    with pytest.raises(InputError, match=r"not a whole tar archive|holds no dataset\.json"):
        unpack(tmp_path / "a.tar", tmp_path / "out")
    (tmp_path / "a.tar").write_bytes(b"<html>no such file</html>" * 100)
    with pytest.raises(InputError, match="not a whole tar archive"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize("kind", ["parent", "absolute", "link", "hard link"])
def test_an_archive_that_reaches_elsewhere_is_refused_whole(tmp_path, kind):
    name = {"parent": "set/../../evil", "absolute": "/tmp/evil"}.get(kind, "set/evil")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        first = tarfile.TarInfo("set/dataset.json")
        first.size = 2
        tar.addfile(first, io.BytesIO(b"{}"))
        member = tarfile.TarInfo(name)
        if "link" in kind:
            member.type = tarfile.SYMTYPE if kind == "link" else tarfile.LNKTYPE
            member.linkname = "../../evil"
        tar.addfile(member)
    with pytest.raises(InputError, match=r"reaches outside the folder|is a link or device"):
        unpack(tmp_path / "a.tar", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_unknown_names_and_used_folders(server, tmp_path):
    with pytest.raises(UsageError, match=r"unknown dataset .hipocampus.\. Did you mean .hippocampus."):
        fetch("hipocampus", tmp_path / "x")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine.txt").write_text("")
    with pytest.raises(InputError, match="not empty and holds no dataset"):
        fetch("balls", tmp_path / "x")
    assert server.asked == []


def test_the_table_holds_whole_checksums():
    for public in PUBLIC_SETS.values():
        assert re.fullmatch(r"[0-9a-f]{32}", public.md5)
        assert public.url.startswith("https://")


def test_command(server, tmp_path, capsys):
    assert main(["data", "balls", "-o", str(tmp_path / "set")]) == 0
    assert "3 cases, labels background, back, front" in capsys.readouterr().out
    assert main(["data", "nothing", "-o", str(tmp_path / "no")]) == 2
    assert "unknown dataset 'nothing'" in capsys.readouterr().err


def test_a_folder_of_the_users_beside_the_dataset_is_left_alone(server, tmp_path):
    mine = tmp_path / "balls.download" / "unpacked" / "thesis.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(InputError, match=r"balls\.download: exists and holds no download of ours"):
        fetch("hippocampus", tmp_path / "balls", url=server.url)
    assert mine.read_text() == "mine"


def test_what_else_lies_beside_the_archive_stays(server, tmp_path):
    work = tmp_path / "balls.download"
    work.mkdir()
    (work / ".zoo-download").touch()
    (work / "thesis.txt").write_text("mine")
    fetch("hippocampus", tmp_path / "balls", url=server.url, say=lambda line: None)
    assert [path.name for path in work.iterdir()] == ["thesis.txt"]


def test_an_archive_that_is_a_bomb_is_refused_before_a_file_is_written(tmp_path):
    path = tmp_path / "bomb.tar"
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("set/imagesTr/a.nii")
        member.size = 70 * 2**20
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(InputError, match=r"unpack to 70\.00 MB, expected at most 20 times as much"):
        unpack(path, tmp_path / "set")
    assert not list((tmp_path / "set").iterdir())
