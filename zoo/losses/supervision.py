"""Deep supervision: the same loss on every output of a network, coarse ones on coarse labels."""

import keras
from keras import ops

from zoo.errors import ZooError
from zoo.labels import split_weights
from zoo.losses.base import SegmentationLoss, pack


@keras.saving.register_keras_serializable(package="medseg", name="DeepSupervisionLoss")
class DeepSupervision(keras.losses.Loss):
    """A loss for one output of a network built with ``deep_supervision=True``.

    Labels are taken at full size and thinned out to the size of the output. Lee et al., AISTATS 2015, arXiv:1409.5185.

    Args:
        loss: the loss, one of this package.
        reduction: over the batch, as in Keras.
        name: of the loss.
        dtype: as in Keras.
    """

    def __init__(self, loss, reduction="sum_over_batch_size", name="deep_supervision", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if not isinstance(loss, SegmentationLoss):
            raise ZooError(f"DeepSupervision of {loss!r}; expected a loss of zoo.losses")
        self.loss = loss

    def __call__(self, y_true, y_pred, sample_weight=None):
        channelled = y_true if len(y_true.shape) == len(y_pred.shape) else ops.expand_dims(y_true, -1)
        of_samples, of_voxels = split_weights(sample_weight, channelled, self.name)
        weights = of_samples if of_voxels is None else thin_out(of_voxels, y_pred)
        return super().__call__(*pack(thin_out(y_true, y_pred), y_pred, weights, self.name))

    def call(self, y_true, y_pred):
        return self.loss.call(y_true, y_pred)

    def get_config(self):
        return {**super().get_config(), "loss": keras.saving.serialize_keras_object(self.loss)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "loss": keras.saving.deserialize_keras_object(config["loss"])})


def deep_supervision(loss, outputs: int) -> dict:
    """What ``compile`` takes to train a network with ``outputs`` outputs.

    The weights halve with each coarser output and sum to 1, as in nnU-Net. Isensee et al., Nature Methods 2021,
    arXiv:1809.10486. ``fit`` then needs the same labels once per output: ``dataset.map(lambda x, y: (x, (y,) * n))``.

    Args:
        loss: the loss, one of this package.
        outputs: number of outputs, ``len(model.outputs)``.

    Returns:
        ``{"loss": [...], "loss_weights": [...]}``.

    Example:
        >>> model.compile("adamw", **zoo.losses.deep_supervision(zoo.losses.DiceCE(), len(model.outputs)))
    """
    if not isinstance(outputs, int) or outputs < 1:
        raise ZooError(f"deep supervision of {outputs!r} outputs; expected 1 or more")
    weights = [0.5**level for level in range(outputs)]
    return {
        "loss": [DeepSupervision(loss) for _ in weights],
        "loss_weights": [weight / sum(weights) for weight in weights],
    }


def thin_out(labels, like):
    """Every n-th voxel of labels, from the middle of each block, so that they are of the size of logits.

    Args:
        labels: (batch, *spatial) or (batch, *spatial, any).
        like: logits (batch, *smaller spatial, classes).

    Raises:
        ZooError: if the sizes are unknown or no whole multiples.
    """
    rank = len(like.shape) - 2
    fine, coarse = tuple(labels.shape[1 : rank + 1]), tuple(like.shape[1:-1])
    if len(fine) != rank or any(f is None or c is None or f % c for f, c in zip(fine, coarse, strict=True)):
        raise ZooError(
            f"deep supervision of labels {tuple(labels.shape)} and logits {tuple(like.shape)}; expected known "
            "spatial sizes, those of the labels whole multiples of those of the logits"
        )
    steps = [f // c for f, c in zip(fine, coarse, strict=True)]
    return labels[(slice(None), *(slice(step // 2, None, step) for step in steps))]
