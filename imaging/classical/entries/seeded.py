"""Methods that start from seeds: region growing, watershed, cuts of graphs, the random walker."""

from imaging.classical.entries.shared import CLEAN, GRID, IMAGE, SIDE
from imaging.classical.entry import Method
from imaging.parameters import Parameter

SEEDED = (
    Method(
        "region-growing",
        "growing:connected",
        "voxels connected to the seeds whose intensity lies near that of the seeds",
        "scipy.ndimage.label",
        (
            *IMAGE,
            Parameter("tolerance", 0.15, 0, 10, tune=(0.05, 0.1, 0.15, 0.25), help="in ranges of percentiles 1 to 99"),
            *CLEAN,
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
            *IMAGE,
            Parameter(
                "multiplier", 2.5, 0.1, 20, tune=(1.5, 2.0, 2.5, 3.0), help="deviations on each side of the mean"
            ),
            Parameter("iterations", 3, 0, 100, tune=(1, 3), help="times that the interval is measured anew"),
            Parameter("radius_mm", 1.0, 0, 100, help="around a seed that the first interval is measured in"),
            *CLEAN,
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
            *IMAGE,
            Parameter("gradient_mm", 1.0, 0.01, 100, tune=(0.7, 1.0, 2.0), help="sigma of the gradient in mm"),
            SIDE,
            GRID,
            *CLEAN,
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
            *IMAGE,
            Parameter("region_voxels", 16, 1, 10000, help="voxels a superpixel on the working grid"),
            Parameter("smoothness", 1.0, 0, 1000, tune=(0.5, 1.0, 2.0, 4.0), help="weight of the boundary"),
            Parameter(
                "prior", 1.0, 0, 100, tune=(0.0, 0.5, 1.0, 2.0), help="weight of the seeds' intensities and spread"
            ),
            Parameter("max_voxels", 20_000, 1000, 1_000_000, help=GRID.help),
            *CLEAN,
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
            *IMAGE,
            Parameter("iterations", 5, 1, 100, help="rounds of fitting and cutting"),
            Parameter("max_voxels", 200_000, 1000, 100_000_000, help=GRID.help),
            *CLEAN,
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
            *IMAGE,
            Parameter("beta", 2.5, 0, 10000, tune=(0.3, 1.0, 2.5, 6.0), help="how strongly edges hold the walk"),
            Parameter(
                "prior", 0.003, 0, 100, tune=(0.0, 0.001, 0.003, 0.01), help="weight of the prior; 0: seeds alone"
            ),
            Parameter("max_voxels", 30_000, 1000, 1_000_000, help=GRID.help),
            *CLEAN,
        ),
        seeds="needed",
        paper="Grady, IEEE PAMI 2006; Grady, CVPR 2005 (priors)",
    ),
)
