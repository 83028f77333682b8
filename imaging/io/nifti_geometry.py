"""What a NIfTI header says of where its voxels lie, kept so that a result lies there for every reader."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NiftiGeometry:
    """The fields of a NIfTI header that place voxels, as stored.

    A header holds up to two transforms, and readers differ in which they prefer: nibabel takes the sform, ITK may take
    the qform, and where both codes are 0 each has a rule of its own. A file with these same fields is therefore the
    only one that lies where the source lies for all of them.

    Attributes:
        version: 1 or 2, of the format.
        qform_code: what the quaternion stands for, 0 for nothing.
        sform_code: what the rows stand for, 0 for nothing.
        quaternion: b, c and d.
        offset: x, y and z that go with the quaternion.
        rows: the 12 numbers of srow_x, srow_y and srow_z.
        pixdim: qfac and the voxel size along three axes.
        units: the code of the units of length and time.
    """

    version: int
    qform_code: int
    sform_code: int
    quaternion: tuple[float, ...]
    offset: tuple[float, ...]
    rows: tuple[float, ...]
    pixdim: tuple[float, ...]
    units: int
