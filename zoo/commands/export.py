"""``zoo export``: the converter of ``export``, and the dataset folders of ``train`` to verify on."""

from export.cli import build_parser
from export.cli import main as export_main
from imaging.io.cases import CaseFiles
from medseg.errors import InputError

__all__ = ["build_parser", "main", "read_folder"]


def main(argv=None, prog: str = "zoo") -> int:
    """Run ``zoo export``; returns the exit status."""
    return export_main(argv, prog, read_folder=read_folder)


def read_folder(folder, source) -> tuple[CaseFiles, ...]:
    """The labelled cases of a dataset folder that an artifact can be verified on.

    Args:
        folder: of any layout that ``zoo train`` reads.
        source: the ``export.source.source.Source`` of the artifact; cases that trained it are left out.

    Raises:
        InputError: in one line, if labels or channels differ from the network's, or no case is left.
    """
    from train.data.dataset import read_dataset
    from train.data.dataset_json import Choices
    from train.external.score import Candidate, prepare

    listing = source.model_file.parent / "cases.json"
    candidate = Candidate(
        name=source.name,
        kind="network",
        segment=lambda scan: None,
        labels=source.labels,
        channels=source.channels,
        recipe=source.recipe,
        regions=source.regions,
        trained_on=(listing,) if listing.is_file() else (),
        instances=source.instances is not None,
    )
    dataset = prepare(candidate, read_dataset(folder, Choices(labels=source.labels, instances=candidate.instances)))
    if dataset.labels != source.labels:
        here, there = (", ".join(f"{x.value} {x.name}" for x in each) for each in (dataset.labels, source.labels))
        raise InputError(f"{folder}: its label values are {here}, the network's {there}; expected the same values")
    return tuple(
        CaseFiles(case.name, tuple(map(str, case.images)), str(case.label), case.instances) for case in dataset.cases
    )
