"""Public datasets that ``zoo data`` can fetch, as data.

URLs and MD5 sums are those that MONAI publishes for the Medical Segmentation Decathlon (``monai/apps/datasets.py``,
``DecathlonDataset``).
"""

from dataclasses import dataclass

_BUCKET = "https://msd-for-monai.s3-us-west-2.amazonaws.com"


@dataclass(frozen=True)
class PublicSet:
    """A dataset in the MSD layout, in one tar archive.

    Attributes:
        url: of the archive.
        md5: of the archive, hexadecimal.
        about: one line for people.
        licence: of the data.
        cases: labelled cases in it, where known; its own ``dataset.json`` is verified in any case.
    """

    url: str
    md5: str
    about: str
    licence: str = "CC-BY-SA 4.0"
    cases: int | None = None


PUBLIC_SETS = {
    "brain": PublicSet(
        f"{_BUCKET}/Task01_BrainTumour.tar", "240a19d752f0d9e9101544901065d872", "MSD Task01: glioma in four-channel MR"
    ),
    "heart": PublicSet(
        f"{_BUCKET}/Task02_Heart.tar", "06ee59366e1e5124267b774dbd654057", "MSD Task02: left atrium in MR"
    ),
    "liver": PublicSet(
        f"{_BUCKET}/Task03_Liver.tar", "a90ec6c4aa7f6a3d087205e23d4e6397", "MSD Task03: liver and tumour in CT"
    ),
    "hippocampus": PublicSet(
        f"{_BUCKET}/Task04_Hippocampus.tar",
        "9d24dba78a72977dbd1d2e110310f31b",
        "MSD Task04: anterior and posterior hippocampus in MR",
        cases=260,
    ),
    "prostate": PublicSet(
        f"{_BUCKET}/Task05_Prostate.tar", "35138f08b1efaef89d7424d2bcc928db", "MSD Task05: prostate zones in MR"
    ),
    "lung": PublicSet(
        f"{_BUCKET}/Task06_Lung.tar", "8afd997733c7fc0432f71255ba4e52dc", "MSD Task06: lung tumour in CT"
    ),
    "pancreas": PublicSet(
        f"{_BUCKET}/Task07_Pancreas.tar", "4f7080cfca169fa8066d17ce6eb061e4", "MSD Task07: pancreas and tumour in CT"
    ),
    "hepatic_vessel": PublicSet(
        f"{_BUCKET}/Task08_HepaticVessel.tar",
        "641d79e80ec66453921d997fbf12a29c",
        "MSD Task08: hepatic vessels and tumour in CT",
    ),
    "spleen": PublicSet(f"{_BUCKET}/Task09_Spleen.tar", "410d4a301da4e5b2f6f86ec3ddba524e", "MSD Task09: spleen in CT"),
    "colon": PublicSet(
        f"{_BUCKET}/Task10_Colon.tar", "bad7a188931dc2f6acf72b08eb6202d0", "MSD Task10: colon cancer in CT"
    ),
}
