"""What the C++ program reads: the arrays of a test vector as raw files, the numbers of the manifest as words.

    python unpack.py ARTIFACT FOLDER

Needs NumPy only. ``facts.txt`` has a line for each number or list: a name, then the values. Arrays are written in C
order, little-endian: float32 ``prepared.raw`` and ``logits.raw``, int32 ``labels.raw``.
"""

import json
import sys
from pathlib import Path

import numpy as np


def main(artifact: Path, folder: Path) -> None:
    """Write the files into ``folder``, which is made."""
    manifest = json.loads((artifact / "manifest.json").read_text(encoding="utf-8"))
    vector = np.load(artifact / "test_vector.npz", allow_pickle=False)
    folder.mkdir(parents=True, exist_ok=True)
    rank = manifest["recipe"]["rank"]
    for name, kind in (("prepared", "<f4"), ("logits", "<f4"), ("labels", "<i4")):
        vector[name].astype(kind).tofile(folder / f"{name}.raw")
    axes = [*range(rank), 3]
    # From a voxel of the scan to one of the prepared scan; of a flat scan without its third axis.
    to_prepared = (np.linalg.inv(vector["prepared_affine"]) @ vector["affine"])[np.ix_(axes, axes)][:-1]
    slices = manifest["recipe"].get("slices", 0)
    if slices > 1:
        sys.exit(f"{artifact}: expected slices one by one, its network takes {slices} at once")
    if manifest.get("first"):
        sys.exit(f"{artifact}: expected one network, this is a cascade of two")
    facts = {
        "model": [str((artifact / manifest["model"]).resolve())],
        # A 2D network on a volume: its patch is one slice thick.
        "patch": [1] * slices + manifest["patch"],
        "overlap": [manifest["overlap"]],
        "channels": [manifest["recipe"]["channels"]],
        "values": [label["value"] for label in manifest["labels"]],
        "prepared": vector["prepared"].shape[:-1],
        "labels": vector["labels"].shape[:-1],
        "logits": vector["logits"].shape[:-1],
        "logits_step": [int(vector["logits_step"])],
        "to_prepared": to_prepared.ravel(),
    }
    for name in ("input", "output"):
        tensor = manifest[name]
        facts[f"{name}_shape"] = tensor["shape"]
        facts[f"{name}_kind"] = [tensor["dtype"], repr(tensor["scale"]), tensor["zero_point"]]
    if manifest["regions"] or manifest["postprocessing"]["classes"]:
        sys.exit(f"{artifact}: expected an artifact of disjoint classes without post-processing")
    lines = [f"{name} {' '.join(str(value) for value in values)}\n" for name, values in facts.items()]
    (folder / "facts.txt").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} ARTIFACT FOLDER")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
