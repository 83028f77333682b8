"""A software bill of materials: what an artifact, or this package, was made with, as CycloneDX 1.6 JSON."""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

NAME = "bom.json"
_PACKAGE = "medseg-zoo"
# What turns a trained network into a model file, or runs it.
MAKERS = (
    "ai-edge-litert", "ethos-u-vela", "keras", "ml_dtypes", "nibabel", "nncf", "numpy", "onnx", "onnxruntime",
    "opencv-python-headless", "openvino", "scipy", "tensorflow", "tf2onnx",
)  # fmt: skip


def artifact_bom(name: str, model: str, sha256: str, packages: Iterable[str] = MAKERS) -> str:
    """The bill of an artifact: its model file with its checksum, and the installed packages that made it.

    The same artifact made with the same versions has the same bill: it holds no time and no random number.

    Args:
        name: of the artifact.
        model: name of its model file.
        sha256: of that file, hexadecimal.
        packages: distributions; those that are not installed are left out.

    Returns:
        CycloneDX 1.6 as JSON text.
    """
    subject = {
        "type": "machine-learning-model",
        "bom-ref": model,
        "name": name,
        "version": sha256[:16],
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }
    return _bill(subject, [_PACKAGE, *packages])


def package_bom() -> str:
    """The bill of the installed package: everything that it requires, and what that requires, by installed version.

    Returns:
        CycloneDX 1.6 as JSON text.
    """
    required, waiting = set(), [_PACKAGE]
    while waiting:
        for line in metadata.requires(waiting.pop()) or ():
            name = re.match(r"[\w.-]+", line)[0]
            if _canonical(name) not in required and "extra ==" not in line and _installed(name):
                required.add(_canonical(name))
                waiting.append(name)
    return _bill(_component(_PACKAGE), sorted(required))


def _bill(subject, packages) -> str:
    components = [_component(name) for name in packages if _installed(name)]
    references = [component["bom-ref"] for component in components]
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": subject},
        "components": components,
        "dependencies": [{"ref": subject["bom-ref"], "dependsOn": references}, *({"ref": ref} for ref in references)],
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    # A UUID (version 8, RFC 9562) of the content instead of a random one.
    serial = f"urn:uuid:{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
    return json.dumps({**content, "serialNumber": serial}, indent=1) + "\n"


def _component(name) -> dict:
    description = metadata.metadata(name)
    reference = f"pkg:pypi/{_canonical(name)}@{description['Version']}"
    component = {
        "type": "library", "bom-ref": reference, "name": description["Name"], "version": description["Version"],
        "purl": reference,
    }  # fmt: skip
    licence = description.get("License-Expression")
    return component | ({"licenses": [{"expression": licence}]} if licence else {})


def _canonical(name) -> str:
    """The one spelling of a distribution's name (packaging.python.org, name normalization)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed(name) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def main() -> int:
    """Write the bill of the package to a file, or to standard output."""
    parser = argparse.ArgumentParser(description=package_bom.__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, help="file to write")
    args = parser.parse_args()
    if args.out is None:
        sys.stdout.write(package_bom())
    else:
        from medseg.record import write_text

        write_text(args.out, package_bom())
    return 0


if __name__ == "__main__":
    sys.exit(main())
