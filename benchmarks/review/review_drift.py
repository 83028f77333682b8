"""Planted changes of scanner and population: after how many cases the review tells of them, and how often of nothing.

    python benchmarks/review/review_drift.py --streams 5 --quiet 300

Phantoms are measured as the device measures scans (``edge.trust.observation``). A stream has 60 cases as
in training and 50 changed ones; the fingerprint is made of 40 others. Then unchanged streams of 150 cases are watched.
Prints Markdown tables.
"""

import argparse
import sys
from types import SimpleNamespace

import numpy as np
from scipy.ndimage import gaussian_filter

from edge.trust.fingerprint import make_fingerprint
from edge.trust.observation import as_read, scan_features
from imaging.recipe import Normalise, Recipe, prepare
from imaging.scan import Scan
from review.monitoring.drift import FEWEST, drift_of

RECIPE = Recipe(3, orientation="RAS", normalise=Normalise("zscore"))
WATCHED = SimpleNamespace(training=True, recipe=RECIPE)  # what of a manifest counts for it
SHAPE = (32, 32, 24)
BEFORE, AFTER = 60, 50


def scan_of(random, *, gamma=1.0, spacing=1.0, noise=0.05, size=1.0) -> Scan:
    """An ellipsoid in noise; every parameter is one that a scanner or a population has."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    radii = size * random.uniform(0.4, 0.6, 3)
    inside = sum((axis / radius) ** 2 for axis, radius in zip(axes, radii, strict=True)) < 1
    image = gaussian_filter(0.2 + 0.6 * inside + 0.1 * random.normal(), 1.0)
    image = np.clip(image, 0.01, None) ** gamma + noise * random.normal(size=SHAPE)
    voxel = spacing * random.uniform(0.95, 1.05)
    return Scan((100 * image).astype(np.float32)[..., None], np.diag([voxel, voxel, voxel, 1.0]))


CHANGES = {
    "contrast (gamma 2.5)": {"gamma": 2.5},
    "spacing (1.5 times)": {"spacing": 1.5},
    "noise (3 times)": {"noise": 0.15},
    "population (structures of 0.6 times the size)": {"size": 0.6},
}


def features(random, **change) -> dict[str, float]:
    """What the device measures of such a scan."""
    scan = scan_of(random, **change)
    return as_read(scan, WATCHED).features | scan_features(prepare(scan, RECIPE))


def first_alert(cases, fingerprint, start, step=1):
    """Cases after ``start`` until an alert; None for never."""
    for count in range(start, len(cases) + 1, step):
        if any(row.alert for row in drift_of(cases[:count], fingerprint)):
            return count - start
    return None


def main() -> int:
    """Both tables; 1 if a change stays unseen for 50 cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=5, help="of each change")
    parser.add_argument("--quiet", type=int, default=1000, help="unchanged cases")
    args = parser.parse_args()
    random, missed = np.random.default_rng(0), 0
    fingerprint = make_fingerprint([features(random) for _ in range(40)])
    print("| change | cases until the alert, median | most | unseen in 50 cases |\n|---|---|---|---|")
    for name, change in CHANGES.items():
        counts = []
        for _ in range(args.streams):
            cases = [features(random) for _ in range(BEFORE)] + [features(random, **change) for _ in range(AFTER)]
            counts.append(first_alert(cases, fingerprint, BEFORE))
        seen = [count for count in counts if count is not None]
        missed += len(counts) - len(seen)
        print(f"| {name} | {np.median(seen) if seen else '-'} | {max(seen, default='-')} | {len(counts) - len(seen)} |")
    false = sum(
        first_alert([features(random) for _ in range(150)], fingerprint, FEWEST) is not None
        for _ in range(max(1, args.quiet // 150))
    )
    print(f"\n{false} false alerts in {max(1, args.quiet // 150) * 150} unchanged cases")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
