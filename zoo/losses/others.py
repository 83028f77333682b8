"""Losses that are not the zoo's own: any of Keras' by its class name, or one of the user's."""

import inspect

import keras
from keras import ops

from zoo import user_code
from zoo.code_names import names_code
from zoo.errors import ZooError, unknown

PREFIX = "keras:"
_OF_INDICES = ("SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy")
_OF_NO_VOXELS = ("CTC", "Circle", "Loss")  # of sequences, of embeddings, of nothing yet


def is_other(name: str) -> bool:
    """Whether a loss is named as one of Keras' (``keras:Dice``) or of the user's (``my_losses.py:soft``)."""
    return name.startswith(PREFIX) or names_code(name)


def other_loss(name: str, **options):
    """A loss by such a name.

    Args:
        name: "keras:CategoricalFocalCrossentropy", or "my_losses.py:soft" of a file that was run.
        options: for its class; a function takes none.

    Raises:
        ZooError: for an unknown name, or options that it does not take.
    """
    if name.startswith(PREFIX):
        return KerasLoss(name.removeprefix(PREFIX), **options)
    loss = user_code.defined(name, "loss")
    if inspect.isclass(loss):
        _check_options(name, loss, options)
        return loss(**options)
    if options:
        raise _not_taken(name, options)
    return loss


@keras.saving.register_keras_serializable(package="medseg", name="KerasLoss")
class KerasLoss(keras.losses.Loss):
    """A loss of ``keras.losses`` from logits, for class indices (B, *spatial) or one-hot labels (B, *spatial, classes).

    What takes no logits gets their softmax; what takes no class indices gets them one-hot.

    Args:
        kind: name of the class, such as "CategoricalFocalCrossentropy".
        reduction: over the batch, as in Keras.
        name: of the loss.
        dtype: as in Keras.
        **options: of the class.
    """

    def __init__(self, kind: str, reduction="sum_over_batch_size", name=None, dtype=None, **options):
        super().__init__(name=name or kind, reduction=reduction, dtype=dtype)
        loss = getattr(keras.losses, kind, None)
        if kind in _OF_NO_VOXELS or not (inspect.isclass(loss) and issubclass(loss, keras.losses.Loss)):
            raise unknown("loss of Keras", kind, keras_losses())
        _check_options(PREFIX + kind, loss, options)
        self.kind = kind
        self.options = options
        self.takes_logits = "from_logits" in inspect.signature(loss).parameters
        self.loss = loss(**({"from_logits": True} if self.takes_logits else {}), **options)

    def call(self, y_true, y_pred):
        channelled = len(y_true.shape) == len(y_pred.shape)
        indices = ops.squeeze(y_true, -1) if channelled and y_true.shape[-1] == 1 < y_pred.shape[-1] else y_true
        one_hot = len(indices.shape) == len(y_pred.shape)
        if self.kind in _OF_INDICES:
            if one_hot:
                raise ZooError(f"{PREFIX}{self.kind}: takes class indices, the labels are one-hot or mixed up")
        elif not one_hot:
            indices = ops.one_hot(ops.cast(indices, "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
        return self.loss.call(indices, y_pred if self.takes_logits else ops.softmax(y_pred, axis=-1))

    def get_config(self):
        return {**super().get_config(), "kind": self.kind, **self.options}


def keras_losses() -> list[str]:
    """Names of the classes in ``keras.losses`` that are of class scores."""
    kinds = vars(keras.losses).items()
    return sorted(
        name
        for name, value in kinds
        if inspect.isclass(value) and issubclass(value, keras.losses.Loss) and name not in _OF_NO_VOXELS
    )


def _check_options(name, kind, options):
    takes = inspect.signature(kind).parameters
    strange = [option for option in options if option not in takes]
    if strange:
        raise _not_taken(name, strange)


def _not_taken(name, options):
    return ZooError(f"loss {name!r}: does not take {', '.join(options)}; leave it out, or use a loss of zoo.losses")
