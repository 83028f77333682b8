"""Whether DICOM series are read as SimpleITK (GDCM) and dcm2niix read them, and SEG of others as their NRRD twins.

    python benchmarks/dicom/dicom_reading.py --data FOLDER [FOLDER ...]

Every folder below the given ones that holds DICOM images is a series or several. pydicom's own test files, which its
wheel ships, are read one by one beside SimpleITK. A SEG is compared with the NRRD file of the same folder that has as
many voxels. The exit status is 1 if a volume differs.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pydicom.data
import SimpleITK

import imaging
from imaging.io.dicom import find_series, read_series, segment_masks
from imaging.io.dicom.dataset import DicomFile
from imaging.io.dicom.label import label_object
from imaging.io.dicom.sources import files_of
from medseg.errors import InputError

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def by_simple_itk(paths) -> imaging.Scan:
    """A volume as SimpleITK reads it from files in the order of their slices."""
    if len(paths) == 1:
        image = SimpleITK.ReadImage(str(paths[0]))
    else:
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames([str(path) for path in paths])
        image = reader.Execute()
    affine = np.eye(4)
    size = image.GetDimension()
    affine[:size, :size] = np.reshape(image.GetDirection(), (size, size)) * image.GetSpacing()
    affine[:size, 3] = image.GetOrigin()
    voxels = SimpleITK.GetArrayFromImage(image)
    voxels = voxels if image.GetNumberOfComponentsPerPixel() > 1 else voxels[..., None]
    return imaging.Scan(voxels.transpose(*range(size)[::-1], size).astype(np.float32), LPS @ affine)


def by_dcm2niix(folder) -> imaging.Scan:
    """The one volume that dcm2niix makes of a folder."""
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(["dcm2niix", "-b", "n", "-z", "n", "-o", out, str(folder)], check=True, capture_output=True)
        (file,) = Path(out).glob("*.nii")
        return imaging.read(file)


def verdict(scan, reading) -> str:
    """How another reading of a scan differs."""
    try:
        reading = imaging.align(reading, scan, "other", "ours")
    except InputError as error:
        return f"differs: {error}"
    wrong = int(np.count_nonzero(scan.voxels != reading.voxels))
    return "equal" if not wrong else f"differs in {wrong} voxels"


def series_rows(folder):
    """A row for each series below a folder."""
    for series in find_series(folder):
        scan = read_series(series)
        paths = [file.path for file in series.files]
        row = [paths[0].parent.name, f"{scan.shape}", verdict(scan, by_simple_itk(paths))]
        yield [*row, verdict(scan, by_dcm2niix(paths[0].parent)) if shutil.which("dcm2niix") else "not installed"]


def twin_rows(folder):
    """A row for each NRRD file whose voxels are those of segments of a SEG beside it."""
    series = find_series(folder)
    for file in files_of(folder):
        label = label_object(DicomFile(file.path))
        if label is None:
            continue
        like = next(each for each in series if each.uid in label.series)
        masks = [mask.voxels[..., 0].transpose(2, 1, 0) for mask in segment_masks(file.path, like).values()]
        for nrrd in sorted(file.path.parent.glob("*.nrrd")):
            twin = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(nrrd)))
            equal = [any(np.array_equal(mask, twin == value) for mask in masks) for value in np.unique(twin[twin > 0])]
            if all(equal):
                yield [f"{file.path.name} and {nrrd.name}", f"{twin.shape[::-1]}", "equal", ""]


def own_rows():
    """What becomes of pydicom's test files: equal, refused, or different."""
    count = {}
    for path in map(Path, pydicom.data.get_testdata_files("*.dcm")):
        try:
            (series,) = find_series(path)
            scan = read_series(series, 3 if series.placed else None)
        except (InputError, ValueError) as error:
            outcome = "refused" if isinstance(error, InputError) else "several volumes"
        else:
            try:
                theirs = by_simple_itk([path]).voxels
            except RuntimeError:
                outcome = "only ours reads it"
            else:
                ours = scan.voxels if scan.rank == 3 else scan.voxels.transpose(1, 0, 2)
                theirs = theirs.reshape(ours.shape) if theirs.size == ours.size else theirs
                same = ours.shape == theirs.shape and np.abs(ours - theirs).max() <= 0
                outcome = "equal" if same else f"differs ({series.modality})"
        count.setdefault(outcome, []).append(path.name)
    return count


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, help="folders of series")
    args = parser.parse_args()
    print("| series | voxels | SimpleITK | dcm2niix |\n|---|---|---|---|")
    rows = [row for folder in args.data for row in [*series_rows(folder), *twin_rows(folder)]]
    for row in rows:
        print("| " + " | ".join(row) + " |")
    for outcome, names in sorted(own_rows().items()):
        print(f"pydicom's files, {outcome}: {len(names)} ({', '.join(sorted(names)[:40])})")
    return int(any("differs" in cell for row in rows for cell in row))


if __name__ == "__main__":
    sys.exit(main())
