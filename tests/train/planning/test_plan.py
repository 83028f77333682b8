"""``plan.json`` and what lies beside it in a run folder: those of every earlier version open, newer ones say so."""

import json
import shutil
from pathlib import Path

import pytest
from record_fields import fields_of

from imaging.io.cases import Cases
from medseg import record
from medseg.errors import InputError
from medseg.schema import PLAN
from train.cli import main
from train.fitting.run import Origin, open_run
from train.planning.plan import Plan, load_plan

GOLDEN = Path(__file__).parents[2] / "golden" / "plans"


@pytest.fixture
def plan_file(tmp_path):
    return Path(shutil.copy(GOLDEN / f"schema-{PLAN.newest}" / "plan.json", tmp_path))


def change(path, **fields):
    """Rewrite fields of a plan; None removes one."""
    data = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: value for name, value in data.items() if value is not None}))


def assert_kept(loaded, stored):
    """Require every value of a stored record to be in the loaded one, which may have more fields."""
    if not isinstance(stored, dict):
        assert loaded == stored
        return
    for name, value in stored.items():
        assert_kept(loaded[name], value)


def test_run_folders_of_every_earlier_schema_open():
    folders = sorted(GOLDEN.iterdir())
    for folder in folders:
        run = open_run(folder)
        stored = json.loads((folder / "plan.json").read_text())
        assert (run.plan.schema, run.plan.needs) == (PLAN.newest, PLAN.needs)
        loaded = json.loads(json.dumps(record.to_dict(run.plan)))
        assert_kept(loaded, {name: value for name, value in stored.items() if name not in ("schema", "needs")})
        assert (run.fold, run.dataset, run.devices) == (0, "/data/boxes", 1)
        cases = record.load(folder / "cases.json", Cases)
        assert (len(cases.training), len(cases.validation)) == (4, 2)
    numbers = {json.loads((folder / "plan.json").read_text())["schema"] for folder in folders}
    assert numbers == set(range(1, PLAN.newest + 1)), "keep a run folder of each schema in tests/golden/plans"


def test_no_field_changes_without_a_new_schema():
    listed = (GOLDEN / f"schema-{PLAN.newest}" / "fields.txt").read_text().split()
    fields = [*fields_of(Plan), *fields_of(Origin, "run."), *fields_of(Cases, "cases.")]
    assert fields == listed, "a run folder's fields changed: append to medseg.schema.PLAN, and keep a folder of it"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schema": 99, "needs": "7.1.0"}, r"plan schema 99, expected 1 to \d+; it needs medseg-zoo 7.1.0 or newer"),
        ({"schema": 99, "needs": None}, r"plan schema 99, expected 1 to \d+; it needs a newer medseg-zoo"),
        ({"schema": None}, r"plan schema None, expected 1 to \d+; plan again"),
        ({"schema": "2"}, r"plan schema '2', expected 1 to \d+"),
        ({"colour": "blue"}, "unknown field colour"),
    ],
)
def test_wrong_schemas(plan_file, capsys, fields, message):
    change(plan_file, **fields)
    with pytest.raises(InputError, match=message):
        load_plan(plan_file)
    assert main(["plan", str(plan_file)]) == 1
    assert main(["train", str(plan_file.parent), "--plan", str(plan_file), "--out", str(plan_file.parent / "run")]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert all(str(plan_file) in line for line in said)


def test_an_export_of_a_newer_run_says_what_it_needs(tmp_path):
    from export.source.source import open_source

    run = Path(shutil.copytree(GOLDEN / f"schema-{PLAN.newest}", tmp_path / "run"))
    (run / "model.keras").touch()
    assert open_source(run).name == "boxes-unet"
    change(run / "plan.json", schema=99, needs="7.1.0")
    with pytest.raises(InputError, match=r"plan schema 99.*medseg-zoo 7\.1\.0 or newer"):
        open_source(run)
