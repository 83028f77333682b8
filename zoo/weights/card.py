"""The card of a set of weights: what it was made from, how well it does, what it is for."""

import json
from dataclasses import asdict, dataclass, field

FILE = "card.json"


@dataclass(frozen=True)
class Card:
    """What is known of a set of weights.

    Attributes:
        entry: registry entry.
        name: of the set, what ``zoo.get(entry, weights=name)`` takes.
        classes: names of the classes in order, background first.
        channels: names of the input channels.
        options: overrides of the entry's options that it was trained with.
        data: what it was trained on.
        source: where the data can be had.
        licence: SPDX name of the data's licence, which the weights carry on.
        attribution: what that licence asks to be said.
        split: which cases were trained on, which scored.
        scores: by cross-validation: "folds", "cases" (their number), "mirror", "mean" and "std" (label to metric to
            value), "mean_of_fold" (fold to label to metric to value) and "training" (fold to setting to its value and
            this one's, where they differ).
        int8_scores: the same of their int8 artifacts: "folds", "cases" and "dice" (label to value); of networks
            that tell objects apart "objects" ("ap", "ap50", "pq", "f1").
        storage: how the weights are stored and what that changes: "kind", "cases" (their number), "seen" (trained
            on), "labels" (label to "dice_float32", "dice_stored" and "worst_drop") and "argmax_changed".
        artifact: "format", "file", "bytes" and "sha256" of the artifact beside the weights, and "patch".
        parameters: of the network.
        bytes: of the weights' file.
        seed: of the training.
        epochs: that it took.
        plan: recipe, patch, overlap, labels and training settings, as in a run's ``plan.json``.
        versions: of what decides a training's result.
        commands: that made it.
        use: intended use.
        limits: what it must not be used for, and where it fails.
    """

    entry: str
    name: str
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    options: dict = field(default_factory=dict)
    data: str = ""
    source: str = ""
    licence: str = ""
    attribution: str = ""
    split: str = ""
    scores: dict = field(default_factory=dict)
    int8_scores: dict = field(default_factory=dict)
    storage: dict = field(default_factory=dict)
    artifact: dict = field(default_factory=dict)
    parameters: int = 0
    bytes: int = 0
    seed: int = 0
    epochs: int = 0
    plan: dict = field(default_factory=dict)
    versions: dict = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    use: str = ""
    limits: str = ""

    @property
    def folder(self) -> str:
        """Name of the set's folder, which the device runtime knows its artifact by: ``unet3d-hippocampus``."""
        return f"{self.entry}-{self.name}"


def card_json(card: Card) -> str:
    """The card as ``card.json`` holds it."""
    return json.dumps(asdict(card), indent=1) + "\n"
