"""What cattrs refuses of a JSON record, and how long it takes, beside ``medseg.record``.

    pip install cattrs
    python benchmarks/dependencies/records.py

Prints the values of a wrong kind that each takes as they are or turns into another, and microseconds a recipe.
"""

import importlib.metadata
import json
import sys
import time
from dataclasses import dataclass, field

from edge.shipped import locate, names
from imaging.recipe import Recipe
from medseg import record
from medseg.errors import InputError


@dataclass(frozen=True)
class Range:
    """A part of ``Example``."""

    low: float
    high: float


@dataclass(frozen=True)
class Example:
    """A record with a field of each kind."""

    name: str
    size: float = 1.0
    labels: tuple[int, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    clip: Range | None = None
    flag: bool = False


GOOD = {"name": "a", "size": 2, "labels": [1, 2], "counts": {"x": 3}, "clip": {"low": 0, "high": 1.5}}
WRONG = (
    {"size": "big"}, {"size": "2.5"}, {"size": True}, {"size": float("nan")}, {"size": float("inf")},
    {"size": 10**400}, {"name": 3}, {"name": None}, {"labels": 4}, {"labels": "12"}, {"labels": [1.7]},
    {"labels": ["1"]}, {"labels": [True]}, {"counts": {"x": "y"}}, {"counts": {"x": "3"}}, {"counts": []},
    {"clip": 5}, {"clip": {"low": 0}}, {"flag": 1}, {"flag": "no"}, {"colour": 1},
)  # fmt: skip


def accepted(structure, error) -> list[dict]:
    """The wrong records that a reader does not refuse by ``error``."""
    taken = []
    for change in WRONG:
        try:
            structure({**GOOD, **change})
        except error:
            continue
        taken.append(change)
    return taken


def microseconds(work, count=200) -> float:
    """Processor time of a call."""
    work()
    began = time.process_time()
    for _ in range(count):
        work()
    return 1e6 * (time.process_time() - began) / count


def main() -> int:
    """Print the table."""
    import cattrs

    converter = cattrs.Converter(forbid_extra_keys=True)
    recipe = json.loads((locate(names()[0]) / "manifest.json").read_text(encoding="utf-8"))["recipe"]
    readers = {
        "medseg.record": (lambda kind, data: record.from_dict(kind, data), InputError),
        f"cattrs {importlib.metadata.version('cattrs')}": (
            lambda kind, data: converter.structure(data, kind),
            Exception,
        ),
    }
    print(f"| reader | of {len(WRONG)} wrong records refused | microseconds a recipe | taken |\n|---|---|---|---|")
    for name, (structure, error) in readers.items():
        taken = accepted(lambda data, structure=structure: structure(Example, data), error)
        spent = microseconds(lambda structure=structure: structure(Recipe, recipe))
        listed = ", ".join(f"`{change}`" for change in taken) or "none"
        print(f"| {name} | {len(WRONG) - len(taken)} | {spent:.0f} | {listed} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
