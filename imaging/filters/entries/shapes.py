"""Structures by their shape: morphology and vessels."""

from imaging.filters.entries.shared import RADIUS, millimetres
from imaging.filters.entry import Filter
from imaging.parameters import Parameter

SHAPES = (
    Filter(
        "opening",
        "morphology",
        "grey opening by a ball: bright structures that it does not fit into disappear",
        "bright specks, thin bright bridges between organs",
        "scipy.ndimage.grey_opening",
        (RADIUS,),
    ),
    Filter(
        "closing",
        "morphology",
        "grey closing by a ball: dark structures that it does not fit into disappear",
        "dark specks and gaps",
        "scipy.ndimage.grey_closing",
        (RADIUS,),
    ),
    Filter(
        "tophat",
        "morphology",
        "what an opening (white) or a closing (black) takes away",
        "small structures on an uneven background: vessels, nuclei, lesions",
        "scipy.ndimage.white_tophat, scipy.ndimage.black_tophat",
        (
            Parameter("kind", "white", choices=("white", "black"), help="bright or dark structures"),
            millimetres("radius_mm", 3.0, "radius of the ball in mm; larger than what is to be kept"),
        ),
    ),
    Filter(
        "frangi",
        "vessels",
        "vesselness, 0 to 1, the largest over several widths in mm",
        "vessels and other tubes in angiography, fundus pictures and microscopy",
        "SimpleITK.SmoothingRecursiveGaussian, SimpleITK.ObjectnessMeasure",
        (
            millimetres("smallest_mm", 1.0, "smallest sigma in mm, about half a vessel's radius"),
            millimetres("largest_mm", 3.0, "largest sigma in mm"),
            Parameter("scales", 3, 1, 20, help="sigmas from smallest to largest"),
            Parameter("polarity", "bright", choices=("bright", "dark"), help="of the vessels"),
            Parameter("alpha", 0.5, 1e-3, 1e3, help="how much plates are held down"),
            Parameter("beta", 0.5, 1e-3, 1e3, help="how much blobs are held down"),
            Parameter("structure", 15.0, 1e-3, 1e6, help="how much noise is held down, for intensities of 0 to 255"),
        ),
        package="SimpleITK",
        paper="Frangi et al., MICCAI 1998; Antiga, Insight Journal 2007",
    ),
)
