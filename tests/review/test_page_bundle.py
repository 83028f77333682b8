"""What is committed in review/static is what review/page builds."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE, STATIC = ROOT / "review" / "page", ROOT / "review" / "static"
FILES = ("index.html", "app.js", "app.css", "THIRD_PARTY_LICENCES.txt")


def _built(folder):
    """The page, built anew from a copy of its sources."""
    for name in ("node", "npm"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is missing: install Node 20 or newer to compare the page with its sources")
    copy = folder / "page"
    shutil.copytree(PAGE, copy, ignore=shutil.ignore_patterns("node_modules"))
    if (PAGE / "node_modules").is_dir():
        (copy / "node_modules").symlink_to(PAGE / "node_modules")
    else:
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"npm cannot fetch the page's packages: {done.stderr.strip().splitlines()[-1:]}")
    subprocess.run(["node", "build.mjs", str(folder / "built")], cwd=copy, check=True)
    return folder / "built"


def test_bundle_is_what_the_sources_build(tmp_path):
    built = _built(tmp_path)
    assert sorted(path.name for path in STATIC.iterdir()) == sorted(FILES)
    for name in FILES:
        assert (built / name).read_bytes() == (STATIC / name).read_bytes(), f"{name}: run make page and commit it"


def test_script_is_packed_on_the_way(client):
    script = (STATIC / "app.js").read_bytes()
    packed = client.get("/static/app.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(script) / 2
    assert packed.content == script
    plain = client.get("/static/app.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == script
    for tag in (packed.headers["etag"], plain.headers["etag"]):
        assert client.get("/static/app.js", headers={"If-None-Match": tag}).status_code == 304
    part = client.get("/static/app.js", headers={"Accept-Encoding": "gzip", "Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, script[:10])
    assert client.get("/static/none.js").status_code == 404


def test_bundle_asks_nobody_else():
    """No script, style, font or picture of another host."""
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert "//" not in page.replace("<!doctype html>", "")
    assert "url(" not in (STATIC / "app.css").read_text(encoding="utf-8")


def test_licences_name_what_is_bundled():
    text = (STATIC / "THIRD_PARTY_LICENCES.txt").read_text(encoding="utf-8")
    for package in ("@niivue/niivue", "gl-matrix", "nifti-reader-js", "fflate"):
        assert f"\n{package} " in text
    assert "BSD-2-Clause" in text
