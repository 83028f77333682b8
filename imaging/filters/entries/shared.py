"""Parameters and words that entries share."""

from imaging.parameters import Parameter

LARGEST_MM = 1000.0


def millimetres(name: str, default: float, text: str, low: float = 1e-6) -> Parameter:
    """A parameter that is a length in mm."""
    return Parameter(name, default, low, LARGEST_MM, help=text)


RADIUS = millimetres(
    "radius_mm", 1.0, "radius of the ball in mm; along an axis of thicker slices it reaches fewer voxels"
)
SLICES = "slices more than 1.5 times as thick as the voxels of their plane are filtered one by one"
RANGE = "the result keeps the channel's smallest and largest value"
