"""Labels from few clicks: Dice against the number of clicks, and the time of a case.

    python benchmarks/accuracy/annotate.py --data DATA
    python benchmarks/accuracy/annotate.py --data DATA --set hippocampus --clicks 1 2 5 10 \\
        --method random-walker graph-cut
    python benchmarks/accuracy/annotate.py --data DATA --set hippocampus --artifact unet3d-hippocampus
    python benchmarks/accuracy/annotate.py --data DATA --fit

Seconds are those of the processor (with OMP_NUM_THREADS=1 of one core), so that other work on the machine is not
counted.

Clicks are simulated with a fixed seed: as many inside the structure as around it, spread out, never nearer to the
boundary than two voxels (imaging.annotate.simulated_clicks). The cases of hippocampus are whole hippocampi, both labels
together; those of hc18 heads; those of the CT its organs of at least --organ-ml, one case each.

With --artifact the network's proposal is the start; its strokes are clicks at wrong voxels instead, one after the
other, each in the middle of the largest wrong part.

--fit chooses the coefficients of imaging.classical.seeds.prior by logistic regression on other cases than those scored.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

import imaging
from imaging.annotate import annotate, simulated_clicks
from imaging.classical.seeds.drawing import seeds_on
from imaging.classical.seeds.strokes import Stroke
from imaging.measure.overlap import dice

SETS = ("hippocampus", "hc18", "ct")
# Vertebrae, ribs and muscles are labelled in the CT too; organs are these values of TotalSegmentator.
ORGANS = (1, 2, 3, 5, 6, 7, 10, 11, 12, 13, 14, 18, 19, 20, 21)


def evenly(items, count, offset):
    """``count`` of the items, evenly, from one of two disjoint halves."""
    items = items[offset::2]
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int))]


def cases(data: Path, name: str, count: int, organ_ml: float, offset: int = 0):
    """Name, scan and mask of each case."""
    if name == "ct":
        return organs(data / "ct", organ_ml)
    from train.data.dataset import open_dataset

    return [(case.name, *scan_and_mask(case)) for case in evenly(open_dataset(data / name).cases, count, offset)]


def scan_and_mask(case):
    """The scan of a case of a dataset, and where any of its labels lies."""
    scan, labels = imaging.read(list(case.images)), imaging.read_labels(case.label)
    return scan, imaging.align(labels, scan, case.label, case.images[0]).voxels[..., 0] > 0


def organs(folder: Path, organ_ml: float):
    """Every organ of the CT that is large enough."""
    scan, labels = imaging.read(folder / "ct.nii.gz"), imaging.read_labels(folder / "ct_organs.nii.gz").voxels[..., 0]
    voxel_ml = float(np.prod(scan.spacing)) / 1000
    values = [v for v in ORGANS if np.count_nonzero(labels == v) * voxel_ml >= organ_ml]
    return [(f"organ {value}", scan, labels == value) for value in values]


def curve(masked, method, counts):
    """Number of clicks, mean and lowest Dice, mean and largest processor seconds of a case."""
    rows = []
    for count in counts:
        scores, seconds = [], []
        for number, (_, scan, mask) in enumerate(masked):
            strokes = simulated_clicks(mask, scan.spacing, count, np.random.default_rng([1, number]))
            began = time.process_time()
            labels = annotate(scan, strokes, method).labels.voxels[..., 0]
            seconds.append(time.process_time() - began)
            scores.append(dice(labels == 1, mask))
        rows.append((count, float(np.mean(scores)), float(np.min(scores)), float(np.mean(seconds)), max(seconds)))
    return rows


def corrected(masked, artifact, counts):
    """The same where a network proposes and clicks correct it; all of its labels are one structure."""
    import edge
    from imaging.annotate import refine

    segmenter = edge.load(artifact)
    scores = {count: [] for count in (0, *counts)}
    for _, scan, mask in masked:
        chances = proposal(segmenter, scan)
        strokes = []
        for count in range(max(counts) + 1):
            labels = refine(scan, strokes, chances, (0, 1)).labels.voxels[..., 0] == 1
            if count in scores:
                scores[count].append(dice(labels, mask))
            if not np.array_equal(labels, mask):
                strokes.append(correcting_click(labels, mask, scan.spacing))
    return [(count, float(np.mean(rows)), float(np.min(rows))) for count, rows in scores.items()]


def proposal(segmenter, scan) -> np.ndarray:
    """A network's probabilities of background and of any structure, (*spatial, 2)."""
    from edge.runtime.options import Options, Outputs

    options = Options(outputs=Outputs(probabilities=True))
    chances = segmenter.predict(scan, options=options).probabilities.voxels
    return np.stack([chances[..., 0], chances[..., 1:].sum(axis=-1)], -1)


def correcting_click(labels, mask, spacing) -> Stroke:
    """A click in the middle of the largest wrong part: where the nearest voxel that is right is farthest away.

    Args:
        labels: bool (*spatial), wrong somewhere.
        mask: bool (*spatial), the reference.
        spacing: mm per axis.
    """
    depth = ndimage.distance_transform_edt(labels != mask, spacing)
    place = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return Stroke("point", int(mask[place]), (tuple(map(float, place)),))


def fit(data: Path, count: int, organ_ml: float):
    """Print coefficients and intercept for ``imaging.classical.seeds.prior``."""
    from sklearn.linear_model import LogisticRegression

    from imaging.annotate.focus import crop, focus
    from imaging.classical.grid import coarsened
    from imaging.classical.seeds.markers import markers_on
    from imaging.classical.seeds.prior import features, windowed
    from imaging.scan import Scan

    rows, truth, weights = [], [], []
    for name in SETS:
        masked = cases(data, name, count, organ_ml, offset=1)
        # People differ: half of the clicks are spread out, half are anywhere inside.
        for number, (spread, (_, scan, mask)) in enumerate(
            (spread, case) for spread in (True, False) for case in masked
        ):
            random = np.random.default_rng([2, number])
            seeds = seeds_on(scan, simulated_clicks(mask, scan.spacing, 5, random, spread=spread))
            box = focus(scan, seeds)
            part, marks = crop(scan, seeds, box)
            coarse = coarsened(part, 20_000)
            markers, _ = markers_on(coarse, part, marks)
            image = windowed(coarse.voxels.mean(axis=-1), markers)
            inside = imaging.onto(
                mask[box][..., None].astype(np.float32), part.affine, Scan(coarse.voxels, coarse.affine), antialias=True
            )
            columns = features(image, coarse.spacing, markers == 1, markers == 0)
            rows.append(columns.reshape(-1, columns.shape[-1]))
            truth.append(inside.ravel() > 0.5)
            weights.append(np.full(len(truth[-1]), 1000 / len(truth[-1])))
    model = LogisticRegression(max_iter=1000)
    model.fit(np.concatenate(rows), np.concatenate(truth), sample_weight=np.concatenate(weights))
    print("COEFFICIENTS =", tuple(model.coef_[0].round(2).tolist()))
    print("INTERCEPT =", round(float(model.intercept_[0]), 2))


def main():
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--method", nargs="+", default=["random-walker"])
    parser.add_argument("--clicks", type=int, nargs="+", default=[1, 2, 5, 10, 20])
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--organ-ml", type=float, default=50.0)
    parser.add_argument("--artifact", help="of a network whose proposal is corrected")
    parser.add_argument("--fit", action="store_true", help="fit the prior instead")
    args = parser.parse_args()
    if args.fit:
        fit(args.data, args.cases, args.organ_ml)
        return
    for name in args.set:
        masked = cases(args.data, name, args.cases, args.organ_ml)
        if args.artifact:
            print(f"\n{name}, {len(masked)} cases, {args.artifact}\n\n| clicks | mean Dice | lowest |\n|---|---|---|")
            for row in corrected(masked, args.artifact, args.clicks):
                print("| {} | {:.3f} | {:.3f} |".format(*row), flush=True)
            continue
        for method in args.method:
            print(f"\n{name}, {len(masked)} cases, {method}\n")
            print("| clicks inside and outside | mean Dice | lowest | seconds | slowest |\n|---|---|---|---|---|")
            for row in curve(masked, method, args.clicks):
                print("| {} | {:.3f} | {:.3f} | {:.2f} | {:.2f} |".format(*row), flush=True)


if __name__ == "__main__":
    main()
