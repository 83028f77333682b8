"""The configuration: all its mistakes at once, a line each; nothing starts with one."""

import re
import tomllib
from pathlib import Path

import pytest
from node_parts import config_text, free_port, quick_artifact

from edge.cli import main
from edge.node.config import Retry, read_config
from edge.node.routing import Facts, fitting
from medseg.errors import InputError

ROOT = Path(__file__).parents[3]
GOOD = '[node]\nfolder = "state"\n[dicom]\nany_caller = true\n[[rule]]\nname = "a"\nartifact = "unet-hc18"\n'


def read(tmp_path, text):
    (tmp_path / "node.toml").write_text(text)
    return read_config(tmp_path / "node.toml")


def test_defaults_keep_to_this_machine(tmp_path):
    config = read(tmp_path, GOOD)
    assert (config.dicom.host, config.http.host) == ("127.0.0.1", "127.0.0.1")
    assert config.node.folder == tmp_path / "state"
    assert config.rule[0].write == ("seg", "sr")


def test_all_mistakes_at_once(tmp_path, capsys):
    text = """
[node]
folder = "state"
worker = 2
threads = "two"
[dicom]
title = "A NAME LONGER THAN SIXTEEN"
port = 70000
key = "key.pem"
[http]
host = "0.0.0.0"
[[destination]]
name = "archive"
kind = "ftp"
[[destination]]
name = "web"
kind = "stow"
url = "http://["
[[caller]]
title = "CT1"
addresses = ["10.0.0.256"]
[[rule]]
name = "a"
artifact = "x"
write = ["seg", "dose"]
destinations = ["archiv"]
"""
    path = tmp_path / "node.toml"
    path.write_text(text)
    assert main(["serve", str(path), "--check"]) == 1
    said = capsys.readouterr().err
    for mistake in ("node.worker: no such key; is workers meant?", "node.threads: expected int, got 'two'"):
        assert mistake in said
    path.write_text(text.replace("worker = 2\n", "").replace('threads = "two"\n', ""))
    assert main(["serve", str(path), "--check"]) == 1
    said = capsys.readouterr().err
    for mistake in (
        "node.toml: 9 mistakes",
        "dicom.title: expected an AE title of 1 to 16 letters, got 'A NAME LONGER THAN SIXTEEN'",
        "dicom.port: expected 1 to 65535, got 70000",
        "dicom.certificate: is missing; TLS needs it beside dicom.key",
        "caller[1].addresses: expected addresses such as 10.0.0.5 or 10.0.0.0/24, got '10.0.0.256'",
        "http.token_file: is missing; beyond this machine ('0.0.0.0') requests need a token",
        "destination[1].kind: expected dicom or stow, got 'ftp'",
        "destination[2].url: expected a URL such as https://archive/dicom-web, got 'http://['",
        "rule[1].write: expected some of seg, sr, rtstruct, capture, got 'dose'",
        "rule[1].destinations: expected names of [[destination]]s (archive, web), got 'archiv'",
    ):
        assert mistake in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[node\n", "not readable as TOML"),
        ("[node]\nfolder = " + "[" * 5000, "not readable as TOML"),
        ("node = 3\n", "node: expected a table, got 3"),
        ("rule = 3\n[node]\nfolder = 'a'", r"rule: expected tables, each under \[\[rule\]\], got 3"),
        ("[dicom]\nport = 1\n", "node: is missing"),
        ("[node]\nfolder = 'a'\n[[rule]]\n", r"rule\[1\].name: is missing"),
        ("[node]\nfolder = 'a'\n", r"caller: nobody may send; add a \[\[caller\]\]"),
        (GOOD + '[[rule]]\nname = "a"\nartifact = "b"\n', "rule: two have the name 'a'"),
        ("[node]\nfolder = 'a'\nkeep_hours = nan\n", "node.keep_hours: expected a finite number, got nan"),
    ],
)
def test_one_mistake(tmp_path, text, match):
    with pytest.raises(InputError, match=match):
        read(tmp_path, text)


def test_no_such_file(tmp_path, capsys):
    assert main(["serve", str(tmp_path / "none.toml")]) == 1
    assert "none.toml: no such file, expected the TOML file of a node" in capsys.readouterr().err


def test_what_is_named_must_be_there(tmp_path, capsys):
    path = tmp_path / "node.toml"
    path.write_text(
        GOOD + '[[rule]]\nname = "b"\nartifact = "nowhere"\n[http]\ntoken_file = "token"\n'
        '[[destination]]\nname = "web"\nkind = "stow"\nurl = "https://a/b"\ntoken_file = "web-token"\n'
    )
    assert main(["serve", str(path), "--check"]) == 1
    said = capsys.readouterr().err
    assert "3 of what the configuration names cannot be used" in said
    assert "rule[2]: nowhere" in said
    assert said.count("is missing or cannot be read") == 2


def test_check_of_a_good_one(tmp_path, capsys):
    path = tmp_path / "node.toml"
    path.write_text(config_text(tmp_path / "state", quick_artifact(tmp_path), (free_port(), free_port())))
    assert main(["serve", str(path), "--check"]) == 0
    assert "no mistakes; rules: 1, destinations: 1" in capsys.readouterr().out
    assert not (tmp_path / "state").exists()


def test_the_example_of_deploy_names_every_key():
    import dataclasses
    import typing

    from edge.node.config import Config

    text = (ROOT / "deploy" / "node.toml").read_text(encoding="utf-8")
    plain = "\n".join(line.removeprefix("#:") for line in text.splitlines())
    data = tomllib.loads(plain)
    for table, hint in typing.get_type_hints(Config).items():
        kind = typing.get_args(hint)[0] if typing.get_args(hint) else hint
        entries = data[table] if isinstance(data[table], list) else [data[table]]
        keys = {key for entry in entries for key in entry}
        assert keys == {each.name for each in dataclasses.fields(kind)}, table


@pytest.mark.parametrize("name", ["node.toml", "compose/node.toml"])
def test_the_examples_of_deploy_are_right(name):
    config = read_config(ROOT / "deploy" / name)
    assert fitting(config.rule, Facts("MR", description="Sag T1 MPRAGE"))


def test_the_example_of_the_documentation_is_right(tmp_path):
    page = (ROOT / "docs" / "how-to" / "node.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert read(tmp_path, text).dicom.host == "0.0.0.0"


def test_the_container_holds_every_package():
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    packages = re.findall(r"^    (\w+)\*$", (ROOT / "setup.cfg").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(packages) >= 6
    assert not [name for name in packages if f"COPY {name} " not in text]


def test_waits_double_up_to_the_longest():
    retry = Retry(first_seconds=2, longest_seconds=10)
    assert [retry.wait(n) for n in (1, 2, 3, 4, 400)] == [2, 4, 8, 10, 10]
