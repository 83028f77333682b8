"""Labels and channels of a folder against those of a network."""

import dataclasses

import pytest

from imaging.labels import Label, Region
from medseg.errors import InputError
from train.data.dataset import Dataset
from train.external.same_task import as_trained

TRAINED = (Label("background", 0), Label("left ventricle", 1), Label("myocardium", 2))


def dataset(labels=TRAINED, channels=("MRI",), regions=()):
    return Dataset("d", "folder", (), tuple(labels), tuple(channels), regions=tuple(regions))


def labels(**values):
    return [Label("background", 0), *(Label(name, value) for name, value in values.items())]


@pytest.mark.parametrize(
    ("here", "values"),
    [
        (TRAINED, (0, 1, 2)),
        (labels(left_ventricle=1, Myocardium=2), (0, 1, 2)),
        (labels(class_1=1, class_2=2), (0, 1, 2)),  # a plain folder has no names
        (labels(Myocardium=1, Left_Ventricle=2), (0, 2, 1)),  # another order, by name
        (labels(left_ventricle=127, myocardium=255), (0, 127, 255)),
    ],
)
def test_labels_that_agree(here, values):
    matched = as_trained(dataset(here), TRAINED, (), ("MRI",))
    assert tuple(label.value for label in matched.labels) == values
    assert [label.name for label in matched.labels] == [label.name for label in TRAINED]


@pytest.mark.parametrize(
    "here",
    [
        labels(left_ventricle=1),
        labels(left_ventricle=1, myocardium=2, right_ventricle=3),
        labels(liver=1, tumour=2),
        labels(class_1=1, class_2=3),
    ],
)
def test_other_labels_are_refused(here):
    with pytest.raises(InputError, match=r"folder: its labels are 0 background.*the network's 0 background, 1 left"):
        as_trained(dataset(here), TRAINED, (), ("MRI",))


@pytest.mark.parametrize(
    ("here", "trained", "agree"),
    [
        (("MRI",), ("mri",), True),
        (("image",), ("T1",), True),
        (("T1", "T2"), ("t1", "t2"), True),
        (("channel 0", "channel 1"), ("T1", "T2"), True),
        (("T2", "T1"), ("T1", "T2"), False),
        (("CT",), ("MRI",), False),
        (("MRI", "MRI2"), ("MRI",), False),
    ],
)
def test_channels(here, trained, agree):
    if agree:
        as_trained(dataset(channels=here), TRAINED, (), trained)
    else:
        with pytest.raises(InputError, match="folder: its channels are"):
            as_trained(dataset(channels=here), TRAINED, (), trained)


def test_regions():
    whole = Region("whole", (1, 2), 1)
    assert as_trained(dataset(), TRAINED, (whole,), ("MRI",)).regions == (whole,)
    assert as_trained(dataset(regions=[whole]), TRAINED, (whole,), ("MRI",)).regions == (whole,)
    smaller = dataclasses.replace(whole, values=(1,))
    with pytest.raises(InputError, match="its regions are whole, the network's whole"):
        as_trained(dataset(regions=[smaller]), TRAINED, (whole,), ("MRI",))
