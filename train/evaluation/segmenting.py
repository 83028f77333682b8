"""A network to a function that segments whole scans: patches, flips, several networks, the sliding window."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np

import imaging
from imaging.prior import Prior, first_folder, prior_of
from imaging.tiling import predict_tiled
from medseg.errors import UsageError
from train.fitting.run import Run, open_run
from train.planning.plan import Plan


def patch_predictor(model, mirror: Sequence[int] = (), regions: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    """A function from a patch (*patch, C) float32 to its scores (*patch, K).

    Args:
        model: Keras model, batch in, logits out; or several, whose probabilities are averaged.
        mirror: average the probabilities over all flips along these axes too.
        regions: the channels are regions, whose logits are averaged instead, as in nnU-Net.

    Returns:
        The function; its scores are the logits for one model without mirroring or for regions, else probabilities.
    """
    models = list(model) if isinstance(model, list | tuple) else [model]
    flips = [axes for n in range(len(mirror) + 1) for axes in itertools.combinations(mirror, n)]

    def run(model, patch):
        return np.asarray(model.predict_on_batch(patch[None])[0], np.float32)

    if len(models) * len(flips) == 1:
        return lambda patch: run(models[0], patch)

    def averaged(patch):
        total = 0.0
        for axes in flips:
            flipped = np.ascontiguousarray(np.flip(patch, axes))
            scores = (run(model, flipped) for model in models)
            total = total + np.flip(sum(scores if regions else map(softmax, scores)), axes)
        return total / (len(models) * len(flips))

    return averaged


def first_segmenter(run: Run | None, plan: Plan) -> Callable | None:
    """A function from a scan as read to the class indices (*scan.shape) that the first network of a cascade finds.

    Args:
        run: of the cascade.
        plan: of it; of a network that takes the scan alone None is returned.

    Raises:
        InputError: if the first network is not there.
        UsageError: for a plan of a cascade without its run.
    """
    if plan.first is None:
        return None
    if run is None:
        raise UsageError("plan: is of a cascade, whose first network is in its run folder; give the run")
    first = open_run(first_folder(run.folder, ("plan.json", "run.json", "model.keras")))
    return segmenter(patch_predictor(first.model()), first.plan)


def prior_in(scan: imaging.Scan, prepared: imaging.Scan, plan: Plan, first: Callable | None) -> Prior | None:
    """What the first network of a cascade finds in a scan, on the grid of the prepared one; None without such."""
    return None if first is None else prior_of(first(scan), scan, prepared, plan.recipe)


def segmenter(predict, plan: Plan, then: Callable | None = None, first: Callable | None = None) -> Callable:
    """A function from a scan as read to its class indices (*scan.shape), by the plan's recipe, patch and overlap.

    Of a plan of instances it gives numbers of objects instead, see ``imaging.restore_objects``.

    It takes ``progress`` too, see ``imaging.tiling.predict_tiled``.

    Args:
        predict: from a patch to its scores.
        plan: what the network was trained by.
        then: called with each prepared scan and its scores.
        first: of a cascade, ``first_segmenter``.
    """

    def segment(scan, progress=None):
        prepared = imaging.prepare(scan, plan.recipe)
        prior = prior_in(scan, prepared, plan, first)
        scores = predict_tiled(prepared.voxels, plan.patch, plan.overlap, predict, progress, plan.recipe.slices, prior)
        if then is not None:
            then(prepared, scores)
        if plan.instances is not None:
            return imaging.restore_objects(scores, prepared, scan, plan.instances)
        return imaging.restore_classes(scores, prepared, scan, written=plan.written_classes)

    return segment


def softmax(logits):
    """Probabilities of logits (..., K) of classes."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)
