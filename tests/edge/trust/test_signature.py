"""Signed artifacts: what was signed opens, and one bit elsewhere does not."""

import base64
import hashlib
import json
import shutil
import subprocess

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

import edge
from edge.cli import main
from edge.manifest import read_model
from edge.trust.signature import SIGNATURE, check_files, check_signature, fingerprint, read_public_keys, sign
from imaging import InputError


def write_keys(folder, name, private=None):
    """A pair of keys as PEM files; their paths."""
    private = private or ed25519.Ed25519PrivateKey.generate()
    secret, public = folder / f"{name}.key", folder / f"{name}.pem"
    secret.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return secret, public


@pytest.fixture
def keys(tmp_path):
    return write_keys(tmp_path, "own")


@pytest.fixture
def artifact(artifacts, tmp_path, keys):
    folder = shutil.copytree(artifacts["folded-int8"], tmp_path / "artifact")
    (folder / "CARD.md").write_text("A card.\n")
    sign(folder, keys[0])
    return folder


def test_what_was_signed_opens(artifact, keys, tmp_path):
    assert edge.load(artifact, trust=keys[1]).manifest == edge.load(artifact).manifest
    folder = tmp_path / "trusted"
    folder.mkdir()
    write_keys(tmp_path, "other")[1].rename(folder / "other.pem")
    shutil.copy(keys[1], folder / "own.pub")
    (folder / "README").write_text("not a key")
    assert check_signature(artifact, folder) == check_signature(artifact, keys[1])


def test_one_bit_of_any_file_is_refused(artifact, keys):
    names = sorted(path.name for path in artifact.iterdir())
    assert len(names) == 4
    for name in names:
        whole = (artifact / name).read_bytes()
        for position in range(0, len(whole), max(1, len(whole) // 40)):
            altered = bytearray(whole)
            altered[position] ^= 1
            (artifact / name).write_bytes(altered)
            with pytest.raises(InputError) as raised:
                edge.load(artifact, trust=keys[1])
            assert "\n" not in str(raised.value)
            if name != SIGNATURE:
                assert f"{name}: altered since it was signed" in str(raised.value)
        (artifact / name).write_bytes(whole)
    edge.load(artifact, trust=keys[1])


def test_files_more_or_less_and_links(artifact, keys, tmp_path):
    (artifact / "more.txt").write_text("more")
    with pytest.raises(InputError, match=r"more\.txt: was not there when the artifact was signed"):
        check_signature(artifact, keys[1])
    (artifact / "more.txt").unlink()
    (artifact / "CARD.md").rename(tmp_path / "CARD.md")
    with pytest.raises(InputError, match=r"CARD\.md: is missing, though it was signed"):
        check_signature(artifact, keys[1])
    (artifact / "CARD.md").symlink_to(tmp_path / "CARD.md")
    with pytest.raises(InputError, match=r"CARD\.md: is a link"):
        check_signature(artifact, keys[1])
    (artifact / "CARD.md").unlink()
    (artifact / "CARD.md").mkdir()
    with pytest.raises(InputError, match=r"CARD\.md: is no file"):
        check_signature(artifact, keys[1])


def test_no_signature_and_one_of_another_key(artifact, keys, tmp_path):
    second_key = write_keys(tmp_path, "other")
    with pytest.raises(InputError, match=r"is signed by key '\w{16}', trusted are \w{16} of .*other\.pem"):
        check_signature(artifact, second_key[1])
    sign(artifact, second_key[0])
    with pytest.raises(InputError, match="is signed by key"):
        check_signature(artifact, keys[1])
    # The other's signature under the own key's name.
    data = json.loads((artifact / SIGNATURE).read_text())
    data["key"] = next(iter(read_public_keys(keys[1])))
    (artifact / SIGNATURE).write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"signature\.json: altered since it was signed"):
        check_signature(artifact, keys[1])
    (artifact / SIGNATURE).unlink()
    with pytest.raises(InputError, match=r"is not signed, it holds no signature\.json; sign it: zoo export --sign KEY"):
        check_signature(artifact, keys[1])
    edge.load(artifact)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"algorithm": "none"},
        {"files": []},
        {"files": {"manifest.json": 5}},
        {"key": None},
        {"signature": "?"},
        {"signature": base64.b64encode(bytes(64)).decode()},
        {"more": 1},
    ],
)
def test_signature_files_that_are_none(artifact, keys, change):
    data = json.loads((artifact / SIGNATURE).read_text()) | change
    (artifact / SIGNATURE).write_text(json.dumps(data))
    with pytest.raises(InputError, match=rf"{SIGNATURE}: (is no signature|key, signature and|altered since)"):
        check_signature(artifact, keys[1])


def test_keys_that_are_none(artifact, keys, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "noise.pem").write_bytes(bytes(100))
    curve = write_keys(tmp_path, "curve", ec.generate_private_key(ec.SECP256R1()))
    for path, message in (
        (keys[0], "is a private key, expected the public one"),
        (tmp_path / "missing.pem", "no such file, expected a key"),
        (tmp_path / "noise.pem", "holds no public key in PEM"),
        (curve[1], "is a key of another kind, expected Ed25519"),
        (empty, "holds no key"),
        ("/dev/zero", "is a device"),
    ):
        with pytest.raises(InputError, match=message):
            check_signature(artifact, path)
    for path, message in ((keys[1], "holds no private key"), (curve[0], "of another kind"), (empty, "is a folder")):
        with pytest.raises(InputError, match=message):
            sign(artifact, path)


def test_keys_of_openssl(artifact, tmp_path):
    secret, public = tmp_path / "openssl.key", tmp_path / "openssl.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", secret], check=True)
    subprocess.run(["openssl", "pkey", "-in", secret, "-pubout", "-out", public], check=True)
    assert sign(artifact, secret) == check_signature(artifact, public)
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", public, "-outform", "DER"], check=True, capture_output=True
    )
    (key,) = read_public_keys(public).values()
    assert key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == der.stdout
    assert len(fingerprint(key)) == 64


def test_the_signature_is_that_of_openssl(artifact, keys, tmp_path):
    """The format as it is documented, by hand: a line, then the sorted checksums."""
    data = json.loads((artifact / SIGNATURE).read_text())
    message = (
        b"medseg-zoo artifact, schema 1\n" + json.dumps(data["files"], sort_keys=True, separators=(",", ":")).encode()
    )
    (tmp_path / "message").write_bytes(message)
    (tmp_path / "signature").write_bytes(base64.b64decode(data["signature"]))
    words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", keys[1], "-rawin", "-in", tmp_path / "message"]
    subprocess.run([*words, "-sigfile", tmp_path / "signature"], check=True, capture_output=True)


def test_commands(artifact, keys, capsys):
    assert main(["verify", str(artifact), "--trust", str(keys[1]), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["signed_by"] == check_signature(artifact, keys[1])
    assert report["output"] == [8, 16, 12, 3]
    assert main(["verify", str(artifact)]) == 0
    assert "not checked without --trust KEYS" in capsys.readouterr().out
    (artifact / "CARD.md").write_text("Another card.\n")
    for words in (["verify", str(artifact)], ["predict", str(artifact), "scan.nii", "-o", "out.nii"]):
        assert main([*words, "--trust", str(keys[1])]) == 1
        assert "CARD.md: altered since it was signed" in capsys.readouterr().err


@pytest.mark.parametrize("exchanged", ["manifest.json", "model"])
@pytest.mark.parametrize("name", ["folded-int8", "onnx-native-float"])
def test_files_exchanged_while_the_artifact_is_opened(artifacts, tmp_path, keys, monkeypatch, name, exchanged):
    """Who can write to the folder puts other files there once the signature was found right."""
    from edge.trust import opening

    folder = shutil.copytree(artifacts[name], tmp_path / "signed")
    manifest = json.loads((folder / "manifest.json").read_text())
    model = manifest["model"]
    sign(folder, keys[0])

    def checked(*arguments):
        signed = check_files(*arguments)
        if exchanged == "manifest.json":
            manifest["labels"][1]["value"], manifest["labels"][2]["value"] = 300, 7
            (folder / "manifest.json").write_text(json.dumps(manifest))
        else:
            (folder / model).write_bytes((folder / model).read_bytes() + b"\0")
        return signed

    monkeypatch.setattr(opening, "check_files", checked)
    file = exchanged if exchanged != "model" else model
    with pytest.raises(InputError, match=f"{file}: altered since its checksum was taken, or while it was opened"):
        edge.load(folder, trust=keys[1])


@pytest.mark.parametrize("name", ["folded-int8", "onnx-native-float"])
def test_the_network_is_the_one_that_was_checked(artifacts, tmp_path, keys, monkeypatch, name):
    """The file is exchanged after its content was read: the runtime opens that content, not the name."""
    from edge.trust import opening

    folder = shutil.copytree(artifacts[name], tmp_path / "signed")
    sign(folder, keys[0])
    patch = np.random.default_rng(0).random((8, 16, 12, 1), np.float32)
    expected = edge.load(folder).runner.run(patch)

    def read(*arguments):
        content = read_model(*arguments)
        (folder / json.loads((folder / "manifest.json").read_text())["model"]).write_bytes(b"another network")
        return content

    monkeypatch.setattr(opening, "read_model", read)
    np.testing.assert_array_equal(edge.load(folder, trust=keys[1]).runner.run(patch), expected)


def test_a_known_checksum_of_the_manifest(artifacts, artifact, keys):
    checksum = hashlib.sha256((artifact / "manifest.json").read_bytes()).hexdigest()
    assert edge.load(artifact, checksum=checksum).manifest == edge.load(artifact).manifest
    edge.load(artifact, trust=keys[1], checksum=checksum)
    with pytest.raises(InputError, match=r"manifest\.json: altered since"):
        edge.load(artifact, checksum="0" * 64)
    with pytest.raises(InputError, match=r"manifest\.json: is signed, but another one is expected"):
        edge.load(artifact, trust=keys[1], checksum="0" * 64)
