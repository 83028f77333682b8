"""Signed artifacts: a hospital runs only what it signed. Ed25519 (RFC 8032) over the checksums of every file.

``signature.json`` beside the manifest holds the name and SHA-256 of every other file of the folder, and a signature of
that list. Keys are PEM files as OpenSSL writes them: PKCS #8 for the private key, SubjectPublicKeyInfo for the public.
"""

import base64
import binascii
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from edge.manifest import sha256
from imaging.prior import FOLDER
from medseg.atomic import write_bytes
from medseg.errors import InputError
from medseg.untrusted import read_json, read_limited, shown

SIGNATURE = "signature.json"
_SCHEMA = 1
_ALGORITHM = "Ed25519"
_FIELDS = {"schema", "algorithm", "key", "files", "signature"}
# Before the list of checksums, so that a signature of something else can never pass for one of an artifact.
_CONTEXT = b"medseg-zoo artifact, schema 1\n"
_MAX_KEY_BYTES = 64 * 1024
_MAX_FILES = 1000


@dataclass(frozen=True)
class Signed:
    """What a signature says.

    Attributes:
        key: fingerprint of the key that signed.
        files: name to SHA-256 of every file, hexadecimal.
    """

    key: str
    files: dict[str, str]


def sign(folder, key) -> str:
    """Sign an artifact folder: write its ``signature.json``, which covers every file that is there now.

    Args:
        folder: the artifact folder.
        key: PEM file of the private Ed25519 key, without a password.

    Returns:
        The key's fingerprint.

    Raises:
        InputError: if the key cannot be read or the folder holds anything but files, of a cascade also the folder of
            its first network.
    """
    private = read_private_key(key)
    files = _checksums(Path(folder))
    key_fingerprint = fingerprint(private.public_key())
    data = {
        "schema": _SCHEMA,
        "algorithm": _ALGORITHM,
        "key": key_fingerprint,
        "files": files,
        "signature": base64.b64encode(private.sign(_message(files))).decode("ascii"),
    }
    write_bytes(Path(folder) / SIGNATURE, (json.dumps(data, indent=1) + "\n").encode("ascii"))
    return key_fingerprint


def check_signature(folder, keys) -> str:
    """Require an artifact folder to be signed by one of the trusted keys, and every file in it to be as it was.

    Args:
        folder: the artifact folder.
        keys: PEM file of a public key, or a folder of them (``.pem``, ``.pub``).

    Returns:
        The fingerprint of the key that signed it.

    Raises:
        InputError: if the signature is missing, made up or by another key, or a file is altered, missing or more than
            was signed.
    """
    return check_files(folder, keys).key


def check_files(folder, keys) -> Signed:
    """As ``check_signature``, with the checksums that were signed: what is opened afterwards is held to them."""
    folder = Path(folder)
    trusted = read_public_keys(keys)
    path = folder / SIGNATURE
    if not path.exists():
        raise InputError(f"{folder}: is not signed, it holds no {SIGNATURE}; sign it: zoo export --sign KEY")
    data = read_json(path, "signature")
    _check_fields(path, data)
    public = trusted.get(data["key"])
    if public is None:
        raise InputError(
            f"{path}: is signed by key {shown(data['key'][:16])}, trusted are {', '.join(key[:16] for key in trusted)} "
            f"of {keys}; get the artifact from who holds one of these, or trust that key"
        )
    _check_signed(path, public, data)
    present = _checksums(folder)
    for name in sorted(present.keys() | data["files"].keys()):
        if name not in data["files"]:
            raise InputError(f"{folder / name}: was not there when the artifact was signed; remove it")
        if name not in present:
            raise InputError(f"{folder / name}: is missing, though it was signed; copy the artifact again")
        if present[name] != data["files"][name]:
            raise InputError(f"{folder / name}: altered since it was signed; copy the artifact again")
    return Signed(data["key"], data["files"])


def read_private_key(path):
    """The private Ed25519 key in a PEM file.

    Raises:
        InputError: if there is none.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_pem(path), password=None)
    except TypeError:
        raise InputError(f"{path}: the key has a password; give a file without (openssl pkey -in KEY)") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key(path, "private", error) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path}: is a key of another kind, expected Ed25519: openssl genpkey -algorithm ed25519")
    return key


def read_public_keys(path) -> dict:
    """Public Ed25519 keys by their fingerprints.

    Args:
        path: a PEM file, or a folder of them.

    Raises:
        InputError: if a file is no such key, or the folder holds none.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in (".pem", ".pub") and file.name[0] != ".")
    else:
        files = [path]
    if not files:
        raise InputError(f"{path}: holds no key; expected public keys as .pem or .pub files")
    keys = [_read_public_key(file) for file in files]
    return {fingerprint(key): key for key in keys}


def fingerprint(public) -> str:
    """What a public key is called: the SHA-256 of its SubjectPublicKeyInfo in DER, hexadecimal."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _read_public_key(path):
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    content = _pem(path)
    if b"PRIVATE KEY" in content:
        raise InputError(
            f"{path}: is a private key, expected the public one, as the private one stays with who signs: "
            "openssl pkey -in KEY -pubout"
        )
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key(path, "public", error) from None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{path}: is a key of another kind, expected Ed25519")
    return key


def _pem(path) -> bytes:
    try:
        return read_limited(path, _MAX_KEY_BYTES, "a key")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, expected a key in PEM") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _no_key(path, kind, error):
    reason = (str(error).strip().splitlines() or ["no reason given"])[0][:100]
    return InputError(f"{path}: holds no {kind} key in PEM ({reason})")


def _check_fields(path, data) -> None:
    known = isinstance(data, dict) and set(data) == _FIELDS
    if not known or (data["schema"], data["algorithm"]) != (_SCHEMA, _ALGORITHM):
        raise InputError(f"{path}: is no signature of schema {_SCHEMA} by {_ALGORITHM}; sign the artifact again")
    files = data["files"]
    words = [data["key"], data["signature"], *(files.values() if isinstance(files, dict) else [None])]
    if not all(isinstance(word, str) for word in words):
        raise InputError(f"{path}: key, signature and checksums are expected as text; sign the artifact again")


def _check_signed(path, public, data) -> None:
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(base64.b64decode(data["signature"], validate=True), _message(data["files"]))
    except (InvalidSignature, binascii.Error):
        raise InputError(f"{path}: altered since it was signed; copy the artifact again") from None


def _message(files) -> bytes:
    return _CONTEXT + json.dumps(files, sort_keys=True, separators=(",", ":")).encode("ascii")


def _checksums(folder) -> dict[str, str]:
    """SHA-256 of every file of the folder but the signature; links and folders are none of an artifact's.

    But for the folder of a cascade's first network, whose files are named with it: "first/manifest.json".
    """
    first = folder / FOLDER
    inner = {} if first.is_symlink() or not first.is_dir() else _checksums_of_files(first)
    return _checksums_of_files(folder, {FOLDER} if inner else ()) | {
        f"{FOLDER}/{name}": checksum for name, checksum in inner.items()
    }


def _checksums_of_files(folder, but=()) -> dict[str, str]:
    try:
        names = sorted(set(os.listdir(folder)) - set(but))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); expected an artifact folder") from None
    if len(names) > _MAX_FILES:
        raise InputError(f"{folder}: holds {len(names)} files, expected an artifact folder")
    checksums = {}
    for name in names:
        path = folder / name
        if path.is_symlink() or not path.is_file():
            kind = "a link" if path.is_symlink() else "no file"
            raise InputError(f"{path}: is {kind}, which a signature cannot cover")
        if name != SIGNATURE:
            checksums[name] = sha256(path)
    if not checksums:
        raise InputError(f"{folder}: holds no files; expected an artifact folder")
    return checksums
