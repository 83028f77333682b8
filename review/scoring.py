"""The Dice that a network really had: its labels against what people decided, read from the versions."""

import json
from collections.abc import Sequence

from review.store.cases import ACCEPTED, CORRECTED
from review.store.database import Database

_QUERY = """
SELECT c.id AS case_id, c.state, v.version, v.kind, v.dice, v.artifact, c.changed FROM cases c
JOIN versions v ON v.case_id = c.id WHERE c.state IN (?, ?) ORDER BY c.id, v.version
"""


def case_scores(database: Database, structures: Sequence[str]) -> dict[str, dict[str, float]]:
    """Case to the Dice of each structure of the network's labels against those that a person accepted or corrected.

    Accepted as they were they count 1; corrected, the Dice of the first correction of the network's version. Cases
    whose labels never were a network's are left out.

    Args:
        database: of the review.
        structures: names of the classes, without the background.
    """
    scores: dict[str, dict[str, float]] = {}
    network: set[str] = set()
    for row in database.rows(_QUERY, ACCEPTED, CORRECTED):
        name = row["case_id"]
        if row["kind"] == "network":
            network.add(name)
            scores.pop(name, None)
        elif row["kind"] == "correction" and name in network and name not in scores and row["dice"]:
            scores[name] = json.loads(row["dice"])
    accepted = {row["case_id"] for row in database.rows(_QUERY, ACCEPTED, ACCEPTED)}
    for name in accepted & network - scores.keys():
        scores[name] = dict.fromkeys(structures, 1.0)
    return scores


def dice_in_service(database: Database, structures: Sequence[str]) -> dict[str, dict]:
    """Structure to mean Dice and number of cases, see ``case_scores``."""
    by_structure: dict[str, list[float]] = {}
    for of_case in case_scores(database, structures).values():
        for structure, value in of_case.items():
            by_structure.setdefault(structure, []).append(value)
    return {name: {"mean": sum(v) / len(v), "n": len(v)} for name, v in sorted(by_structure.items())}
