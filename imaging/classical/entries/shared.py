"""Parameters that several methods take."""

from imaging.parameters import Parameter

IMAGE = (
    Parameter("channel", -1, -1, 1023, tune=(-1, 0, 1, 2), help="of the scan, counted from 0; -1: the mean of all"),
    Parameter(
        "smooth_mm", 0.0, 0, 100, tune=(0.0, 0.7, 1.5, 3.0), help="sigma of a Gaussian that comes first, in mm; 0: none"
    ),
)
SIDE = Parameter(
    "side",
    "bright",
    choices=("bright", "dark", "smaller"),
    tune=("bright", "dark", "smaller"),
    help="which voxels are the structure: above the threshold, below it, or whichever are fewer",
)
KEEP = Parameter(
    "keep", -1, -1, 254, tune=(0, 1, 2, 3), help="class that becomes 1, all others 0; -1: all classes are written"
)
CLEAN = (
    Parameter("largest", False, tune=(False, True), help="only the largest connected part"),
    Parameter("fill", False, tune=(False, True), help="fill holes"),
    Parameter("min_mm3", 0.0, 0, 1e9, tune=(0.0, 20.0, 200.0), help="smallest connected part, mm3 (mm2 in 2D)"),
    Parameter(
        "open_mm", 0.0, 0, 100, tune=(0.0, 1.0, 2.0), help="radius of a ball that the structure is opened by, in mm"
    ),
)
GRID = Parameter(
    "max_voxels",
    1_000_000,
    1000,
    1_000_000_000,
    help="scans of more voxels are computed on a coarser grid and brought back",
)
SMALL_GRID = Parameter("max_voxels", 200_000, 1000, 100_000_000, help=GRID.help)
CLASSES = Parameter("classes", 3, 2, 32, tune=(2, 3, 4), help="how many")
SEED = Parameter("seed", 0, 0, 2**31 - 1, help="of the random start")
WINDOW = Parameter(
    "window_mm", 25.0, 0.1, 1000, tune=(8.0, 15.0, 25.0, 50.0), help="side of the surroundings a voxel is compared with"
)
