"""All methods, as data: what each does and takes. ``zoo segment --list`` and the reference page are made of it."""

from imaging.classical.entry import Method
from imaging.parameters import Parameter
from medseg.errors import UsageError, expected_one_of
from medseg.untrusted import shown

_IMAGE = (
    Parameter("channel", -1, -1, 1023, tune=(-1, 0, 1, 2), help="of the scan, counted from 0; -1: the mean of all"),
    Parameter(
        "smooth_mm", 0.0, 0, 100, tune=(0.0, 0.7, 1.5, 3.0), help="sigma of a Gaussian that comes first, in mm; 0: none"
    ),
)
_SIDE = Parameter(
    "side",
    "bright",
    choices=("bright", "dark", "smaller"),
    tune=("bright", "dark", "smaller"),
    help="which voxels are the structure: above the threshold, below it, or whichever are fewer",
)
_KEEP = Parameter(
    "keep", -1, -1, 254, tune=(0, 1, 2, 3), help="class that becomes 1, all others 0; -1: all classes are written"
)
_CLEAN = (
    Parameter("largest", False, tune=(False, True), help="only the largest connected part"),
    Parameter("fill", False, tune=(False, True), help="fill holes"),
    Parameter("min_mm3", 0.0, 0, 1e9, tune=(0.0, 20.0, 200.0), help="smallest connected part, mm3 (mm2 in 2D)"),
    Parameter(
        "open_mm", 0.0, 0, 100, tune=(0.0, 1.0, 2.0), help="radius of a ball that the structure is opened by, in mm"
    ),
)
_GRID = Parameter(
    "max_voxels",
    1_000_000,
    1000,
    1_000_000_000,
    help="scans of more voxels are computed on a coarser grid and brought back",
)
_SMALL_GRID = Parameter("max_voxels", 200_000, 1000, 100_000_000, help=_GRID.help)
_CLASSES = Parameter("classes", 3, 2, 32, tune=(2, 3, 4), help="how many")
_SEED = Parameter("seed", 0, 0, 2**31 - 1, help="of the random start")
_WINDOW = Parameter(
    "window_mm", 25.0, 0.1, 1000, tune=(8.0, 15.0, 25.0, 50.0), help="side of the surroundings a voxel is compared with"
)


def _threshold(name, summary, paper, *extra, **facts):
    facts = {"wraps": f"skimage.filters.threshold_{name}", "packages": ("skimage",), **facts}
    return Method(
        name.replace("_", "-"),
        f"thresholds:{name}",
        summary,
        parameters=(*_IMAGE, *extra, *_CLEAN),
        paper=paper,
        **facts,
    )


METHODS = (
    _threshold("otsu", "threshold of the largest variance between two classes", "Otsu, IEEE SMC 1979", _SIDE),
    _threshold(
        "multi_otsu",
        "thresholds between several classes; 0 the darkest",
        "Liao et al., J. Inf. Sci. Eng. 2001",
        Parameter("classes", 3, 2, 5, tune=(3, 4), help="how many"),
        _KEEP,
        wraps="skimage.filters.threshold_multiotsu",
        classes=True,
    ),
    _threshold("li", "threshold of the smallest cross-entropy", "Li and Tam, Pattern Recognit. Lett. 1998", _SIDE),
    _threshold(
        "triangle", "threshold at the foot of the histogram's peak", "Zack et al., J. Histochem. Cytochem. 1977", _SIDE
    ),
    _threshold(
        "sauvola",
        "threshold of each voxel by mean and deviation of its surroundings, held back where these are even",
        "Sauvola and Pietikäinen, Pattern Recognit. 2000",
        _SIDE,
        _WINDOW,
        Parameter("k", 0.2, -1, 1, tune=(0.02, 0.05, 0.1, 0.2), help="weight of the deviation"),
        wraps="scipy.ndimage.uniform_filter",
        packages=(),
    ),
    _threshold(
        "niblack",
        "threshold of each voxel: mean of its surroundings, k deviations to the structure's side",
        "Niblack, Prentice-Hall 1986",
        _SIDE,
        _WINDOW,
        Parameter("k", 0.5, -5, 5, tune=(0.2, 0.5, 0.8, 1.2), help="deviations from the mean"),
        wraps="scipy.ndimage.uniform_filter",
        packages=(),
    ),
    _threshold(
        "hysteresis",
        "voxels beyond a low threshold that are connected to some beyond a high one",
        "Canny, IEEE PAMI 1986",
        _SIDE,
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
    Method(
        "region-growing",
        "growing:connected",
        "voxels connected to the seeds whose intensity lies near that of the seeds",
        "scipy.ndimage.label",
        (
            *_IMAGE,
            Parameter("tolerance", 0.15, 0, 10, tune=(0.05, 0.1, 0.15, 0.25), help="in ranges of percentiles 1 to 99"),
            *_CLEAN,
        ),
        seeds="needed",
        paper="Adams and Bischof, IEEE PAMI 1994",
    ),
    Method(
        "confidence-connected",
        "growing:confidence",
        "region growing whose interval follows mean and deviation of the region",
        "SimpleITK.ConfidenceConnected",
        (
            *_IMAGE,
            Parameter(
                "multiplier", 2.5, 0.1, 20, tune=(1.5, 2.0, 2.5, 3.0), help="deviations on each side of the mean"
            ),
            Parameter("iterations", 3, 0, 100, tune=(1, 3), help="times that the interval is measured anew"),
            Parameter("radius_mm", 1.0, 0, 100, help="around a seed that the first interval is measured in"),
            *_CLEAN,
        ),
        seeds="needed",
        packages=("SimpleITK",),
        paper="Ibanez et al., The ITK Software Guide",
    ),
    Method(
        "watershed",
        "watershed:watershed",
        "flooding of the gradient from the seeds; without seeds from flat places on both sides of Otsu's threshold",
        "skimage.segmentation.watershed",
        (
            *_IMAGE,
            Parameter("gradient_mm", 1.0, 0.01, 100, tune=(0.7, 1.0, 2.0), help="sigma of the gradient in mm"),
            _SIDE,
            _GRID,
            *_CLEAN,
        ),
        seeds="optional",
        packages=("skimage",),
        paper="Meyer, Signal Process. 1994",
    ),
    Method(
        "graph-cut",
        "graph_cut:graph_cut",
        "minimal cut between the seeds through a graph of superpixels: intensities of the seeds against edges",
        "scipy.sparse.csgraph.maximum_flow, skimage.segmentation.slic",
        (
            *_IMAGE,
            Parameter("region_voxels", 16, 1, 10000, help="voxels a superpixel on the working grid"),
            Parameter("smoothness", 1.0, 0, 1000, tune=(0.5, 1.0, 2.0, 4.0), help="weight of the boundary"),
            Parameter(
                "prior", 1.0, 0, 100, tune=(0.0, 0.5, 1.0, 2.0), help="weight of the seeds' intensities and spread"
            ),
            Parameter("max_voxels", 20_000, 1000, 1_000_000, help=_GRID.help),
            *_CLEAN,
        ),
        seeds="needed",
        packages=("skimage",),
        paper="Boykov and Jolly, ICCV 2001",
    ),
    Method(
        "grabcut",
        "graph_cut:grabcut",
        "graph cut with colour mixtures that are fitted in turns, inside a box or from seeds",
        "cv2.grabCut",
        (
            *_IMAGE,
            Parameter("iterations", 5, 1, 100, help="rounds of fitting and cutting"),
            Parameter("max_voxels", 200_000, 1000, 100_000_000, help=_GRID.help),
            *_CLEAN,
        ),
        ranks=(2,),
        seeds="needed",
        paper="Rother et al., SIGGRAPH 2004",
    ),
    Method(
        "random-walker",
        "random_walker:random_walker",
        "the seed that a random walk reaches first, with a prior of the seeds' intensities and spread",
        "scipy.sparse.linalg.cg",
        (
            *_IMAGE,
            Parameter("beta", 2.5, 0, 10000, tune=(0.3, 1.0, 2.5, 6.0), help="how strongly edges hold the walk"),
            Parameter(
                "prior", 0.003, 0, 100, tune=(0.0, 0.001, 0.003, 0.01), help="weight of the prior; 0: seeds alone"
            ),
            Parameter("max_voxels", 30_000, 1000, 1_000_000, help=_GRID.help),
            *_CLEAN,
        ),
        seeds="needed",
        paper="Grady, IEEE PAMI 2006; Grady, CVPR 2005 (priors)",
    ),
    Method(
        "k-means",
        "clustering:k_means",
        "clusters of intensity (of all channels, if channel is -1), by rising mean; 0 the darkest",
        "sklearn.cluster.KMeans",
        (*_IMAGE, _CLASSES, _KEEP, _SEED, *_CLEAN),
        classes=True,
        packages=("sklearn",),
        paper="Lloyd, IEEE Inf. Theory 1982",
    ),
    Method(
        "gaussian-mixture",
        "clustering:gaussian_mixture",
        "mixture of normal distributions of intensity, classes by rising mean; 0 the darkest",
        "sklearn.mixture.GaussianMixture",
        (*_IMAGE, _CLASSES, _KEEP, _SEED, *_CLEAN),
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
            *_IMAGE,
            Parameter("size_mm", 8.0, 0.1, 1000, tune=(4.0, 8.0, 16.0), help="side of a superpixel in mm"),
            Parameter("compactness", 0.1, 1e-4, 100, tune=(0.03, 0.1, 0.3), help="evenness of shape against intensity"),
            Parameter(
                "merge",
                "bright",
                choices=("none", "bright", "dark"),
                tune=("bright", "dark"),
                help="none numbers the superpixels from 1; bright and dark write 1 where the mean is on that side",
            ),
            _GRID,
            *_CLEAN,
        ),
        classes=True,
        packages=("skimage",),
        paper="Achanta et al., IEEE PAMI 2012",
    ),
    Method(
        "chan-vese",
        "contours:chan_vese",
        "a contour between two regions of even intensity; starts at the seeds, or at Otsu's threshold",
        "skimage.segmentation.morphological_chan_vese",
        (
            *_IMAGE,
            _SIDE,
            Parameter("iterations", 40, 1, 10000, help="steps"),
            Parameter("smoothing", 1, 0, 20, tune=(1, 3), help="rounds of smoothing a step"),
            _SMALL_GRID,
            *_CLEAN,
        ),
        seeds="optional",
        packages=("skimage",),
        paper="Chan and Vese, IEEE TIP 2001; Marquez-Neila et al., IEEE PAMI 2014",
    ),
    Method(
        "geodesic-contours",
        "contours:geodesic",
        "a contour that grows from the seeds (or shrinks) until edges hold it",
        "skimage.segmentation.morphological_geodesic_active_contour",
        (
            *_IMAGE,
            Parameter("edge_mm", 2.5, 0.01, 100, tune=(1.0, 2.5, 4.0), help="sigma of the edges in mm"),
            Parameter("balloon", 1.0, -10, 10, help="grows where positive, shrinks where negative"),
            Parameter("threshold", 0.5, 0, 1, tune=(0.35, 0.5, 0.65), help="of the edge map, that stops the contour"),
            Parameter("start_mm", 3.0, 0.1, 1000, tune=(3.0, 6.0), help="radius of the start around each seed"),
            Parameter("iterations", 60, 1, 10000, tune=(30, 60, 120), help="steps"),
            _SMALL_GRID,
            *_CLEAN,
        ),
        seeds="needed",
        packages=("skimage",),
        paper="Caselles et al., IJCV 1997; Marquez-Neila et al., IEEE PAMI 2014",
    ),
    Method(
        "atlas",
        "atlas:atlas",
        "labelled scans registered to the scan, whose labels vote",
        "SimpleITK.ImageRegistrationMethod, SimpleITK.FastSymmetricForcesDemonsRegistrationFilter",
        (
            Parameter("channel", -1, -1, 1023, help=_IMAGE[0].help),
            Parameter(
                "fusion", "vote", choices=("vote", "staple"), tune=("vote", "staple"), help="of the atlases' labels"
            ),
            Parameter("atlases", 9, 1, 1000, help="of those given, the most alike after affine registration"),
            Parameter(
                "registration",
                "deformable",
                choices=("affine", "deformable"),
                help="stretched and turned, or warped by demons after that",
            ),
            Parameter("field_mm", 1.0, 0.1, 1000, tune=(1.0, 1.5), help="sigma that the warp is smoothed by, in mm"),
            Parameter("iterations", 30, 1, 10000, help="of the warp"),
            Parameter("max_voxels", 300_000, 1000, 100_000_000, help=_GRID.help),
            *_CLEAN,
        ),
        atlases=True,
        classes=True,
        packages=("SimpleITK",),
        paper="Heckemann et al., NeuroImage 2006; Vercauteren et al., NeuroImage 2009; Warfield et al., IEEE TMI 2004",
    ),
)

_BY_NAME = {method.name: method for method in METHODS}


def names() -> tuple[str, ...]:
    """The names of all methods."""
    return tuple(_BY_NAME)


def get(name: str) -> Method:
    """The entry of a method.

    Raises:
        UsageError: for an unknown name, with one that is near.
    """
    if not isinstance(name, str) or name not in _BY_NAME:
        raise UsageError(f"method {shown(name)}: unknown; {expected_one_of(str(name), _BY_NAME)}")
    return _BY_NAME[name]
