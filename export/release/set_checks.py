"""The parts of a set of weights belong together, and name no place on the machine that made it."""

import re

from edge.manifest import Manifest
from export.source.source import Source
from export.verify.fidelity import Fidelity
from medseg.errors import InputError

# A rooted path, a home folder or a Windows drive, at the beginning of a word.
_PLACE = re.compile(r"""(?:^|[\s'"=(,`])(?:~?/|[A-Za-z]:\\)\w""")


def check_artifact(folder, manifest: Manifest, source: Source) -> None:
    """Require that an artifact was exported of a run, and verified.

    Args:
        folder: of the artifact, for messages.
        manifest: its manifest.
        source: the run.

    Raises:
        InputError: if it was not, with what differs.
    """
    of_run = {
        "labels": source.labels,
        "regions": source.regions,
        "instances": source.instances,
        "recipe": source.recipe,
        "channels": source.channels,
    }
    for attribute, value in of_run.items():
        if getattr(manifest, attribute) != value:
            raise InputError(
                f"{folder}: its {attribute} differs from the run's; give the artifact that was exported of it"
            )
    for attribute in ("network", "options", "fold", "seed"):
        stated, value = manifest.source.get(attribute), source.provenance.get(attribute)
        if stated != value:
            raise InputError(
                f"{folder}: made of {attribute} {stated}, the run has {value}; give the artifact of the run"
            )
    if not manifest.fidelity:
        raise InputError(f"{folder}: was not verified; export it without --no-verify")


def check_network(folder, manifest: Manifest, fidelity: Fidelity) -> None:
    """Require that an artifact was verified against this very network: the same Dice on the same cases.

    Args:
        folder: of the artifact, for messages.
        manifest: its manifest.
        fidelity: of the run's network on the cases that it held back.

    Raises:
        InputError: if it is another one.
    """
    for label, fidelity_of_label in fidelity.labels.items():
        then = manifest.fidelity["labels"].get(label, {}).get("dice_network")
        same_cases = list(manifest.fidelity["cases"]) == list(fidelity.cases)
        if then is None or not same_cases or abs(then - fidelity_of_label.dice_network) > 1e-4:
            raise InputError(
                f"{folder}: was verified against a network of Dice {then} on {label}, the run's has "
                f"{fidelity_of_label.dice_network:.4f}; export the run again and give that artifact"
            )


def check_places(data, where: str) -> None:
    """Require that no text names a folder of the machine that made the set.

    Args:
        data: what will be JSON.
        where: it will lie, for messages.

    Raises:
        InputError: if one does.
    """
    if isinstance(data, dict):
        for key, value in data.items():
            check_places(key, where)
            check_places(value, f"{where}: {key}")
    elif isinstance(data, list | tuple):
        for value in data:
            check_places(value, where)
    elif isinstance(data, str) and _PLACE.search(data):
        raise InputError(f"{where}: {data!r} names a place on this machine; expected relative paths")
