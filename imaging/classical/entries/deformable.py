"""What is deformed until it fits: contours, and atlases of labelled scans."""

from imaging.classical.entries.shared import CLEAN, GRID, IMAGE, SIDE, SMALL_GRID
from imaging.classical.entry import Method
from imaging.parameters import Parameter

DEFORMABLE = (
    Method(
        "chan-vese",
        "contours:chan_vese",
        "a contour between two regions of even intensity; starts at the seeds, or at Otsu's threshold",
        "skimage.segmentation.morphological_chan_vese",
        (
            *IMAGE,
            SIDE,
            Parameter("iterations", 40, 1, 10000, help="steps"),
            Parameter("smoothing", 1, 0, 20, tune=(1, 3), help="rounds of smoothing a step"),
            SMALL_GRID,
            *CLEAN,
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
            *IMAGE,
            Parameter("edge_mm", 2.5, 0.01, 100, tune=(1.0, 2.5, 4.0), help="sigma of the edges in mm"),
            Parameter("balloon", 1.0, -10, 10, help="grows where positive, shrinks where negative"),
            Parameter("threshold", 0.5, 0, 1, tune=(0.35, 0.5, 0.65), help="of the edge map, that stops the contour"),
            Parameter("start_mm", 3.0, 0.1, 1000, tune=(3.0, 6.0), help="radius of the start around each seed"),
            Parameter("iterations", 60, 1, 10000, tune=(30, 60, 120), help="steps"),
            SMALL_GRID,
            *CLEAN,
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
            Parameter("channel", -1, -1, 1023, help=IMAGE[0].help),
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
            Parameter("max_voxels", 300_000, 1000, 100_000_000, help=GRID.help),
            *CLEAN,
        ),
        atlases=True,
        classes=True,
        packages=("SimpleITK",),
        paper="Heckemann et al., NeuroImage 2006; Vercauteren et al., NeuroImage 2009; Warfield et al., IEEE TMI 2004",
    ),
)
