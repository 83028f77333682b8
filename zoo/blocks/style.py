"""What all blocks of one network have in common: rank, normalisation, activation, up-sampling, dropout."""

from dataclasses import dataclass

from zoo.errors import ZooError, unknown

NORMALISATIONS = ("batch", "instance", "group", "none")
ACTIVATIONS = ("relu", "relu6", "leaky_relu", "prelu", "elu", "silu", "gelu", "hard_silu", "linear")
UPSAMPLINGS = ("transposed", "nearest", "linear")


@dataclass(frozen=True)
class Style:
    """How every block of a network is made.

    Attributes:
        rank: spatial axes, 2 or 3.
        normalisation: "batch" (folds into the convolution on the device), "instance", "group" or "none".
        activation: one of ``ACTIVATIONS``.
        upsample: "transposed", "nearest" or "linear".
        dropout: share of the feature maps dropped after each block while training.
    """

    rank: int
    normalisation: str = "batch"
    activation: str = "relu"
    upsample: str = "transposed"
    dropout: float = 0.0

    def __post_init__(self):
        if self.rank not in (2, 3):
            raise ZooError(f"a network of {self.rank} spatial axes; expected 2 or 3")
        for kind, value, accepted in (
            ("normalisation", self.normalisation, NORMALISATIONS),
            ("activation", self.activation, ACTIVATIONS),
            ("upsample", self.upsample, UPSAMPLINGS),
        ):
            if value not in accepted:
                raise unknown(kind, value, accepted)
        if not 0 <= self.dropout < 1:
            raise ZooError(f"dropout={self.dropout!r}; expected a share from 0 to below 1")
