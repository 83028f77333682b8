"""Another grid: voxel size, box, registration."""

from imaging.filters.entries.shared import millimetres
from imaging.filters.entry import Filter
from imaging.parameters import Parameter

PLACES = (
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
        (millimetres("margin_mm", 5.0, "kept around the box, in mm", low=0.0),),
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
            millimetres("smooth_mm", 3.0, "standard deviation that a deformable one smooths its displacements by"),
            Parameter("iterations", 100, 1, 10000, help="of each of three resolutions, and of the demons"),
            Parameter("reference", None, learnt=True, help="file of the reference scan; planning takes it in"),
        ),
        whole_scan=True,
        moves=True,
        package="SimpleITK",
        paper="Mattes et al., IEEE TMI 2003; Vercauteren et al., NeuroImage 2009",
    ),
)
