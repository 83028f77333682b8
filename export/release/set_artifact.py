"""The artifact of a set of weights: what a device needs of it, and what the card tells of it."""

import dataclasses
import gzip
import re
import shutil
from pathlib import Path

from edge.manifest import Manifest, sha256
from edge.trust import vector
from medseg import record


def copy_artifact(artifact: Path, manifest: Manifest, target: Path) -> Manifest:
    """Copy what a device needs of an artifact, the model compressed.

    Reports with pictures stay behind, and so does what the artifact's card says of them.

    Args:
        artifact: its folder.
        manifest: its manifest.
        target: the folder of the copy, which does not exist yet.

    Returns:
        The manifest of the copy.
    """
    target.mkdir()
    model = target / f"{manifest.model}.gz"
    plain = (artifact / manifest.model).read_bytes()
    model.write_bytes(gzip.compress(plain, 9, mtime=0))
    files = ["CARD.md", model.name]
    if vector.NAME in manifest.files:
        shutil.copyfile(artifact / vector.NAME, target / vector.NAME)
        files.append(vector.NAME)
    packed = dataclasses.replace(manifest, model=model.name, sha256=sha256(model), files=tuple(files))
    record.save(target / "manifest.json", packed)
    text = (artifact / "CARD.md").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^.*`report\.html`.*\n\n?", "", text)
    text = re.sub(
        r"(?m)^- Model file: ",
        f"- Model file: `{packed.model}`, {model.stat().st_size / 1e6:.2f} MB, sha256 `{packed.sha256}`; uncompressed ",
        text,
    )
    (target / "CARD.md").write_text(text, encoding="utf-8")
    return packed


def described(folder, manifest: Manifest) -> dict:
    """What a card says of the artifact in ``folder``."""
    return {
        "format": manifest.format,
        "file": manifest.model,
        "bytes": (Path(folder) / manifest.model).stat().st_size,
        "sha256": manifest.sha256,
        "patch": manifest.patch,
    }
