"""All filters, as data: what each does, is for and takes. ``zoo filters`` and the reference page are made of it."""

from imaging.filters.entry import Filter
from imaging.parameters import Parameter
from medseg.errors import UsageError, expected_one_of
from medseg.untrusted import shown

_LARGEST_MM = 1000.0


def _mm(name, default, text, low=1e-6):
    return Parameter(name, default, low, _LARGEST_MM, help=text)


_RADIUS = _mm("radius_mm", 1.0, "radius of the ball in mm; along an axis of thicker slices it reaches fewer voxels")
_SLICES = "slices more than 1.5 times as thick as the voxels of their plane are filtered one by one"
_RANGE = "the result keeps the channel's smallest and largest value"

FILTERS = (
    Filter(
        "gaussian",
        "smoothing",
        "Gaussian smoothing of one width in mm along every axis",
        "noise that is finer than the structures; the first thing to try",
        "scipy.ndimage.gaussian_filter",
        (_mm("sigma_mm", 1.0, "standard deviation in mm"),),
    ),
    Filter(
        "median",
        "smoothing",
        "median of the voxels within a radius",
        "single bright or dark voxels (salt and pepper, dead detectors, speckle); edges stay",
        "scipy.ndimage.median_filter",
        (_RADIUS,),
    ),
    Filter(
        "nlm",
        "edge_preserving",
        f"non-local means: voxels are averaged with those whose surroundings look alike; {_SLICES}",
        "strong even noise where small structures must stay, as in low-dose CT and fast MR",
        "skimage.restoration.denoise_nl_means",
        (
            _mm("patch_mm", 3.0, "side of the surroundings that are compared"),
            _mm("distance_mm", 5.0, "how far away the compared voxels lie at most"),
            Parameter("strength", 0.8, 0.01, 10, help="how unlike surroundings may be, in noise deviations"),
        ),
        package="skimage",
        paper="Buades et al., CVPR 2005",
    ),
    Filter(
        "bilateral",
        "edge_preserving",
        "average of near voxels of similar intensity",
        "moderate noise where edges must stay",
        "SimpleITK.Bilateral",
        (
            _mm("sigma_mm", 1.5, "standard deviation in space, in mm"),
            Parameter(
                "range",
                0.1,
                1e-4,
                10,
                help="standard deviation of intensities, as a share of the distance of percentiles 1 and 99",
            ),
        ),
        package="SimpleITK",
        paper="Tomasi and Manduchi, ICCV 1998",
    ),
    Filter(
        "diffusion",
        "edge_preserving",
        "anisotropic diffusion: smoothing that stops at edges, in mm",
        "noise in MR and ultrasound before thresholds, watersheds and small networks",
        "SimpleITK.GradientAnisotropicDiffusion, SimpleITK.CurvatureAnisotropicDiffusion",
        (
            Parameter(
                "kind",
                "perona_malik",
                choices=("perona_malik", "curvature"),
                help="by the gradient, or by curvature, which spares thin lines",
            ),
            _mm("sigma_mm", 1.5, "standard deviation in mm of the smoothing where there is no edge"),
            Parameter("conductance", 1.0, 0.01, 100, help="how strong an edge is smoothed over, in mean gradients"),
        ),
        package="SimpleITK",
        paper="Perona and Malik, IEEE PAMI 1990; Whitaker and Xue, ICIP 2001",
    ),
    Filter(
        "tv",
        "edge_preserving",
        f"total variation denoising (Chambolle); {_SLICES}",
        "noise on regions that are flat, such as CT of bone and air; gives piecewise constant images",
        "skimage.restoration.denoise_tv_chambolle",
        (
            Parameter("weight", 0.05, 1e-6, 100, help="strength, for intensities scaled to 0 to 1"),
            Parameter("iterations", 100, 1, 10000, help="steps at most"),
        ),
        package="skimage",
        paper="Chambolle, J. Math. Imaging Vis. 2004",
    ),
    Filter(
        "equalise",
        "contrast",
        f"histogram equalisation; {_RANGE}",
        "images of low contrast over the whole field",
        "skimage.exposure.equalize_hist",
        (Parameter("bins", 256, 2, 65536, help="of the histogram"),),
        package="skimage",
    ),
    Filter(
        "clahe",
        "contrast",
        f"histogram equalisation tile by tile with limited contrast; {_RANGE}",
        "contrast that differs over the field: fundus pictures, microscopy, X-ray",
        "skimage.exposure.equalize_adapthist",
        (
            Parameter("clip", 2.0, 0.1, 1000, help="limit of a bin, in heights of a flat histogram"),
            _mm("tile_mm", 40.0, "side of a tile in mm; of pictures without a pixel size in pixels"),
            Parameter("bins", 256, 2, 65536, help="of each histogram"),
        ),
        package="skimage",
        paper="Zuiderveld, Graphics Gems IV 1994",
    ),
    Filter(
        "stretch",
        "contrast",
        "two percentiles become 0 and 1, what lies beyond them is cut",
        "scans of differing scale; a few very bright voxels",
        "skimage.exposure.rescale_intensity",
        (
            Parameter("low", 1.0, 0, 100, help="percentile that becomes 0"),
            Parameter("high", 99.0, 0, 100, help="percentile that becomes 1"),
        ),
        package="skimage",
    ),
    Filter(
        "gamma",
        "contrast",
        f"gamma correction; {_RANGE}",
        "detail in dark (below 1) or bright (above 1) regions",
        "skimage.exposure.adjust_gamma",
        (Parameter("gamma", 0.7, 0.01, 100, help="exponent, for intensities scaled to 0 to 1"),),
        package="skimage",
    ),
    Filter(
        "window",
        "contrast",
        "intensities outside a window are cut to its ends; the unit stays",
        "CT: what a radiologist's window shows, such as soft tissue 40:400, lung -600:1500, bone 400:1800",
        "numpy.clip",
        (
            Parameter("centre", 40.0, -1e9, 1e9, help="of the window, in the scan's unit (HU)"),
            Parameter("width", 400.0, 1e-9, 1e9, help="of the window"),
        ),
    ),
    Filter(
        "match",
        "standardise",
        "histogram matching to the mean histogram of the training cases",
        "scans of other scanners or protocols than those of training",
        "skimage.exposure.match_histograms",
        (
            Parameter("points", 256, 16, 2048, help="quantiles that stand for the histogram"),
            Parameter("quantiles", None, learnt=True, help="the mean of the training cases at those points, a channel"),
        ),
        whole_scan=True,
        package="skimage",
    ),
    Filter(
        "nyul",
        "standardise",
        "piecewise linear standardisation by landmarks of the histogram (Nyúl and Udupa)",
        "MR, whose intensities have no unit, of several scanners",
        "numpy.interp",
        (
            Parameter("low", 1.0, 0, 49, help="percentile of the first landmark; those between are the deciles"),
            Parameter("high", 99.0, 51, 100, help="percentile of the last landmark"),
            Parameter("landmarks", None, learnt=True, help="their places on the standard scale, a channel"),
        ),
        whole_scan=True,
        paper="Nyúl, Udupa and Zhang, IEEE TMI 2000",
    ),
    Filter(
        "n4",
        "bias_field",
        "N4 correction of a smooth bias field; voxels of at most 0 stay as they are",
        "MR that is brighter near the coil",
        "SimpleITK.N4BiasFieldCorrectionImageFilter",
        (
            _mm("working_mm", 4.0, "voxel size at which the field is estimated; finer voxels are merged"),
            _mm("knots_mm", 150.0, "distance of the field's control points"),
            Parameter("levels", 3, 1, 8, help="times that the control points are doubled"),
            Parameter("iterations", 50, 1, 1000, help="of each level at most"),
        ),
        package="SimpleITK",
        paper="Tustison et al., IEEE TMI 2010",
    ),
    Filter(
        "opening",
        "morphology",
        "grey opening by a ball: bright structures that it does not fit into disappear",
        "bright specks, thin bright bridges between organs",
        "scipy.ndimage.grey_opening",
        (_RADIUS,),
    ),
    Filter(
        "closing",
        "morphology",
        "grey closing by a ball: dark structures that it does not fit into disappear",
        "dark specks and gaps",
        "scipy.ndimage.grey_closing",
        (_RADIUS,),
    ),
    Filter(
        "tophat",
        "morphology",
        "what an opening (white) or a closing (black) takes away",
        "small structures on an uneven background: vessels, nuclei, lesions",
        "scipy.ndimage.white_tophat, scipy.ndimage.black_tophat",
        (
            Parameter("kind", "white", choices=("white", "black"), help="bright or dark structures"),
            _mm("radius_mm", 3.0, "radius of the ball in mm; larger than what is to be kept"),
        ),
    ),
    Filter(
        "frangi",
        "vessels",
        "vesselness, 0 to 1, the largest over several widths in mm",
        "vessels and other tubes in angiography, fundus pictures and microscopy",
        "SimpleITK.SmoothingRecursiveGaussian, SimpleITK.ObjectnessMeasure",
        (
            _mm("smallest_mm", 1.0, "smallest sigma in mm, about half a vessel's radius"),
            _mm("largest_mm", 3.0, "largest sigma in mm"),
            Parameter("scales", 3, 1, 20, help="sigmas from smallest to largest"),
            Parameter("polarity", "bright", choices=("bright", "dark"), help="of the vessels"),
            Parameter("alpha", 0.5, 1e-3, 1e3, help="how much plates are held down"),
            Parameter("beta", 0.5, 1e-3, 1e3, help="how much blobs are held down"),
            Parameter("structure", 15.0, 1e-3, 1e6, help="how much noise is held down, for intensities of 0 to 255"),
        ),
        package="SimpleITK",
        paper="Frangi et al., MICCAI 1998; Antiga, Insight Journal 2007",
    ),
    Filter(
        "resize",
        "geometry",
        "voxels of another size, averaged where they are larger",
        "a smaller scan before slow filters; recipes have spacing for the network's own grid",
        "imaging.resample",
        (Parameter("spacing_mm", 1.0, 1e-6, 1000, many=True, help="voxel size in mm, for all axes or one an axis"),),
        whole_scan=True,
        moves=True,
    ),
    Filter(
        "crop_body",
        "geometry",
        "cut to the box of the largest bright region, which Otsu's threshold finds",
        "scans with much air around the body; unlike crop_nonzero it needs no zeros",
        "skimage.filters.threshold_otsu, scipy.ndimage.label",
        (_mm("margin_mm", 5.0, "kept around the box, in mm", low=0.0),),
        whole_scan=True,
        moves=True,
        package="skimage",
    ),
    Filter(
        "register",
        "registration",
        "registration to a reference scan; the segmentation is carried back to the scan",
        "scans of differing pose, where the place in the body matters",
        "SimpleITK.ImageRegistrationMethod, SimpleITK.DiffeomorphicDemonsRegistrationFilter",
        (
            Parameter(
                "kind",
                "rigid",
                choices=("rigid", "affine", "deformable"),
                help="turned and moved, also stretched, or warped by a smooth field after that",
            ),
            _mm("smooth_mm", 3.0, "standard deviation that the displacements of a deformable one are smoothed by"),
            Parameter("iterations", 100, 1, 10000, help="of each of three resolutions, and of the demons"),
            Parameter("reference", None, learnt=True, help="file of the reference scan; planning takes it in"),
        ),
        whole_scan=True,
        moves=True,
        package="SimpleITK",
        paper="Mattes et al., IEEE TMI 2003; Vercauteren et al., NeuroImage 2009",
    ),
)

_BY_NAME = {entry.name: entry for entry in FILTERS}


def names() -> tuple[str, ...]:
    """The names of all filters."""
    return tuple(_BY_NAME)


def get(name: str) -> Filter:
    """The entry of a filter.

    Raises:
        UsageError: for an unknown name, with those that are near.
    """
    if not isinstance(name, str) or name not in _BY_NAME:
        raise UsageError(f"filter {shown(name)}: unknown; {expected_one_of(str(name), _BY_NAME)}")
    return _BY_NAME[name]
