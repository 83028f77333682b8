"""The plan: everything that training needs to know, decided once and kept as JSON."""

from dataclasses import dataclass, field

from imaging.labels import Label
from imaging.recipe import Recipe


@dataclass(frozen=True)
class Network:
    """A registry entry and the keyword overrides given to ``zoo.get``."""

    name: str
    options: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """How the network is fitted."""

    epochs: int = 60
    steps_per_epoch: int = 50
    batch: int = 4
    optimizer: str = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup: float = 0.05
    ema: float = 0.99
    clip_norm: float = 12.0
    loss: str = "dice_ce"
    precision: str = "float32"
    foreground: float = 0.33
    mirror: tuple[int, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """What a dataset asks for.

    Attributes:
        dataset: name of the dataset.
        labels: classes in order of class index, background first.
        channels: names of the input channels.
        recipe: preprocessing of every scan.
        network: the registry entry and its overrides.
        patch: spatial size of what the network sees, voxels.
        overlap: share of a patch that neighbouring tiles overlap by, 0 to 0.9.
        training: how it is fitted.
        folds: for each fold the names of its validation cases.
        fingerprint: what was measured of the dataset.
        reasons: field name to the rule that decided it, for ``zoo plan --explain``.
    """

    dataset: str
    labels: tuple[Label, ...]
    channels: tuple[str, ...]
    recipe: Recipe
    network: Network
    patch: tuple[int, ...]
    overlap: float
    training: Training
    folds: tuple[tuple[str, ...], ...]
    fingerprint: dict = field(default_factory=dict)
    reasons: dict = field(default_factory=dict)
    schema: int = 1
