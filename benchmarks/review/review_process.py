"""What the benchmarks of the review share: commands of the front door, and a folder of scans without their labels."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from imaging.io.cases import scan_suffix
from medseg.process import environment, module_command


def zoo(*words) -> None:
    """Run a command of the front door; its words are shown only if it fails."""
    ended = subprocess.run(
        module_command("zoo", *words), env=environment(), capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise SystemExit(f"zoo {words[0]}: {ended.stderr}{ended.stdout}")


def link_scans(cases: Iterable, folder: Path) -> Path:
    """The scans of cases in a folder of their own, where a review finds no labels beside them.

    Args:
        cases: ``train.data.dataset.Case`` records.
        folder: made if it is missing; what lies there stays.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for case in cases:
        for number, image in enumerate(case.images):
            channel = f"_{number:04d}" if len(case.images) > 1 else ""
            target = folder / f"{case.name}{channel}{scan_suffix(image)}"
            if target.exists():
                continue
            try:
                os.link(image, target)
            except OSError:  # another file system, or one without links
                shutil.copyfile(image, target)
    return folder
