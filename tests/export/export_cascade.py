"""A finished run of a cascade of two hand-set networks."""

import json
import shutil
from pathlib import Path

import numpy as np
from export_runs import ball_network, write_run


def joined_network(image: float = 0.6, prior: float = 0.6):
    """Finds a ball where so much of the mean of 3³ voxels and so much of the prior are together above 0.5."""
    model = ball_network(channels=2)
    kernel = np.zeros((3, 3, 3, 2, 4), np.float32)
    kernel[..., 0, :] = image / 27
    kernel[1, 1, 1, 1] = prior
    model.get_layer("mean").set_weights([kernel])
    return model


def write_cascade(folder) -> Path:
    """A finished run of a cascade: half the resolution first, then a network that follows what was found there."""
    run = write_run(folder, network=joined_network())
    plan = json.loads((run / "plan.json").read_text())
    low = plan | {"recipe": plan["recipe"] | {"spacing": [3.0, 2.0, 4.0]}}
    shutil.copytree(run, run.parent / "first")
    (run.parent / "first").rename(run / "first")
    (run / "first" / "plan.json").write_text(json.dumps(low))
    ball_network(threshold=0.3).save(run / "first" / "model.keras")
    first = {name: low[name] for name in ("recipe", "network", "patch", "training")}
    cascade = {"recipe": plan["recipe"] | {"prior": 1}, "first": first, "configuration": "cascade"}
    (run / "plan.json").write_text(json.dumps(plan | cascade))
    return run
