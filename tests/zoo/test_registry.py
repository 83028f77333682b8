"""The registry: search, figures, options, mistakes, entries of the user's own."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import zoo
from zoo.errors import ZooError

ROOT = Path(__file__).parents[2]


def tiny(input_shape, classes=2, *, width=4, name="tiny"):
    """A builder of the user's own."""
    inputs = keras.Input(input_shape)
    x = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(classes, 1, name="logits")(x), name=name)


@pytest.fixture
def registered():
    zoo.register("tiny", tiny, rank=2, tags=("mine",), summary="a test")
    yield "tiny"
    zoo.unregister("tiny")


def test_search():
    names = zoo.list_models()
    assert names == sorted(names)
    assert {"unet", "unet3d", "mobile_unet3d", "swin_unetr3d", "encoder_unet"} <= set(names)
    assert zoo.list_models("*3d*") == [n for n in names if n.endswith("3d")] == zoo.list_models(tag="3d")
    assert zoo.list_models("mobile*") == ["mobile_unet", "mobile_unet3d"]
    assert zoo.list_models(tag=("edge", "transformer")) == []
    assert zoo.list_models("nothing*") == []
    with pytest.raises(ZooError, match=r"unknown tag 'egde'\. Did you mean 'edge'"):
        zoo.list_models(tag="egde")


def test_every_entry_says_what_it_is():
    for name in zoo.list_models():
        info = zoo.info(name)
        assert info.name == name
        assert info.rank == (3 if name.endswith("3d") else 2)
        assert f"{info.rank}d" in info.tags
        assert ("edge" in info.tags) == (info.edge == "int8")
        assert info.summary
        assert "arXiv:" in info.paper
        assert info.parameters > 0
        assert info.macs > info.parameters
        assert info.peak_activation_bytes > 4 * info.input_shape[0] * info.input_shape[1]


def test_the_small_3d_network_of_the_readme():
    info = zoo.info("unet3d")
    assert info.parameters <= 1_500_000
    assert info.multiple == (8, 8, 8)


def test_answers_without_a_framework():
    code = (
        "import sys, time; start = time.process_time(); import zoo\n"
        "names = zoo.list_models('*'); infos = [zoo.info(n) for n in names]; cards = zoo.weights.list_weights()\n"
        "taken = time.process_time() - start\n"
        "heavy = {'keras', 'tensorflow', 'jax', 'torch', 'numpy'} & set(sys.modules)\n"
        "import json; print(json.dumps([taken, sorted(heavy), len(infos)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    taken, heavy, count = json.loads(done.stdout)
    assert heavy == []
    assert count == len(zoo.list_models())
    # Seconds of processor time; 0.02 are usual.
    assert taken < 0.3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zoo.get("unet3"), "unknown model 'unet3'. Did you mean 'unet3d'"),
        (lambda: zoo.info("u-net"), "unknown model 'u-net'. Did you mean 'unet'"),
        (lambda: zoo.get("unet", widht=8), "unknown option of unet 'widht'. Did you mean 'width'"),
        (lambda: zoo.get("unet", (64, 64, 64, 1)), "expected 2 spatial sizes and channels; 'unet3d' takes it"),
        (lambda: zoo.get("unet3d", (64, 64, 1)), "expected 3 spatial sizes and channels; 'unet' takes it"),
        (lambda: zoo.get("unet", (64, 64, 3), channels=1), "says 3 channels, channels=1"),
        (lambda: zoo.get("unet", (64, 64, None)), "None channels; expected 1 or more"),
        (lambda: zoo.get("unet", classes=0), "classes=0; expected 2 or more"),
        (lambda: zoo.get("unet", normalisation="bach"), "unknown normalisation 'bach'. Did you mean 'batch'"),
        (lambda: zoo.get("unet", activation="reluu"), "Did you mean 'relu'"),
        (lambda: zoo.get("unet", upsample="cubic"), "Expected one of transposed, nearest, linear"),
        (lambda: zoo.get("unet", downsample="min"), "Expected one of max, average, strided"),
        (lambda: zoo.get("unet", depth=1), "depth=1; expected 2 to 16 levels"),
        (lambda: zoo.get("unet", depth=10**9), "depth=1000000000; expected 2 to 16"),
        (lambda: zoo.get("unet", strides=0), "strides=0; expected a size or 2 sizes, each 1 or more"),
        (lambda: zoo.get("unet", strides=0.5), "strides=0.5; expected a size or 2 sizes"),
        (lambda: zoo.get("unet", dropout=1.0), "dropout=1.0; expected a share"),
        (lambda: zoo.get("unet", widths=(8, 16)), r"widths \(8, 16\) for 5 levels"),
        (lambda: zoo.get("unet3d", strides=(1, 2, 2)), "may mean one per axis or one per stage"),
        (lambda: zoo.get("unet3d", depth=3, strides=[2, 2, 2, 2]), "one size, 3 .per axis. or 2 .per stage."),
        (lambda: zoo.get("mobile_unet", preset="huge"), "Expected one of nano, tiny, small"),
        (lambda: zoo.get("res_unet", blocks=()), "blocks=()"),
        (lambda: zoo.get("unetr", (32, 32, 1), hidden=100, heads=3), "use hidden=102"),
        (lambda: zoo.get("swin_unetr", (32, 32, 1), heads=(5, 6, 12, 24)), "do not divide the 24 channels of stage 0"),
        (lambda: zoo.get("encoder_unet", encoder="vgg"), "unknown encoder 'vgg'"),
    ],
)
def test_mistakes_are_told(call, message):
    with pytest.raises(ZooError, match=message) as caught:
        call()
    assert caught.value.exit_status == 2


def test_own_entry(registered):
    assert registered in zoo.list_models(tag="mine")
    assert zoo.get("tiny", (8, 8, 2), classes=4).output_shape == (None, 8, 8, 4)
    assert zoo.info("tiny").parameters is None
    assert zoo.info("tiny", (8, 8, 1), width=2).parameters == 3 * 3 * 2 + 2 + 2 * 2 + 2
    assert zoo.info("tiny", (8, 8, 1), width=2).macs == 64 * (9 * 2 + 2 * 2)
    with pytest.raises(ZooError, match="registered already"):
        zoo.register("tiny", tiny, rank=2)
    with pytest.raises(ZooError, match="unknown option of tiny 'depth'"):
        zoo.get("tiny", depth=2)


def test_own_entry_by_name_of_its_function():
    zoo.register("named", "zoo.models.unet:unet", rank=2, options={"width": 2, "depth": 2})
    try:
        assert zoo.get("named", (8, 8, 1)).get_layer("encoder0_0_conv").filters == 2
    finally:
        zoo.unregister("named")


def test_wrong_entries():
    with pytest.raises(ZooError, match="rank 4; expected 2 or 3"):
        zoo.register("x", tiny, rank=4)
    with pytest.raises(ZooError, match="unknown edge readiness"):
        zoo.register("x", tiny, rank=2, edge="int4")
    with pytest.raises(ZooError, match="belongs to the zoo"):
        zoo.unregister("unet")


def test_macs_by_hand():
    # 3 x 3 convolutions of a two-level network of width 2 on 8 x 8: counted layer by layer.
    info = zoo.info("unet", (8, 8, 1), width=2, depth=2)
    fine = 64 * 9 * (1 * 2 + 2 * 2 + 4 * 2 + 2 * 2) + 64 * 2 * 2
    coarse = 16 * 9 * (2 * 4 + 4 * 4) + 16 * 4 * 4 * 2
    assert info.macs == fine + coarse


def test_anisotropic_strides_and_kernels():
    model = zoo.get("unet3d", (4, 16, 16, 1), depth=3, width=2, strides=[(1, 2, 2), 2], kernels=[(1, 3, 3), 3, 3])
    assert model.multiple == (2, 4, 4)
    assert model.get_layer("encoder0_0_conv").kernel_size == (1, 3, 3)
    assert model.get_layer("encoder2_0_conv").output.shape[1:-1] == (2, 4, 4)
    assert model.output_shape == (None, 4, 16, 16, 2)


@pytest.mark.parametrize("normalisation", ["batch", "instance", "group", "none"])
@pytest.mark.parametrize("upsample", ["transposed", "nearest", "linear"])
def test_styles(normalisation, upsample):
    for name in ("unet", "unet3d"):
        shape = (8,) * (3 if name == "unet3d" else 2) + (1,)
        options = {"normalisation": normalisation, "upsample": upsample, "activation": "prelu", "dropout": 0.1}
        model = zoo.get(name, shape, width=4, depth=2, **options)
        kinds = {type(layer).__name__ for layer in model.layers}
        assert {"PReLU"} < kinds
        assert any(k.startswith("SpatialDropout") for k in kinds)
        assert ("BatchNormalization" in kinds) == (normalisation == "batch")
        assert ("GroupNormalization" in kinds) == (normalisation in ("instance", "group"))
        assert any(k.endswith("Transpose") for k in kinds) == (upsample == "transposed")
        assert all(
            layer.use_bias == (normalisation == "none") for layer in model.layers if layer.name.endswith("_0_conv")
        )


def test_a_process_that_imports_the_models_can_load_them(tmp_path):
    made = {
        "swin": zoo.get("swin_unetr", (16, 16, 1), width=4, blocks=(1, 2), heads=(1, 1), window=2),
        "unetr": zoo.get("unetr", (16, 16, 1), hidden=8, heads=1, blocks=4, width=2),
        "mobile": zoo.get("mobile_unet3d", (8, 8, 8, 1), width=2, depth=2, upsample="linear"),
        "odd": zoo.get("unet3d", (5, 5, 5, 1), width=2, depth=2),
    }
    for name, model in made.items():
        model.save(tmp_path / f"{name}.keras")
    code = "import sys, keras, zoo.models\nfor p in sys.argv[1:]: keras.saving.load_model(p)"
    subprocess.run([sys.executable, "-c", code, *tmp_path.glob("*.keras")], cwd=ROOT, check=True)
