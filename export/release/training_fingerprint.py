"""What an artifact's training scans look like, written into an artifact that was exported without it."""

import dataclasses
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from edge.manifest import MANIFEST, Manifest, load_manifest
from edge.runtime.segmenter import load
from edge.trust import vector
from edge.trust.fingerprint import MIN_CASES
from edge.trust.signature import SIGNATURE
from export.artifact.card import trust_line, vector_lines
from export.source.source import Source
from export.verify import training_scans
from imaging.io.cases import CaseFiles
from medseg import record
from medseg.atomic import replace_folder, temporary_folder
from medseg.errors import InputError


def add_fingerprint(folder, cases: Sequence[CaseFiles], tell: Callable[[str], None] = print) -> Manifest:
    """Measure training scans through an artifact and replace its folder by one that knows them, whole or not at all.

    Labels are not read, so a predicted quality that the artifact has already is kept, and none is fitted. A test vector
    is added where there is none.

    Args:
        folder: the artifact folder.
        cases: scans that the network was trained on, or others of their kind.
        tell: takes a line of progress.

    Returns:
        The new manifest.

    Raises:
        InputError: if the artifact is signed, a scan cannot be read or does not fit, or they are too few.
    """
    folder = Path(folder)
    manifest = load_manifest(folder)
    if (folder / SIGNATURE).exists():
        raise InputError(f"{folder}: is signed; take {SIGNATURE} away, and sign the artifact again afterwards")
    if len(cases) < MIN_CASES:
        raise InputError(f"{folder}: got {len(cases)} scans, expected at least {MIN_CASES} of the training")
    segmenter = load(folder)
    tell(f"{manifest.name}: measuring {min(len(cases), training_scans.CASES)} of {len(cases)} scans")
    source = Source(
        name=manifest.name,
        recipe=manifest.recipe,
        patch=manifest.patch,
        overlap=manifest.overlap,
        labels=manifest.labels,
        channels=manifest.channels,
        training=tuple(cases),
        validation=(),
        model_file=Path(manifest.model),
        regions=manifest.regions,
        instances=manifest.instances,
    )
    training = training_scans.fingerprint(segmenter, source, labelled=False)
    if training is None:
        raise InputError(f"{folder}: expected at least {MIN_CASES} scans that are there; give the training's folder")
    known = manifest.training
    training = dataclasses.replace(training, quality=known.quality if known else None)
    with temporary_folder(folder) as temporary:
        shutil.copytree(folder, temporary, dirs_exist_ok=True)
        if not (temporary / vector.NAME).exists():
            vector.write(temporary / vector.NAME, vector.make(segmenter))
        files = sorted({*manifest.files, *os.listdir(temporary)} - {MANIFEST})
        manifest = dataclasses.replace(manifest, training=training, files=tuple(files))
        record.save(temporary / MANIFEST, manifest)
        text = (temporary / "CARD.md").read_text(encoding="utf-8")
        record.write_text(temporary / "CARD.md", _with_trust(text, manifest))
        temporary.chmod(0o755)
        replace_folder(temporary, folder)
    return manifest


def _with_trust(text: str, manifest: Manifest) -> str:
    """The card with what is new in it; what an earlier fingerprint wrote is replaced."""
    text = re.sub(r"(?m)^- Flags: .*\n", "", text)
    listed = re.search(r"(?m)^- .*\n(?=\n)", text)
    if listed is not None:
        text = f"{text[: listed.end()]}{trust_line(manifest)}\n{text[listed.end() :]}"
    if vector.NAME not in text:
        text = text.replace("\nNot a medical device.", "\n".join(["", *vector_lines(), "", "Not a medical device."]), 1)
    return text
