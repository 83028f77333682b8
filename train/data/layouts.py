"""The dataset folder layouts: which files a folder holds, without opening an image."""

from pathlib import Path

from imaging.io.files import SUFFIXES
from medseg.errors import InputError, UsageError
from train.data.dataset_json import Choices, Listing, description_of
from train.data.dicom_layout import is_dicom_dataset, read_dicom_dataset
from train.data.listed_layout import read_listed
from train.data.nnunet_layout import is_nnunet, read_nnunet
from train.data.plain_layout import has_plain_folders, read_plain


def read(folder: Path, choices: Choices | None = None) -> Listing:
    """List a dataset folder of any accepted layout (see ``train.data.dataset.open_dataset``).

    Raises:
        InputError: if the folder is missing or is none of the layouts.
        UsageError: if a folder that the user names does not exist or must be chosen.
    """
    choices = choices or Choices()
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a dataset folder (MSD, nnU-Net, or images/ and labels/)")
    description = description_of(folder)
    if "training" in description:
        listing = read_listed(folder, description, choices)
    elif is_nnunet(folder, description):
        listing = read_nnunet(folder, description, choices)
    elif is_dicom_dataset(folder):
        listing = read_dicom_dataset(folder, description, choices)
    elif has_plain_folders(folder, choices):
        listing = read_plain(folder, description, choices)
    else:
        raise InputError(
            f"{folder}: not a dataset; expected dataset.json with a 'training' list (MSD, MONAI), dataset.json with "
            "'channel_names' and imagesTr/ (nnU-Net v2), the folders images/ and labels/, which may have other "
            "names by --images and --labels, or DICOM series with SEG or RTSTRUCT"
        )
    for option, asked, used in (
        ("images", choices.images_folder, listing.images_folder),
        ("labels", choices.labels_folder, listing.labels_folder),
    ):
        # A plain folder has what was asked for, perhaps by another path.
        if asked not in (None, used) and listing.layout != "plain":
            raise UsageError(
                f"{option} folder {asked!r}: {folder} has the {listing.layout} layout, which has no choice"
            )
    if not listing.entries and not listing.problems:
        raise InputError(f"{folder}: lists no case ({listing.layout} layout); add images of type {' '.join(SUFFIXES)}")
    return listing
