"""Golden values of losses, by MONAI 1.6.1 and PyTorch 2.13.0, SciPy for the boundary map.

    pip install torch==2.13.0 monai==1.6.1 scipy
    python tests/golden/monai/make_losses.py        writes losses.json beside this file

``inputs`` and ``OURS`` are read by the tests as well; they need NumPy only.
"""

import json
from pathlib import Path

import numpy as np

CLASSES = 3
IGNORE = 255
WEIGHTS = (0.5, 2.0, 1.5)
SIGMOID = {"activation": "sigmoid"}

# id -> (name of our loss, options). Each id is made for 2D and 3D inputs.
OURS = {
    "dice": ("dice", {}),
    "dice_background": ("dice", {"include_background": True}),
    "dice_squared_batch": ("dice", {"include_background": True, "squared": True, "batch": True}),
    "dice_weights": ("dice", {"include_background": True, "class_weights": WEIGHTS}),
    "dice_ignore": ("dice", {"include_background": True, "ignore_class": IGNORE}),
    "jaccard": ("jaccard", {"include_background": True}),
    "generalised_dice": ("generalised_dice", {}),
    "generalised_dice_simple": ("generalised_dice", {"weighting": "simple"}),
    "tversky": ("tversky", {"include_background": True}),
    "tversky_ignore": ("tversky", {"include_background": True, "ignore_class": IGNORE}),
    "focal_tversky": ("focal_tversky", {"include_background": True}),
    "cross_entropy": ("cross_entropy", {}),
    "cross_entropy_weights": ("cross_entropy", {"class_weights": WEIGHTS}),
    "cross_entropy_ignore": ("cross_entropy", {"ignore_class": IGNORE, "class_weights": WEIGHTS}),
    "cross_entropy_smoothed": ("cross_entropy", {"label_smoothing": 0.1}),
    "cross_entropy_smoothed_weights": ("cross_entropy", {"label_smoothing": 0.1, "class_weights": WEIGHTS}),
    "top_k": ("top_k_cross_entropy", {"share": 0.1}),
    "focal": ("focal", {}),
    "focal_alpha": ("focal", {"gamma": 3.0, "alpha": 0.75}),
    "focal_weights": ("focal", {"class_weights": WEIGHTS}),
    "dice_ce": ("dice_ce", {"include_background": True, "dice_weight": 0.7, "ce_weight": 1.3}),
    "dice_ce_weights": ("dice_ce", {"include_background": True, "class_weights": WEIGHTS}),
    "dice_focal": ("dice_focal", {"include_background": True, "focal_weight": 0.5}),
    "unified_focal": ("unified_focal", {}),
    "unified_focal_other": ("unified_focal", {"weight": 0.3, "gamma": 0.2, "delta": 0.6}),
    "boundary": ("boundary", {"include_background": True}),
    "hausdorff": ("hausdorff", {}),
    "hausdorff_background": ("hausdorff", {"include_background": True, "alpha": 1.5}),
    "cl_dice": ("cl_dice", {}),
    "cl_dice_more": ("cl_dice", {"iterations": 5, "include_background": True}),
    "dice_cl_dice": ("dice_cl_dice", {"alpha": 0.3, "include_background": True}),
    "generalised_dice_uniform": ("generalised_dice", {"weighting": "uniform", "include_background": False}),
    "generalised_dice_uniform_empty": ("generalised_dice", {"weighting": "uniform", "include_background": False}),
    "dice_soft": ("dice", {"include_background": True, "soft_labels": True}),
    "dice_voxels": ("dice", {"include_background": True}),
    "dice_squared_voxels": ("dice", {"include_background": True, "squared": True}),
    "dice_sigmoid": ("dice", SIGMOID),
    "dice_sigmoid_voxels": ("dice", SIGMOID),
    "tversky_sigmoid": ("tversky", SIGMOID),
    "generalised_dice_sigmoid": ("generalised_dice", SIGMOID),
    "cross_entropy_sigmoid": ("cross_entropy", {**SIGMOID, "positive_weights": WEIGHTS}),
    "focal_sigmoid": ("focal", {**SIGMOID, "alpha": 0.25}),
    "dice_ce_sigmoid": ("dice_ce", SIGMOID),
    "dice_focal_sigmoid": ("dice_focal", SIGMOID),
    "hausdorff_sigmoid": ("hausdorff", SIGMOID),
    "cl_dice_sigmoid": ("cl_dice", SIGMOID),
}


def inputs(key: str, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels int32 (2, *spatial) and logits float32 (2, *spatial, classes) of a case.

    Args:
        key: of ``OURS``; the unified focal loss gets two classes, "ignore" cases some voxels to ignore, "empty" cases
            no foreground. "sigmoid" cases get maps of regions that overlap, "soft" ones shares of classes, float32
            (2, *spatial, classes) both.
        rank: 2 or 3.
    """
    random = np.random.RandomState(rank)
    spatial = (17, 14) if rank == 2 else (9, 8, 10)
    classes = 2 if key.startswith("unified") else CLASSES
    labels = np.zeros((2, *spatial), np.int32)
    for sample in range(2):
        for value in range(1, classes):
            start = [random.randint(0, size // 2) for size in spatial]
            box = tuple(slice(s, s + random.randint(3, size // 2)) for s, size in zip(start, spatial, strict=True))
            labels[(sample, *box)] = value
    one_hot = np.eye(classes, dtype=np.float32)[labels]
    logits = (1.5 * one_hot + 1.5 * random.standard_normal((2, *spatial, classes))).astype(np.float32)
    if "ignore" in key:
        labels[random.uniform(size=labels.shape) < 0.2] = IGNORE
    if "empty" in key:
        labels[:] = 0
    if "sigmoid" in key:
        labels = np.stack([labels > 0, labels == 1, labels == 2], axis=-1).astype(np.float32)
    if "soft" in key:
        labels = (0.7 * one_hot + 0.1).astype(np.float32)
    return labels, logits


def voxels(key: str, rank: int) -> np.ndarray | None:
    """Weights of voxels 0 and 1, float32 (2, *spatial), for cases of that name; else None."""
    if not key.endswith("voxels"):
        return None
    return (np.random.RandomState(7).uniform(size=inputs(key, rank)[1].shape[:-1]) < 0.7).astype(np.float32)


def reference(key: str, rank: int) -> float:
    """The value of the other implementation."""
    import torch
    from monai import losses
    from torch.nn import functional

    labels, logits = inputs(key, rank)
    classes = logits.shape[-1]
    x = torch.from_numpy(np.moveaxis(logits, -1, 1))
    if labels.ndim == logits.ndim:
        maps, y = torch.from_numpy(np.moveaxis(labels, -1, 1)), None
    else:
        y = torch.from_numpy(labels).long()
        maps = functional.one_hot(y.clamp(max=classes - 1), classes).movedim(-1, 1).float()
    sparse = None if y is None else y[:, None]
    kept = voxels(key, rank)
    kept = None if kept is None else torch.from_numpy(kept)[:, None]
    soft = {"to_onehot_y": True, "softmax": True}
    weight = torch.tensor(WEIGHTS)

    def dice(**options):
        return losses.DiceLoss(**soft, **options)(x, sparse)

    def focal(**options):
        # MONAI takes the mean over classes too, we the sum.
        return classes * losses.FocalLoss(to_onehot_y=True, use_softmax=True, **options)(x, sparse)

    def focal_tversky():
        each = losses.TverskyLoss(**soft, alpha=0.3, beta=0.7, reduction="none")(x, sparse)
        return (each ** (1 / (4 / 3))).mean()

    def top_k():
        each = functional.cross_entropy(x, y, reduction="none").flatten(1)
        return torch.topk(each, int(each.shape[1] * 0.1), dim=1).values.mean()

    def uniform():
        options = {**soft, "include_background": False, "w_type": "uniform"}
        return losses.GeneralizedDiceLoss(**options)(x, sparse)

    def unified(**options):
        return losses.AsymmetricUnifiedFocalLoss(to_onehot_y=True, **options)(torch.softmax(x, 1), sparse)

    def masked_dice(guess, **options):
        # Of probabilities, as MONAI's mask would otherwise be applied to logits.
        return losses.MaskedDiceLoss(**options)(guess, maps, kept)

    def binary():
        weight = torch.tensor(WEIGHTS).reshape(-1, *(1,) * rank)
        return functional.binary_cross_entropy_with_logits(x, maps, pos_weight=weight)

    made = {
        "dice": lambda: dice(include_background=False),
        "dice_background": dice,
        "dice_squared_batch": lambda: dice(squared_pred=True, batch=True),
        "dice_weights": lambda: dice(weight=weight),
        "dice_ignore": lambda: dice(ignore_index=IGNORE),
        "jaccard": lambda: dice(jaccard=True),
        "generalised_dice": lambda: losses.GeneralizedDiceLoss(**soft, smooth_nr=1e-5, smooth_dr=1e-5)(x, sparse),
        "generalised_dice_simple": lambda: losses.GeneralizedDiceLoss(**soft, w_type="simple")(x, sparse),
        "tversky": lambda: losses.TverskyLoss(**soft, alpha=0.3, beta=0.7)(x, sparse),
        "tversky_ignore": lambda: losses.TverskyLoss(**soft, alpha=0.3, beta=0.7, ignore_index=IGNORE)(x, sparse),
        "focal_tversky": focal_tversky,
        "cross_entropy": lambda: functional.cross_entropy(x, y),
        "cross_entropy_weights": lambda: functional.cross_entropy(x, y, weight=weight),
        "cross_entropy_ignore": lambda: functional.cross_entropy(x, y, weight=weight, ignore_index=IGNORE),
        "cross_entropy_smoothed": lambda: functional.cross_entropy(x, y, label_smoothing=0.1),
        "cross_entropy_smoothed_weights": lambda: functional.cross_entropy(x, y, weight, label_smoothing=0.1),
        "top_k": top_k,
        "focal": focal,
        "focal_alpha": lambda: focal(gamma=3.0, alpha=0.75),
        "focal_weights": lambda: focal(weight=weight),
        "dice_ce": lambda: losses.DiceCELoss(**soft, lambda_dice=0.7, lambda_ce=1.3)(x, sparse),
        "dice_ce_weights": lambda: losses.DiceCELoss(**soft, weight=weight)(x, sparse),
        "dice_focal": lambda: dice() + 0.5 * focal(),
        "unified_focal": unified,
        "unified_focal_other": lambda: unified(weight=0.3, gamma=0.2, delta=0.6),
        "boundary": lambda: boundary(labels, torch.softmax(x, 1).numpy()),
        "hausdorff": lambda: losses.HausdorffDTLoss(**soft, include_background=False)(x, sparse),
        "hausdorff_background": lambda: losses.HausdorffDTLoss(**soft, include_background=True, alpha=1.5)(x, sparse),
        "cl_dice": lambda: losses.SoftclDiceLoss(**soft, include_background=False)(x, sparse),
        "cl_dice_more": lambda: losses.SoftclDiceLoss(**soft, iter_=5)(x, sparse),
        "dice_cl_dice": lambda: losses.SoftDiceclDiceLoss(**soft, alpha=0.3)(x, sparse),
        "generalised_dice_uniform": uniform,
        "generalised_dice_uniform_empty": uniform,
        "dice_soft": lambda: losses.DiceLoss(softmax=True, soft_label=True)(x, maps),
        "dice_voxels": lambda: masked_dice(torch.softmax(x, 1)),
        "dice_squared_voxels": lambda: masked_dice(torch.softmax(x, 1), squared_pred=True),
        "dice_sigmoid": lambda: losses.DiceLoss(sigmoid=True)(x, maps),
        "dice_sigmoid_voxels": lambda: masked_dice(torch.sigmoid(x)),
        "tversky_sigmoid": lambda: losses.TverskyLoss(sigmoid=True, alpha=0.3, beta=0.7)(x, maps),
        "generalised_dice_sigmoid": lambda: losses.GeneralizedDiceLoss(sigmoid=True)(x, maps),
        "cross_entropy_sigmoid": binary,
        "focal_sigmoid": lambda: losses.FocalLoss(alpha=0.25)(x, maps),
        "dice_ce_sigmoid": lambda: (
            losses.DiceLoss(sigmoid=True)(x, maps) + functional.binary_cross_entropy_with_logits(x, maps)
        ),
        "dice_focal_sigmoid": lambda: losses.DiceFocalLoss(sigmoid=True)(x, maps),
        "hausdorff_sigmoid": lambda: losses.HausdorffDTLoss(sigmoid=True, include_background=True)(x, maps),
        "cl_dice_sigmoid": lambda: losses.SoftclDiceLoss(sigmoid=True)(x, maps),
    }
    return float(made[key]())


def boundary(labels: np.ndarray, guess: np.ndarray) -> float:
    """The boundary loss with the distance map of the authors' ``one_hot2dist`` (github.com/LIVIAETS/boundary-loss)."""
    from scipy.ndimage import distance_transform_edt

    field = np.zeros_like(guess)
    for sample in range(len(labels)):
        for value in range(guess.shape[1]):
            inside = labels[sample] == value
            if inside.any():
                outside = ~inside
                field[sample, value] = (
                    distance_transform_edt(outside) * outside - (distance_transform_edt(inside) - 1) * inside
                )
    return float((guess * field).mean())


def main() -> None:
    """Write the values."""
    values = {f"{key}_{rank}d": reference(key, rank) for key in OURS for rank in (2, 3)}
    path = Path(__file__).with_name("losses.json")
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    print(f"{len(values)} values in {path.name}")


if __name__ == "__main__":
    main()
