"""From ``zoo export --sign`` to a device that runs only what was signed: one bit of any file stops it."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from export_runs import write_run

from edge.cli import main as edge_main
from zoo.cli import main as zoo_main


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """(artifact folder, public key, scan): a run exported and signed from the command line."""
    folder = tmp_path_factory.mktemp("signed")
    private = Ed25519PrivateKey.generate()
    key, public = folder / "own.key", folder / "own.pem"
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    run = write_run(folder / "balls")
    command = ["export", str(run), "--format", "tflite-int8", "--out", str(folder / "out"), "--sign", str(key)]
    assert zoo_main(command) == 0
    scan = folder / "balls" / "scans" / "validation_3.nii.gz"
    return folder / "out" / "tflite-int8", public, scan


def run_on_device(signed, out):
    """Status of ``verify`` and of ``predict``."""
    artifact, public, scan = map(str, signed)
    verified = edge_main(["verify", artifact, "--trust", public])
    return verified, edge_main(["predict", artifact, scan, "-o", str(out), "--trust", public])


def test_what_was_exported_is_verified_and_runs(signed, tmp_path, capsys):
    assert run_on_device(signed, tmp_path / "found.nii.gz") == (0, 0)
    assert "every file is as it was signed" in capsys.readouterr().out
    assert (tmp_path / "found.nii.gz").is_file()


def test_one_bit_of_any_file_stops_both(signed, tmp_path, capsys):
    files = sorted(signed[0].iterdir())
    assert {"manifest.json", "signature.json", "CARD.md", "report.html"} <= {file.name for file in files}
    for file in files:
        whole = file.read_bytes()
        altered = bytearray(whole)
        altered[len(whole) // 2] ^= 1
        file.write_bytes(altered)
        capsys.readouterr()
        assert run_on_device(signed, tmp_path / "found.nii.gz") == (1, 1), file.name
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 2
        assert all(file.name in line for line in lines)
        file.write_bytes(whole)
    assert not (tmp_path / "found.nii.gz").exists()
    assert run_on_device(signed, tmp_path / "found.nii.gz") == (0, 0)
