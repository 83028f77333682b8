"""Several devices and several processes: the same training as one device with their batches together."""

import dataclasses
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from batches import assert_same, taken
from tiny import STILL, make_plan

from medseg import process, record
from medseg.errors import UsageError
from train.cli import build_parser
from train.fitting.curves import load_history
from train.fitting.fit import fit, network
from train.fitting.run import open_run
from train.fitting.warm_start import load_start, source_weights
from train.hardware.devices import Engine, is_cluster, open_engine
from train.input.augmentation_chances import with_chances
from train.input.cache import cache_cases
from train.input.pipeline import Part, batches

WORKER = Path(__file__).parents[1] / "device_worker.py"


@pytest.fixture(scope="module")
def plan(dataset, tmp_path_factory):
    """What could differ between devices is on: clipping, batch normalisation, averages, a second output.

    Backends draw other weights of the same seed, so all start from the same ones. Sums in another order may flip a
    ReLU at zero; with SGD, unlike Adam, a step changes by as little as the gradient then does.
    """
    start = tmp_path_factory.mktemp("start") / "start.keras"
    network(make_plan(dataset), deep_supervision=True).save(start)
    return make_plan(
        dataset,
        epochs=2,
        optimizer="sgd",
        learning_rate=0.05,
        clip_norm=0.5,
        augmentation=with_chances(STILL, noise=0.5),
        deep_supervision=True,
        start=str(start),
    )


@pytest.fixture(scope="module")
def trained(dataset, plan, tmp_path_factory):
    """Run folders by the way of training: batch 4 on one device, 2 on two, and 1 on two in each of two processes."""
    folder = tmp_path_factory.mktemp("runs")
    cache = folder / "cache"
    record.save(folder / "plan.json", plan)
    doubled = dataclasses.replace(plan, training=dataclasses.replace(plan.training, batch=4))
    fit(doubled, dataset, folder / "one", cache=cache, verbose=False)

    def start(out, backend, *options, **environment):
        command = [sys.executable, str(WORKER), "train", str(dataset.folder), "--plan", str(folder / "plan.json")]
        command += ["--out", str(folder / out), "--cache", str(cache), "--devices", "all", *options]
        known = {name: value for name, value in process.environment().items() if name not in ("TF_CONFIG", "XLA_FLAGS")}
        known |= {"KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"} | environment
        return subprocess.Popen(command, env=known, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def wait(*processes):
        try:
            for process in processes:
                printed, _ = process.communicate(timeout=500)
                assert process.returncode == 0, printed[-3000:]
        finally:
            for process in processes:
                process.kill()

    addresses = free_addresses(4)
    cluster = {"worker": addresses[:2]}
    workers = [
        start(name, "tensorflow", TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": n}}))
        for n, name in enumerate(("workers", "second_worker"))
    ]
    wait(*workers, start("mirrored", "tensorflow", MEDSEG_TEST_DEVICES="2"))
    try:
        import jax  # noqa: F401
    except ImportError:
        return folder
    processes = [
        start(
            name,
            "jax",
            "--batch",
            "1",
            MEDSEG_TEST_DEVICES="2",
            KERAS_DISTRIBUTION_JOB_ADDRESSES=",".join(addresses[2:]),
            KERAS_DISTRIBUTION_NUM_PROCESSES="2",
            KERAS_DISTRIBUTION_PROCESS_ID=str(n),
        )
        for n, name in enumerate(("processes", "second_process"))
    ]
    wait(*processes)
    return folder


def free_addresses(count):
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("localhost", 0))
    addresses = [f"localhost:{each.getsockname()[1]}" for each in held]
    for each in held:
        each.close()
    return addresses


@pytest.mark.parametrize(("way", "devices"), [("workers", 2), ("mirrored", 2), ("processes", 4)])
def test_several_devices_train_as_one_with_their_batches_together(trained, way, devices):
    if way == "processes":
        pytest.importorskip("jax", reason='pip install "medseg-zoo[test]" brings jax')
    run, single = open_run(trained / way), open_run(trained / "one")
    assert (run.devices, run.plan.training.batch) == (devices, 4 // devices)
    assert (single.devices, single.plan.training.batch) == (1, 4)
    assert not list(trained.glob("second_*"))
    history, expected = (load_history(r.folder / "history.csv") for r in (run, single))
    assert len(history) == 2
    for name in ("loss", "val_loss", "learning_rate"):
        np.testing.assert_allclose([row[name] for row in history], [row[name] for row in expected], rtol=1e-3)
    before = network(single.plan)
    load_start(before, source_weights(single.plan.training.start, single.plan.network.name), "start")
    for weight, of_single, start in zip(run.model().weights, single.model().weights, before.weights, strict=True):
        moved = np.abs(of_single.numpy() - start.numpy()).max()
        assert moved > 1e-3, weight.path
        # A batch of another size, or statistics of a part of it, would change the kernels by more than a tenth.
        np.testing.assert_allclose(weight.numpy(), of_single.numpy(), rtol=0, atol=0.02 * moved, err_msg=weight.path)


def test_a_run_goes_on_with_as_many_devices_as_it_began_with(trained, dataset, tmp_path):
    shutil.copytree(trained / "mirrored", tmp_path / "run")
    assert fit(None, dataset, tmp_path / "run", resume=True).devices == 2  # it has ended: nothing is left to do
    (tmp_path / "run" / "model.keras").unlink()
    with pytest.raises(UsageError, match=r"was begun on 2 devices.*--devices 2"):
        fit(None, dataset, tmp_path / "run", resume=True, devices=1)
    with pytest.raises(UsageError, match=r"--devices 2: expected at most 1, there are .*CPU:0"):
        fit(None, dataset, tmp_path / "run", resume=True)


@pytest.mark.parametrize("mixup", [0.0, 0.8])
def test_the_parts_of_a_batch_are_the_batch(dataset, plan, tmp_path, mixup):
    settings = with_chances(STILL, noise=0.5, mixup=mixup)
    plan = dataclasses.replace(plan, training=dataclasses.replace(plan.training, batch=4, augmentation=settings))
    cases = cache_cases(dataset.cases, plan.recipe, plan.labels, tmp_path)
    whole = taken(batches(cases, plan, training=True, first=1), 2)
    for parts in ([Part(0, 2, 2), Part(1, 2, 2)], [Part(0, 2, 4), Part(1, 2, 4)], [Part(0, 1, 2)]):
        several = parts[0].pieces // parts[0].processes
        pieces = [taken(batches(cases, plan, training=True, first=1, part=part), 2 * several) for part in parts]
        joined = [
            tuple(
                np.concatenate([piece[i] for own in pieces for piece in own[step * several : (step + 1) * several]])
                for i in range(2)
            )
            for step in range(2)
        ]
        assert_same(joined, whole)
    held = batches(cases, plan, training=False, steps=3, part=Part(1, 2, 4))
    assert int(held.cardinality()) == len(taken(held, 99)) == 6


def test_what_several_devices_cannot_do(plan, monkeypatch):
    def training(**change):
        return dataclasses.replace(plan, training=dataclasses.replace(plan.training, **change))

    mirrored, processes = Engine(2, strategy=object(), backend="tensorflow"), Engine(2, 1, 2, object(), "jax")
    for engine, change, message in (
        (processes, {"minutes": 3.0}, "training.minutes 3: the clocks of 2 processes differ; give --epochs"),
        (mirrored, {"accumulate": 2}, "training.accumulate 2: .* KERAS_BACKEND=jax"),
        (mirrored, {"precision": "mixed_float16"}, "'mixed_float16': .* expected mixed_bfloat16 or float32"),
        (mirrored, {"quantize": "per-channel"}, "training.quantize: .* takes 1 device, not 2"),
    ):
        with pytest.raises(UsageError, match=message):
            engine.check(training(**change))
    processes.check(training(accumulate=2, precision="mixed_float16"))
    with pytest.raises(UsageError, match="devices 0: expected 1 or more, or all"):
        open_engine(0)
    assert open_engine("all").devices == 1
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(UsageError, match="no engine for several devices on torch"):
        open_engine(2)


def test_a_cluster_that_does_not_fit(monkeypatch):
    two = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(two | {"cluster": {"worker": ["a:1"]}}))
    assert not is_cluster()
    monkeypatch.setenv("TF_CONFIG", json.dumps(two))
    assert is_cluster()
    with pytest.raises(UsageError, match="--devices 2: a process of a cluster gives all that it has"):
        open_engine(2)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UsageError, match="TF_CONFIG: names several workers, but Keras runs on jax"):
        is_cluster()
    monkeypatch.undo()
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(UsageError, match="TF_CONFIG: cannot be read"):
        is_cluster()
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": ["a:1", "b:1"], "ps": ["c:1"]}}))
    with pytest.raises(UsageError, match="holds tasks of kind ps; expected chief or worker"):
        is_cluster()
    monkeypatch.delenv("TF_CONFIG")
    monkeypatch.setenv("KERAS_DISTRIBUTION_JOB_ADDRESSES", "a:1,b:1")
    with pytest.raises(UsageError, match="but Keras runs on tensorflow; with tensorflow name workers in TF_CONFIG"):
        is_cluster()


def test_the_command_line_names_devices(capsys):
    words = ["train", "data", "--out", "run", "--devices"]
    assert build_parser().parse_args([*words, "all"]).devices == "all"
    assert build_parser().parse_args([*words, "3"]).devices == 3
    with pytest.raises(SystemExit):
        build_parser().parse_args([*words, "0"])
    assert "'0': expected 1 or more, or all" in capsys.readouterr().err
