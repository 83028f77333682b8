"""The loss of networks that tell objects apart: of the foreground, and of the distance inside each object."""

import keras
from keras import ops

from zoo.errors import ZooError
from zoo.losses.base import SegmentationLoss

LEVELS = 255.0
CHANNELS = 2


@keras.saving.register_keras_serializable(package="medseg", name="InstancesLoss")
class Instances(keras.losses.Loss):
    """A loss of the foreground plus the cross-entropy of the distance.

    Labels are ``imaging.instances.distance_levels``: (batch, *spatial) or (batch, *spatial, 1), 0 outside of objects
    and 1 to 255 inside, in the middle of an object 255. Logits are (batch, *spatial, 2): foreground and distance, each
    with a sigmoid. The distance is a regression as in Naylor et al., IEEE TMI 2019, doi:10.1109/TMI.2018.2865709, by
    the Kullback-Leibler divergence from its share to the sigmoid, which is 0 where both are equal: its mean over the
    voxels inside of objects plus that over those outside, so that few small objects count as much as many.

    Args:
        foreground: a loss of this package with a sigmoid, of one channel.
        weight: factor of the distance's part.
        reduction: over the batch, as in Keras.
        name: of the loss.
        dtype: as in Keras.

    Example:
        >>> zoo.losses.Instances(zoo.losses.DiceCE(activation="sigmoid"))
    """

    def __init__(self, foreground, weight=1.0, reduction="sum_over_batch_size", name="instances", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if not isinstance(foreground, SegmentationLoss) or foreground.reading.activation != "sigmoid":
            raise ZooError(f"Instances of {foreground!r}; expected a loss of zoo.losses with activation='sigmoid'")
        if not weight >= 0:
            raise ZooError(f"Instances: weight={weight!r}; expected 0 or more")
        self.foreground = foreground
        self.weight = weight

    def call(self, y_true, y_pred):
        """The losses (batch,)."""
        logits = ops.cast(y_pred, "float32")
        if logits.shape[-1] != CHANNELS:
            raise ZooError(f"{self.name}: logits of shape {tuple(logits.shape)}; expected {CHANNELS} channels")
        levels = ops.cast(y_true, "float32")
        levels = levels if len(levels.shape) == len(logits.shape) else ops.expand_dims(levels, -1)
        inside = ops.cast(levels > 0, "float32")
        distance = divergence(levels / LEVELS, logits[..., 1:])
        parts = _mean_where(distance, inside) + _mean_where(distance, 1 - inside)
        return self.foreground.call(inside, logits[..., :1]) + self.weight * parts

    def get_config(self):
        foreground = keras.saving.serialize_keras_object(self.foreground)
        return {**super().get_config(), "foreground": foreground, "weight": self.weight}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "foreground": keras.saving.deserialize_keras_object(config["foreground"])})


def divergence(share, logits):
    """Kullback-Leibler divergence from shares to the sigmoid of logits, both (batch, *spatial, 1), voxel by voxel."""
    entropy = -(_times_log(share) + _times_log(1 - share))
    return ops.softplus(logits) - share * logits - entropy


def _mean_where(values, mask):
    """The mean (batch,) of ``values`` where ``mask`` is 1; 0 where it is nowhere."""
    axes = tuple(range(1, len(values.shape)))
    return ops.sum(values * mask, axis=axes) / ops.maximum(ops.sum(mask, axis=axes), 1.0)


def _times_log(value):
    return value * ops.log(ops.maximum(value, 1e-12))
