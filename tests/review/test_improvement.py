"""The next version: who trains it, who judges it, and that a worse one is never promoted."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from edge_artifacts import VOLUME
from hypothesis import given
from hypothesis import strategies as st
from review_phantoms import SHAPE, build_artifact, label_file, wait_for, write_scans
from scipy import stats
from starlette.testclient import TestClient

from edge.manifest import Manifest
from export.cli import build_parser as export_parser
from imaging.recipe import Normalise
from medseg import record
from medseg.errors import InputError
from review.cli import read_patients
from review.errors import WrongRequestError
from review.improvement import commands
from review.improvement.comparison import bootstrap, verdict
from review.improvement.improver import RUNNING, Improver
from review.improvement.selection import select
from review.improvement.training_set import write_plan, write_training_set
from review.segmenting import segment_case
from review.server.app import create_app
from review.service import open_service
from review.store.cases import all_cases
from train.cli import build_parser as train_parser
from train.commands.preconditions import check_made_by
from train.data.dataset import read_dataset
from train.data.dataset_json import Choices
from train.planning.plan import Network, Plan, Training, load_plan
from train.planning.plan_check import check_plan

NAMES = [f"case_{letter}" for letter in "abcdefgh"]
FAKE = str(Path(__file__).with_name("fake_zoo.py"))


@pytest.fixture
def service(tmp_path, artifact):
    write_scans(tmp_path / "scans", NAMES)
    opened = open_service(tmp_path / "scans", [artifact], threads=1)
    for case in all_cases(opened.database):
        segment_case(opened, case)
    yield opened
    opened.close()


class FakeCommands:
    """Trainings in no time whose artifact is the one that is given."""

    def __init__(self, artifact, epochs=2, seconds=0.0, fail=False):
        self.artifact, self.epochs, self.seconds, self.fail = artifact, epochs, seconds, fail
        self.trained = None

    def train_command(self, data, run, *rest):
        self.trained = (data, *rest)
        return [sys.executable, "-P", FAKE, "train", str(run), str(self.epochs), str(self.seconds)]

    def export_command(self, run, file_format, out):
        if self.fail:
            return [sys.executable, "-P", FAKE, "fail"]
        return [sys.executable, "-P", FAKE, "export", str(self.artifact), str(Path(out) / file_format)]


def decide(client, accept=5):
    """Accept some cases as they are, and correct the others."""
    for number, name in enumerate(NAMES):
        if number < accept:
            client.post(f"/api/cases/{name}/decision", json={"action": "accept", "version": 1})
        else:
            voxels = np.zeros(SHAPE, int)
            voxels[3:9, 3:9, 3:9] = 7
            client.put(f"/api/cases/{name}/label", content=label_file(voxels), headers={"If-Match": "1"})


def finished(client):
    return wait_for(lambda: (now := client.get("/api/improve").json())["state"] not in RUNNING and now, 30)


def test_selection_keeps_patients_together_and_the_test_fixed(service):
    with TestClient(create_app(service)) as client:
        with pytest.raises(WrongRequestError, match="accept or correct 4 more"):
            select(service.database, all_cases(service.database), {})
        decide(client, accept=3)
    patients = {name: f"patient {number // 2}" for number, name in enumerate(NAMES)}
    chosen = select(service.database, all_cases(service.database), patients)
    parts = [{chosen.patient_of[case.id] for case in part} for part in (chosen.training, chosen.recent, chosen.test)]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 4
    assert {case.id for part in (chosen.training, chosen.recent, chosen.test) for case in part} == set(NAMES)
    assert all(case.state in ("accepted", "corrected") for case in chosen.training)
    again = select(service.database, all_cases(service.database), patients)
    assert again.test == chosen.test
    fewer = [case for case in all_cases(service.database) if case not in chosen.training[:1]]
    assert select(service.database, fewer, patients).test == chosen.test


def test_training_set_is_a_dataset_folder(service, tmp_path):
    with TestClient(create_app(service)) as client:
        decide(client)
    chosen = select(service.database, all_cases(service.database), {})
    folder = write_training_set(service, chosen, tmp_path / "data")
    dataset = read_dataset(folder, Choices(), str(folder / "groups.csv"))
    assert {case.name for case in dataset.cases} == {case.id for case in chosen.training}
    assert [(label.name, label.value) for label in dataset.labels] == [("background", 0), ("core", 7), ("rim", 300)]
    (tmp_path / "run").mkdir()
    manifest = service.manifest
    first = Plan(
        "first", manifest.labels, manifest.channels, manifest.recipe, Network("unet3d"), (8, 16, 16), 0.5,
        Training(2, 5, 2), (("x",), ("y",)),
    )  # fmt: skip
    record.save(tmp_path / "run" / "plan.json", first)
    plan = load_plan(write_plan(chosen, tmp_path / "run", tmp_path / "plan.json"))
    assert sorted(plan.folds[0] + plan.folds[1]) == sorted(case.id for case in chosen.training)
    assert (plan.patch, plan.recipe) == (first.patch, first.recipe)
    check_plan(plan, dataset)  # zoo train would refuse it otherwise
    words = commands.train_command(folder, tmp_path / "next", "unet3d-hippocampus", tmp_path / "plan.json", epochs=3)
    check_made_by(train_parser("zoo").parse_args(words[4:]), plan)  # nor may it refuse what is asked for with it
    assert write_plan(chosen, "unet3d-hippocampus", tmp_path / "none.json") is None


def test_train_and_export_commands_are_those_of_the_real_command_line(tmp_path):
    command = commands.train_command("data", "run", "start", plan="plan.json", epochs=3)
    args = train_parser("zoo").parse_args(command[4:])
    assert (args.start, args.epochs, str(args.out), args.fold) == ("start", 3, "run", "0")
    args = export_parser("zoo").parse_args(commands.export_command("run", "onnx-int8", "out")[4:])
    assert str(args.out) == "out"


def test_better_or_equal_version_is_promoted_by_a_person_and_rolled_back(service, tmp_path):
    second_artifact = build_artifact(tmp_path / "other", "graded2")
    make = FakeCommands(second_artifact)
    improver = Improver(service, "unet3d-hippocampus", make=make)
    with TestClient(create_app(service, None, improver), headers={"X-User": "Anna"}) as client:
        assert client.post("/api/improve", json={}).status_code == 422
        decide(client, accept=8)
        assert client.get("/api/improve").json()["ready"]["enough"] is True
        assert client.post("/api/improve", json={"epochs": 2}).status_code == 202
        now = finished(client)
        assert (now["state"], now["challenger"]) == ("waiting", 2), now
        assert now["comparison"]["mean"]["difference"] == 0
        assert make.trained[1] == "unet3d-hippocampus"
        assert client.get("/api/artifacts").json()["artifacts"][0]["active"] is True
        assert Improver(service).progress.state == "waiting"  # after a restart, too
        assert client.post("/api/improve/promote", json={"version": 2}).json() == {"active": 2}
        assert client.get("/api/improve").json()["state"] == "idle"
        assert client.post("/api/improve/rollback", json={"version": 1}).json() == {"active": 1}
        states = {row["version"]: row["state"] for row in client.get("/api/artifacts").json()["artifacts"]}
        assert states == {1: "active", 2: "old"}
        assert client.get("/api/artifacts/2/card").status_code == 404  # this artifact came without one
        trail = client.get("/api/audit.csv").text
        assert all(f",Anna,{action}," in trail for action in ("improve", "promote", "rollback"))


def test_sabotaged_version_is_refused(service, tmp_path):
    bad = build_artifact(tmp_path / "bad")
    manifest = record.load(bad / "manifest.json", Manifest)
    recipe = dataclasses.replace(VOLUME, normalise=Normalise("fixed", (1.0,), (1.0,)))
    record.save(bad / "manifest.json", dataclasses.replace(manifest, recipe=recipe))
    improver = Improver(service, "start", make=FakeCommands(bad))
    with TestClient(create_app(service, None, improver)) as client:
        decide(client, accept=8)
        client.post("/api/improve", json={})
        now = finished(client)
        assert now["state"] == "refused", now
        assert now["comparison"]["not_worse"] is False
        answer = client.post("/api/improve/promote", json={"version": 2})
        assert answer.status_code == 409
        assert client.get("/api/artifacts").json()["artifacts"][0]["active"] is True


def test_training_is_stopped_and_failure_is_told(service, artifact):
    improver = Improver(service, "start", make=FakeCommands(artifact, epochs=100, seconds=1.0))
    with TestClient(create_app(service, None, improver)) as client:
        decide(client)
        client.post("/api/improve", json={})
        wait_for(lambda: client.get("/api/improve").json()["text"].endswith("of 100"))
        assert client.post("/api/improve", json={}).status_code == 409
        assert client.delete("/api/improve").json()["state"] == "stopped"
        improver.make = FakeCommands(artifact, fail=True)
        client.post("/api/improve", json={})
        now = finished(client)
        assert now["state"] == "failed"
        assert "the gate refused it" in now["error"]


def test_monai_clients_start_ask_and_stop(service, artifact):
    improver = Improver(service, "start", make=FakeCommands(artifact, epochs=100, seconds=1.0))
    with TestClient(create_app(service, None, improver)) as client:
        assert client.get("/train/").status_code == 404
        assert client.post("/train/graded", json={}).json()["status"] == "RUNNING"
        wait_for(lambda: client.get("/train/").json()["status"] == "ERROR")
        assert "accept or correct" in client.get("/train/").json()["details"][-1]
        decide(client)
        assert client.post("/train/graded", json={"max_epochs": 3}).json()["status"] == "RUNNING"
        assert client.get("/train/?check_if_running=true").status_code == 200
        assert client.delete("/train/").json()["status"] == "STOPPED"
        assert client.get("/train/?check_if_running=true").status_code == 404
        assert client.post("/train/clicks", json={}).status_code == 422


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(3).normal(0.01, 0.02, 30)
    mean, low, high = bootstrap(values)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=9999, rng=0).confidence_interval
    assert mean == pytest.approx(values.mean())
    assert low == pytest.approx(theirs.low, abs=1e-3)
    assert high == pytest.approx(theirs.high, abs=1e-3)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=8), st.floats(0.02, 0.3))
def test_verdict(scores, loss):
    assert verdict({"a": scores}, {"a": scores})["not_worse"] is True
    lower = [value - loss for value in scores]
    assert verdict({"a": scores}, {"a": lower})["not_worse"] is False
    assert verdict({"a": lower}, {"a": scores})["not_worse"] is True
    both = verdict({"a": scores, "b": scores}, {"a": [s + 1 for s in scores], "b": lower})
    assert both["not_worse"] is False  # one structure that is worse is enough


def test_table_of_patients(tmp_path):
    table = tmp_path / "patients.csv"
    table.write_text("case_a,Smith\ncase_b,Smith\n", encoding="utf-8")
    assert read_patients(table) == {"case_a": "Smith", "case_b": "Smith"}
    table.write_text("case_a\n", encoding="utf-8")
    with pytest.raises(InputError, match="expected case and patient"):
        read_patients(table)
