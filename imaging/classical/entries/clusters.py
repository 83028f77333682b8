"""Clusters of intensity, and superpixels."""

from imaging.classical.entries.shared import CLASSES, CLEAN, GRID, IMAGE, KEEP, SEED
from imaging.classical.entry import Method
from imaging.parameters import Parameter

CLUSTERS = (
    Method(
        "k-means",
        "clustering:k_means",
        "clusters of intensity (of all channels, if channel is -1), by rising mean; 0 the darkest",
        "sklearn.cluster.KMeans",
        (*IMAGE, CLASSES, KEEP, SEED, *CLEAN),
        classes=True,
        packages=("sklearn",),
        paper="Lloyd, IEEE Inf. Theory 1982",
    ),
    Method(
        "gaussian-mixture",
        "clustering:gaussian_mixture",
        "mixture of normal distributions of intensity, classes by rising mean; 0 the darkest",
        "sklearn.mixture.GaussianMixture",
        (*IMAGE, CLASSES, KEEP, SEED, *CLEAN),
        classes=True,
        packages=("sklearn",),
        paper="Dempster et al., J. R. Stat. Soc. B 1977",
    ),
    Method(
        "slic",
        "clustering:slic",
        "superpixels, numbered, or those whose mean lies on a side of Otsu's threshold of the means",
        "skimage.segmentation.slic",
        (
            *IMAGE,
            Parameter("size_mm", 8.0, 0.1, 1000, tune=(4.0, 8.0, 16.0), help="side of a superpixel in mm"),
            Parameter("compactness", 0.1, 1e-4, 100, tune=(0.03, 0.1, 0.3), help="evenness of shape against intensity"),
            Parameter(
                "merge",
                "bright",
                choices=("none", "bright", "dark"),
                tune=("bright", "dark"),
                help="none numbers the superpixels from 1; bright and dark write 1 where the mean is on that side",
            ),
            GRID,
            *CLEAN,
        ),
        classes=True,
        packages=("skimage",),
        paper="Achanta et al., IEEE PAMI 2012",
    ),
)
