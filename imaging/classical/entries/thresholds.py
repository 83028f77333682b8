"""Thresholds of intensity, of the scan or of each voxel's surroundings."""

from imaging.classical.entries.shared import CLEAN, IMAGE, KEEP, SIDE, WINDOW
from imaging.classical.entry import Method
from imaging.parameters import Parameter


def _threshold(name, summary, paper, *extra, **facts):
    facts = {"wraps": f"skimage.filters.threshold_{name}", "packages": ("skimage",), **facts}
    return Method(
        name.replace("_", "-"),
        f"thresholds:{name}",
        summary,
        parameters=(*IMAGE, *extra, *CLEAN),
        paper=paper,
        **facts,
    )


THRESHOLDS = (
    _threshold("otsu", "threshold of the largest variance between two classes", "Otsu, IEEE SMC 1979", SIDE),
    _threshold(
        "multi_otsu",
        "thresholds between several classes; 0 the darkest",
        "Liao et al., J. Inf. Sci. Eng. 2001",
        Parameter("classes", 3, 2, 5, tune=(3, 4), help="how many"),
        KEEP,
        wraps="skimage.filters.threshold_multiotsu",
        classes=True,
    ),
    _threshold("li", "threshold of the smallest cross-entropy", "Li and Tam, Pattern Recognit. Lett. 1998", SIDE),
    _threshold(
        "triangle", "threshold at the foot of the histogram's peak", "Zack et al., J. Histochem. Cytochem. 1977", SIDE
    ),
    _threshold(
        "sauvola",
        "threshold of each voxel by mean and deviation of its surroundings, held back where these are even",
        "Sauvola and Pietikäinen, Pattern Recognit. 2000",
        SIDE,
        WINDOW,
        Parameter("k", 0.2, -1, 1, tune=(0.02, 0.05, 0.1, 0.2), help="weight of the deviation"),
        wraps="scipy.ndimage.uniform_filter",
        packages=(),
    ),
    _threshold(
        "niblack",
        "threshold of each voxel: mean of its surroundings, k deviations to the structure's side",
        "Niblack, Prentice-Hall 1986",
        SIDE,
        WINDOW,
        Parameter("k", 0.5, -5, 5, tune=(0.2, 0.5, 0.8, 1.2), help="deviations from the mean"),
        wraps="scipy.ndimage.uniform_filter",
        packages=(),
    ),
    _threshold(
        "hysteresis",
        "voxels beyond a low threshold that are connected to some beyond a high one",
        "Canny, IEEE PAMI 1986",
        SIDE,
        Parameter("low", 70.0, 0, 100, tune=(50.0, 70.0, 85.0), help="percentile of the scan"),
        Parameter("high", 90.0, 0, 100, tune=(80.0, 90.0, 97.0), help="percentile of the scan"),
        wraps="skimage.filters.apply_hysteresis_threshold",
    ),
    _threshold(
        "ridges",
        "thin lines and tubes: ridges over several widths, and hysteresis on them",
        "Lindeberg, IJCV 1998; Sato et al., Med. Image Anal. 1998",
        Parameter("side", "bright", choices=("bright", "dark"), tune=("bright", "dark"), help="of the lines"),
        Parameter("smallest_mm", 1.5, 0.1, 100, tune=(1.0, 1.5, 2.0), help="smallest sigma in mm, about half a width"),
        Parameter("largest_mm", 4.0, 0.1, 100, tune=(3.0, 4.0, 5.0), help="largest sigma in mm"),
        Parameter(
            "length_mm",
            0.0,
            0,
            1000,
            tune=(0.0, 8.0, 16.0),
            help="in 2D, what a line must run straight for; 0: nothing",
        ),
        Parameter(
            "share", 10.0, 0.01, 90, tune=(6.0, 8.0, 10.0, 12.0), help="of the field of view, percent at the most"
        ),
        wraps="scipy.ndimage.gaussian_filter, skimage.filters.apply_hysteresis_threshold",
    ),
)
