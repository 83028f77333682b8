"""The files of labelled cases, as a run folder lists them for whatever comes after training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CaseFiles:
    """The files of a case: one image a channel, and the label file if it has one."""

    name: str
    images: tuple[str, ...]
    label: str | None = None


@dataclass(frozen=True)
class Cases:
    """``cases.json`` of a run folder: which cases trained the network and which were held back."""

    training: tuple[CaseFiles, ...]
    validation: tuple[CaseFiles, ...]
