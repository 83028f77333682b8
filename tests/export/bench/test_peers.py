"""Real runtimes on one small network, who is absent, and what is printed."""

import json
import sys

import keras
import numpy as np
import pytest
from export_runs import write_run
from keras import layers

from export.artifact.folder import export_run
from export.bench import network, peers, report
from export.bench.compare import compare
from export.bench.contest import Contest, Result, Rounds, contest
from export.bench.process import Worker
from export.cli import main
from export.conversion.convert import convert
from imaging import InputError, UsageError

PATCH = (8, 8, 12)
PEERS = 'pip install "medseg-zoo[peers]" brings PyTorch and OpenVINO, a gigabyte that make test does without'


def small_network(rank: int = 3):
    """Two levels with everything that the peers have to build: border, pooling, transposed convolution, concat."""
    keras.utils.set_random_seed(0)
    kinds = {3: ("Conv3D", "MaxPooling3D", "Conv3DTranspose"), 2: ("Conv2D", "MaxPooling2D", "Conv2DTranspose")}
    convolution, pooling, transposed = (getattr(layers, name) for name in kinds[rank])
    image = keras.Input((*PATCH[:rank], 1))
    fine = convolution(8, 3, padding="same", activation="relu")(image)
    coarse = convolution(8, 3, padding="same", activation="relu")(pooling(2)(fine))
    joined = layers.Concatenate()([fine, transposed(8, 2, 2)(coarse)])
    return keras.Model(image, convolution(3, 1)(joined), name="small")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return network.gather(small_network(), tmp_path_factory.mktemp("network"))


def test_what_peers_are_made_from(made):
    assert np.load(made.job["input"]).shape == (*PATCH, 1)
    assert np.load(made.job["calibration"]).shape == (network.PATCHES, *PATCH, 1)
    assert made.classes.shape == PATCH
    assert "noise" in made.description
    with pytest.raises(InputError, match="expected 2 channels as its artifacts take, got 1"):
        network.gather(small_network(), "nowhere", PATCH, 2)


@pytest.mark.parametrize("family", ["onnxruntime", "openvino", "pytorch"])
def test_peers_run_the_same_network(made, family, tmp_path):
    """Those of a family whose packages are here; OpenVINO's own int8 needs another one than OpenVINO's float32."""
    kin = [name for name, peer in peers.PEERS.items() if name.startswith(family) and not peer.slow]
    absent = peers.find(peers.choose(kin, every=False)).absent
    names = [name for name in kin if name not in absent]
    if not names:
        pytest.skip(f"{'; '.join(absent.values())}: {PEERS}")
    chosen = peers.choose(names, every=False)
    available = peers.find(chosen)
    came = contest(
        peers.contestants(chosen, available, made.job),
        tmp_path,
        rounds=1,
        warmup=0,
        threads=(1,),
        reference=made.classes,
    )
    assert came.failures == {}
    assert [r.name for r in came.results] == names
    for result in came.results:
        assert result.agreement > (0.999 if "float32" in result.name else 0.95)
        assert result.peer
        assert result.runtime.split()[-1][0].isdigit()


def test_tensorflow_runs_the_same_network(made, tmp_path):
    name = "tensorflow-float32"
    (contestant,) = peers.contestants([peers.PEERS[name]], peers.Found({name: sys.executable}, {}), made.job)
    worker = Worker(contestant, 1, tmp_path)
    try:
        opened = worker.ask("open", variant={"how": "tf.function", "xla": False, "files": []})
        worker.ask("logits", file=str(tmp_path / "logits.npy"))
    finally:
        worker.close()
    assert opened["runtime"].startswith("TensorFlow 2")
    assert np.mean(np.load(tmp_path / "logits.npy").argmax(-1) == made.classes) > 0.999


def test_regions_are_compared_as_regions(tmp_path):
    """Of a network of regions a voxel's largest logit says nothing; a region is where its own is above 0."""
    run = write_run(tmp_path / "balls")
    plan = json.loads((run / "plan.json").read_text())
    plan["labels"] = [{"name": name, "value": value} for name, value in (("background", 0), ("rim", 3), ("core", 4))]
    plan["regions"] = [
        {"name": "whole", "values": [3, 4], "written": 3},
        {"name": "core", "values": [4], "written": 4},
    ]
    (run / "plan.json").write_text(json.dumps(plan))
    gathered = network.gather(run, tmp_path)
    assert gathered.written == (1, 2)
    assert set(np.unique(gathered.classes)) == {0, 2}  # the first channel's logit is 0 everywhere
    options = peers.PeerOptions(["onnxruntime-float32"], model=run)
    (result,) = compare(peer_options=options, rounds=Rounds((1,), 1, 1)).results
    assert result.agreement > 0.999
    (written,) = export_run(run, ["onnx-float32"], tmp_path / "out", verify=False, tell=lambda line: None)
    (result,) = compare([written], rounds=Rounds((1,), 1, 1)).results
    assert result.agreement == 1.0


def test_a_channel_of_a_sigmoid_is_two_classes(tmp_path):
    image = keras.Input((*PATCH, 1))
    model = keras.Model(image, layers.Conv3D(1, 3, padding="same", activation="sigmoid")(image))
    gathered = network.gather(model, tmp_path)
    chances = model.predict(np.load(gathered.job["input"])[None], verbose=0)[0, ..., 0]
    np.testing.assert_array_equal(gathered.classes, chances > 0.5)


def test_pytorch_computes_what_onnx_runtime_does(tmp_path):
    torch = pytest.importorskip("torch", reason=PEERS)
    import onnx
    import onnxruntime

    from export.bench.runtimes import pytorch

    for rank in (2, 3):
        data = convert(small_network(rank), "onnx-float32", PATCH[:rank]).data
        (tmp_path / "network.onnx").write_bytes(data)
        patch = np.random.default_rng(0).standard_normal((*PATCH[:rank], 1), np.float32)
        np.save(tmp_path / "input.npy", patch)
        session = onnxruntime.InferenceSession(data)
        expected = session.run(None, {session.get_inputs()[0].name: patch[None]})[0][0]
        job = {"onnx": str(tmp_path / "network.onnx"), "input": str(tmp_path / "input.npy"), "threads": 1}
        for variant in pytorch.prepare(job):
            logits = pytorch.open_runner({**job, "precision": "float32"}, variant)()
            np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert onnx.__version__
    assert torch.__version__


def test_what_pytorch_cannot_build_is_named(tmp_path):
    pytest.importorskip("torch", reason=PEERS)
    import onnx
    from onnx import TensorProto, helper

    from export.bench.runtimes import pytorch

    graph = helper.make_graph(
        [helper.make_node("Erf", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    onnx.save(helper.make_model(graph), tmp_path / "erf.onnx")
    with pytest.raises(ValueError, match="not built in PyTorch here: Erf"):
        pytorch.prepare({"onnx": str(tmp_path / "erf.onnx")})


def test_who_is_absent(monkeypatch, tmp_path):
    missing = peers.Peer("ghost-int8", "ghost", ("numpy", "no_such_package"), "nothing")
    monkeypatch.setitem(peers.PEERS, "ghost-int8", missing)
    available = peers.find([missing])
    assert available.python == {}
    assert available.absent["ghost-int8"].startswith("not installed: no_such_package; pip install no_such_package")
    assert peers.find(peers.choose(["onnxruntime-int8"], every=False)).python == {"onnxruntime-int8": sys.executable}
    with pytest.raises(InputError, match="ghost-int8: not installed: no_such_package"):
        compare(peer_options=peers.PeerOptions(["ghost-int8"], model=small_network()))
    with pytest.raises(InputError, match="cannot be run"):
        peers.find([missing], [tmp_path / "no-python"])
    with pytest.raises(UsageError, match="did you mean openvino-int8"):
        peers.choose(["openvino-int"], every=False)
    with pytest.raises(UsageError, match="peers: need --model"):
        compare(peer_options=peers.PeerOptions(every=True))
    slow = {peer.name for peer in peers.PEERS.values() if peer.slow}
    assert not slow & {peer.name for peer in peers.choose([], every=True)}
    assert peers.choose(sorted(slow), every=False)


def result(name, median, threads=2, peer=False):
    return Result(
        name, peer, "LiteRT 2.3", "XLA" if peer else "", threads, median, median - 1, median + 2, median - 2, 80.0, 9.0,
        70_000_000, 1_500_000, 60, 0.9998,
    )  # fmt: skip


CONTEST = Contest(
    (
        *(result("/long/way/to/hippo/tflite-int8", 20.0, n) for n in (1, 2)),
        *(result("tensorflow-float32", 60.0, n, peer=True) for n in (1, 2)),
    ),
    {"openvino-int8": "not installed: nncf"},
)


def test_table():
    lines = report.table(CONTEST).split("\n")
    assert lines[0].split() == ["1", "thread", *" ".join(report.COLUMNS).split()]
    assert lines[1].split() == ["hippo/tflite-int8", "1.50", "20.00", "19.00", "22.00", "80", "70", "99.98%", "1.00x"]
    assert lines[2].split()[-1] == "0.33x"
    assert lines[4].split()[:2] == ["2", "threads"]
    assert lines[-2:] == ["tensorflow-float32: LiteRT 2.3, XLA", "openvino-int8: not installed: nncf"]
    assert len({len(line) for line in lines[:3]}) == 1
    text = report.markdown(CONTEST.results[:1], [("goal", "0.80")])
    assert text.split("\n")[2].startswith("| hippo/tflite-int8 | 1.50 | 20.00 |")
    assert text.endswith("| 0.80 |")


def test_names_that_would_be_the_same_stay_long():
    names = ["/a/x/tflite-int8", "/b/x/tflite-int8", "/b/y/tflite-int8", "peer"]
    assert list(report.short(names).values()) == [*names[:2], "y/tflite-int8", "peer"]


def test_json():
    data = json.loads(json.dumps(report.to_dict(CONTEST)))
    assert data["threads"] == [1, 2]
    assert [r["median_ms"] for r in data["artifacts"]] == [20.0, 20.0]
    assert data["peers"][0]["name"] == "tensorflow-float32"
    assert data["absent"] == {"openvino-int8": "not installed: nncf"}


def test_plot(tmp_path):
    import matplotlib.image

    picture = tmp_path / "bench.png"
    report.check_picture(picture)
    report.plot(CONTEST, picture)
    assert matplotlib.image.imread(picture).std() > 0.05
    assert [file.name for file in tmp_path.iterdir()] == ["bench.png"]
    with pytest.raises(UsageError, match=r"expected one of \.png"):
        report.check_picture(tmp_path / "bench.doc")
    with pytest.raises(InputError, match="no folder"):
        report.check_picture(tmp_path / "none" / "bench.png")


def test_command_line(capsys):
    assert main(["bench", "--list", "--json"]) == 0
    listed = {peer["name"]: peer for peer in json.loads(capsys.readouterr().out)}
    assert listed["onnxruntime-int8"]["python"] == sys.executable
    assert main(["bench"]) == 2
    assert "nothing to time" in capsys.readouterr().err
    assert main(["bench", "--peer", "openvinno-int8", "--model", "run"]) == 2
    assert "did you mean openvino-int8" in capsys.readouterr().err
    assert main(["bench", "no-such-folder"]) == 1
    assert "no such folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["bench", "a", "--threads", "0,2"])
    assert "whole number" in capsys.readouterr().err
