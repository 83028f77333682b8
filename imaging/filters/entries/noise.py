"""Less noise: smoothing, with edges kept or not."""

from imaging.filters.entries.shared import RADIUS, SLICES, millimetres
from imaging.filters.entry import Filter
from imaging.parameters import Parameter

NOISE = (
    Filter(
        "gaussian",
        "smoothing",
        "Gaussian smoothing of one width in mm along every axis",
        "noise that is finer than the structures; the first thing to try",
        "scipy.ndimage.gaussian_filter",
        (millimetres("sigma_mm", 1.0, "standard deviation in mm"),),
    ),
    Filter(
        "median",
        "smoothing",
        "median of the voxels within a radius",
        "single bright or dark voxels (salt and pepper, dead detectors, speckle); edges stay",
        "scipy.ndimage.median_filter",
        (RADIUS,),
    ),
    Filter(
        "nlm",
        "edge_preserving",
        f"non-local means: voxels are averaged with those whose surroundings look alike; {SLICES}",
        "strong even noise where small structures must stay, as in low-dose CT and fast MR",
        "skimage.restoration.denoise_nl_means",
        (
            millimetres("patch_mm", 3.0, "side of the surroundings that are compared"),
            millimetres("distance_mm", 5.0, "how far away the compared voxels lie at most"),
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
            millimetres("sigma_mm", 1.5, "standard deviation in space, in mm"),
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
            millimetres("sigma_mm", 1.5, "standard deviation in mm of the smoothing where there is no edge"),
            Parameter("conductance", 1.0, 0.01, 100, help="how strong an edge is smoothed over, in mean gradients"),
        ),
        package="SimpleITK",
        paper="Perona and Malik, IEEE PAMI 1990; Whitaker and Xue, ICIP 2001",
    ),
    Filter(
        "tv",
        "edge_preserving",
        f"total variation denoising (Chambolle); {SLICES}",
        "noise on regions that are flat, such as CT of bone and air; gives piecewise constant images",
        "numpy, the steps of skimage.restoration.denoise_tv_chambolle",
        (
            Parameter("weight", 0.05, 1e-6, 100, help="strength, for intensities scaled to 0 to 1"),
            Parameter("iterations", 100, 1, 10000, help="steps at most"),
        ),
        paper="Chambolle, J. Math. Imaging Vis. 2004",
    ),
)
