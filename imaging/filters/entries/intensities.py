"""Other intensities: contrast, standard scales, the bias field."""

from imaging.filters.entries.shared import RANGE, millimetres
from imaging.filters.entry import Filter
from imaging.parameters import Parameter

INTENSITIES = (
    Filter(
        "equalise",
        "contrast",
        f"histogram equalisation; {RANGE}",
        "images of low contrast over the whole field",
        "skimage.exposure.equalize_hist",
        (Parameter("bins", 256, 2, 65536, help="of the histogram"),),
        package="skimage",
    ),
    Filter(
        "clahe",
        "contrast",
        f"histogram equalisation tile by tile with limited contrast; {RANGE}",
        "contrast that differs over the field: fundus pictures, microscopy, X-ray",
        "skimage.exposure.equalize_adapthist",
        (
            Parameter("clip", 2.0, 0.1, 1000, help="limit of a bin, in heights of a flat histogram"),
            millimetres("tile_mm", 40.0, "side of a tile in mm; of pictures without a pixel size in pixels"),
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
        f"gamma correction; {RANGE}",
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
            millimetres("working_mm", 4.0, "voxel size at which the field is estimated; finer voxels are merged"),
            millimetres("knots_mm", 150.0, "distance of the field's control points"),
            Parameter("levels", 3, 1, 8, help="times that the control points are doubled"),
            Parameter("iterations", 50, 1, 1000, help="of each level at most"),
        ),
        package="SimpleITK",
        paper="Tustison et al., IEEE TMI 2010",
    ),
)
