"""A review of signed artifacts, and artifacts that were exchanged behind its back."""

import dataclasses
import json
import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from review_phantoms import build_artifact, write_scans

from edge.manifest import load_manifest
from edge.trust.signature import sign
from imaging.labels import Label
from medseg import record
from medseg.errors import InputError
from review.cli import main
from review.errors import UnavailableError
from review.improvement.improver import Improver
from review.service import open_service
from review.store import artifacts


@pytest.fixture
def keys(tmp_path):
    """PEM files of a private and a public key."""
    key = Ed25519PrivateKey.generate()
    secret, public = tmp_path / "own.key", tmp_path / "own.pem"
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return secret, public


@pytest.fixture
def place(tmp_path, artifact):
    """A folder of scans and an artifact of its own."""
    write_scans(tmp_path / "scans")
    shutil.copytree(artifact, tmp_path / "artifact")
    return tmp_path


def swap_classes(folder):
    """The same network, but what it calls core is written as rim."""
    manifest = load_manifest(folder)
    background, core, rim = manifest.labels
    labels = (background, Label(core.name, rim.value), Label(rim.name, core.value))
    record.save(folder / "manifest.json", dataclasses.replace(manifest, labels=labels))


def test_only_what_was_signed_is_reviewed(place, keys):
    with pytest.raises(InputError, match="is not signed"):
        open_service(place / "scans", [place / "artifact"], trust=keys[1])
    sign(place / "artifact", keys[0])
    open_service(place / "scans", [place / "artifact"], trust=keys[1]).close()
    # The registered artifact, by a server that is started without --artifact.
    (place / "artifact" / "signature.json").unlink()
    with pytest.raises(InputError, match="is not signed"):
        open_service(place / "scans", [], trust=keys[1])
    open_service(place / "scans", []).close()


def test_trust_of_the_command_line(place, keys, capsys):
    words = ["review", str(place / "scans"), "--artifact", str(place / "artifact"), "--trust", str(keys[1])]
    assert main([*words, "--port", "0", "--no-browser"]) == 1
    assert "is not signed, it holds no signature.json" in capsys.readouterr().err


def test_an_artifact_exchanged_behind_the_registry(place):
    open_service(place / "scans", [place / "artifact"]).close()
    original = (place / "artifact" / "manifest.json").read_bytes()
    swap_classes(place / "artifact")
    with pytest.raises(InputError, match=r"manifest\.json: altered since its checksum was taken"):
        open_service(place / "scans", [])
    (place / "artifact" / "manifest.json").write_bytes(original)
    service = open_service(place / "scans", [])
    try:
        # A whole artifact in the place of the registered one.
        whole_artifact = build_artifact(place / "other", "graded2")
        shutil.rmtree(place / "artifact")
        shutil.copytree(whole_artifact, place / "artifact")
        service._segmenters.clear()
        with pytest.raises(UnavailableError, match=r"graded v1 cannot be opened: .* altered since"):
            service.segmenter()
    finally:
        service.close()


def test_an_artifact_that_was_altered_is_another_version_when_it_is_given_again(place):
    open_service(place / "scans", [place / "artifact"]).close()
    manifest = json.loads((place / "artifact" / "manifest.json").read_text())
    (place / "artifact" / "manifest.json").write_text(json.dumps(manifest | {"overlap": 0.25}))
    service = open_service(place / "scans", [place / "artifact"])
    assert [(row.version, row.state) for row in artifacts.artifacts(service.database)] == [(1, "old"), (2, "active")]
    assert service.segmenter()[1].manifest.overlap == 0.25
    service.close()
    service = open_service(place / "scans", [place / "artifact"])
    assert len(artifacts.artifacts(service.database)) == 2
    service.close()


def test_reviews_of_before_take_the_checksum_once(place):
    service = open_service(place / "scans", [place / "artifact"])
    with service.database.change() as connection:
        connection.execute("DELETE FROM facts WHERE name LIKE 'manifest of artifact%'")
    service.close()
    open_service(place / "scans", [place / "artifact"]).close()
    swap_classes(place / "artifact")
    with pytest.raises(InputError, match=r"manifest\.json: altered"):
        open_service(place / "scans", [])


def test_what_was_trained_here_is_compared_without_a_signature_but_used_with_one_alone(place, keys):
    sign(place / "artifact", keys[0])
    service = open_service(place / "scans", [place / "artifact"], trust=keys[1])
    try:
        trained = build_artifact(place / "trained", "graded2")
        facts = {"state": artifacts.WAITING, "run": str(place), "comparison": {"not_worse": True, "text": ""}}
        version = artifacts.register(service.database, trained, load_manifest(trained), **facts)
        assert service.segmenter(version, judging=True)[0] == version
        with pytest.raises(UnavailableError, match="is not signed"):
            service.segmenter(version)
        improver = Improver(service)
        with pytest.raises(UnavailableError, match="is not signed"):
            improver.promote(version, "Anna")
        assert artifacts.active(service.database).version == 1
        sign(trained, keys[0])
        improver.promote(version, "Anna")
        assert artifacts.active(service.database).version == version
    finally:
        service.close()
