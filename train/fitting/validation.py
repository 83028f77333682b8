"""Validation while training: held-back cases segmented whole, by the averaged weights, scored and shown."""

import contextlib
from collections.abc import Callable, Sequence

import keras
import numpy as np

import imaging
from imaging.measure.overlap import dice
from imaging.regions import classes_of, mask_of, structures
from imaging.tiling import predict_tiled
from medseg.progress import track
from train.evaluation.segmenting import patch_predictor
from train.fitting.curves import DICE


def segment_cached(model, case, plan) -> tuple[np.ndarray, np.ndarray]:
    """Segment a preprocessed case by sliding window.

    Args:
        model: of the plan, logits out.
        case: a ``CachedCase``.
        plan: gives patch and overlap.

    Returns:
        Class indices (*spatial) found, and those of its label; both are background where nobody has labelled.
    """
    reference = np.array(case.label())
    if plan.instances is not None:
        reference = np.minimum(reference, 1)  # distances to where an object is
    settings = {"slices": plan.recipe.slices, "prior": case.first_answer(len(plan.labels))}
    scores = predict_tiled(case.image(), plan.patch, plan.overlap, patch_predictor(model), **settings)
    prediction = classes_of(scores, plan.written_classes).astype(reference.dtype)
    ignored = reference == len(plan.labels)
    prediction[ignored] = reference[ignored] = 0
    return prediction, reference


def class_dice(prediction: np.ndarray, reference: np.ndarray, labels, regions=()) -> dict[str, float]:
    """Dice of each foreground class, or of each region, by its name, of class indices (*spatial)."""
    return {
        name: dice(mask_of(prediction, indices), mask_of(reference, indices))
        for name, indices in structures(labels, regions).items()
    }


@contextlib.contextmanager
def alone():
    """No distribution for a while: what is validated is one network on one device."""
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


@contextlib.contextmanager
def averaged(model):
    """A compiled model with the average of its weights for a while, then with the very weights it had."""
    if hasattr(model, "jax_state_sync"):  # on JAX the state lives in the loop until it is asked for
        model.jax_state_sync()
    kept = [variable.numpy() for variable in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield model
    finally:
        for variable, value in zip(model.trainable_variables, kept, strict=True):
            variable.assign(value)


class Validation(keras.callbacks.Callback):
    """Every so many epochs, and after the last, puts the mean Dice of whole cases into the logs and a picture of the
    first into TensorBoard.

    Cases are scored in the geometry of the recipe; ``train.evaluate`` scores in their own.

    Args:
        model: the plan's network, plain; it takes the weights that are validated.
        copy: function that writes the weights of the trained network into ``model``.
        cases: ``CachedCase`` records that were held back.
        plan: what is trained.
        folder: of TensorBoard's logs; None writes none.
        progress: show a bar.
    """

    def __init__(self, model, copy: Callable, cases: Sequence, plan, folder=None, progress: bool = False):
        super().__init__()
        self.network = model
        self.copy = copy
        self.cases = cases[: plan.training.validate_cases or len(cases)]
        self.plan = plan
        self.folder = folder
        self.progress = progress
        self.writer = None

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.plan.training.validate_every and not self.model.stop_training:
            return
        with averaged(self.model) as trained:
            self.copy(trained, self.network)
        cases = track(self.cases, "validate", show=self.progress)
        scores = []
        with alone():
            for case in cases:
                prediction, reference = segment_cached(self.network, case, self.plan)
                if self.folder is not None and not scores:
                    self._show(case, prediction, reference, epoch)
                scores.append(class_dice(prediction, reference, self.plan.labels, self.plan.regions))
        means = {name: float(np.mean([row[name] for row in scores])) for name in scores[0]}
        logs[DICE] = float(np.mean(list(means.values())))
        logs.update({f"{DICE}_{name}": value for name, value in means.items()})

    def _show(self, case, prediction, reference, epoch):
        import tensorflow as tf

        from train.evaluation.figures import draw_overlay, png

        spacing = self.plan.recipe.spacing or (1.0,) * prediction.ndim
        affine = np.diag([*spacing, *(1.0,) * (4 - len(spacing))])
        names = [label.name for label in self.plan.labels]
        figure = draw_overlay(imaging.Scan(np.asarray(case.image()), affine), reference, prediction, names)
        if self.writer is None:
            self.writer = tf.summary.create_file_writer(str(self.folder / "validation"))
        with self.writer.as_default():
            picture = tf.io.decode_png(png(figure), channels=3)[None]
            tf.summary.image(case.name, picture, step=epoch, description="slices: reference solid, prediction dashed")
        self.writer.flush()

    def on_train_end(self, logs=None):
        if self.writer is not None:
            self.writer.close()
