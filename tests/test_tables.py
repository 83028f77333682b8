"""Tables of the command line: cells stay apart where names are long and distances are of more than 100 mm.

A new table is a line in ``TABLES``.
"""

import re
from argparse import Namespace
from types import SimpleNamespace

import pytest

from edge.commands.scans import print_reports
from edge.runtime.benchmark import Timing
from edge.runtime.benchmark import table as timings
from imaging.configurations import Configurations, Scored
from imaging.labels import Label
from imaging.measure.scoring import DISTANCES
from train.configurations.choice import table as configurations
from train.evaluation.averages import COLUMNS
from train.evaluation.averages import table as scores
from train.evaluation.cross_validation import summary_table
from train.external.report import table as external
from zoo.commands.demo import Row, format_table

NAME = "wall_of_the_left_ventricle"
FAR = 1234.5
SENTENCES = (DISTANCES, "written, ", "postprocessing: ")  # of lines that are no rows
ROW = dict.fromkeys(COLUMNS, 0.5) | {"hd95": FAR, "assd": FAR}
MEANS = {NAME: ROW, "x": ROW}
CASES = {"a": MEANS, "b": MEANS}


def cross_validation():
    decision = {"chosen": {"classes": []}, "cases": 2, "dice_before": {}, "dice_after": {}, "tried": 3}
    summary = {"mean": MEANS, "std": MEANS, "mean_present": {}, "cases": CASES, "folds": [0], "mean_of_fold": {}}
    return summary_table(summary | {"postprocessed": {"mean": MEANS, "std": MEANS}, "postprocessing": decision})


def external_test():
    interval = {name: dict.fromkeys(COLUMNS, (FAR, FAR)) for name in MEANS}
    means = {"mean": MEANS, "interval": interval, "mean_present": {}}
    details = {"cases": CASES, "dataset": "d", "patients": {"a": "a", "b": "b"}, "grouping": "by name"}
    return external(means | details | {"by": {"scanner": {"one of a long name": means | {"cases": 2}}}})


def chosen():
    scored = tuple(Scored(names, 0.5, {NAME: 0.5, "x": 0.5}) for names in (("2d",), ("2.5d", "3d-low")))
    return configurations(Configurations("d", (0,), ("2d", "2.5d"), cases=2, scored=scored, chosen=("2d",)))


def predicted(capsys):
    labels = (Label("background", 0), Label(NAME, 1), Label("x", 2))
    manifest = Namespace(labels=labels, regions=(), recipe=SimpleNamespace(rank=3))
    report = {"scan": "s" * 30, "voxels": {NAME: 10**11, "x": 0}, "volumes_ml": {NAME: 1e9, "x": 0.0}}
    report |= {"output": "out", "seconds": 1.0, "quality": None, "flags": [], "areas_mm2": {}}
    print_reports([report, report], manifest)
    return capsys.readouterr().out


TABLES = {
    "zoo evaluate": (lambda _: scores({"fold": 0, "cases": CASES, "mean": MEANS}), 1 + len(COLUMNS)),
    "zoo evaluate --fold all": (lambda _: cross_validation(), 1 + len(COLUMNS)),
    "zoo train --configuration all": (lambda _: chosen(), 4),
    "zoo evaluate RUN FOLDER": (lambda _: external_test(), 3),
    "zoo-edge predict": (predicted, 4),
    "zoo-edge bench": (lambda _: timings([Timing(NAME, 1e9, 1e9, 1e9, 3, 10**12)] * 2), 6),
    "zoo demo": (lambda _: format_table([Row(NAME, {NAME: 0.5, "x": 0.5}, 1e6, 1e9)] * 2), 5),
}


@pytest.mark.parametrize("name", TABLES)
def test_cells_of_tables_stay_apart(name, capsys):
    make, columns = TABLES[name]
    lines = [line for line in make(capsys).splitlines() if re.search(r"\d\.\d", line)]
    rows = [re.split(" {2,}", line.strip()) for line in lines if not any(words in line for words in SENTENCES)]
    assert len(rows) >= 2
    assert {len(row) for row in rows} == {columns}
    number = r"-?[\d.,]+"
    assert all(re.fullmatch(rf"{number}x?( ± {number})?( \({number} to {number}\))?", row[-1]) for row in rows)
