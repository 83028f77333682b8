"""Every network of the registry through the harness."""

import itertools
import json
import math
from pathlib import Path

import harness
import keras
import numpy as np
import pytest

import zoo
from zoo.errors import ZooError

NAMES = zoo.list_models()
_COUNTS = Path(__file__).parents[2] / "golden" / "monai" / "counts.json"


@pytest.fixture(autouse=True)
def _fresh_session():
    keras.backend.clear_session()


@pytest.mark.parametrize("name", NAMES)
def test_forward_gradient_and_round_trip(name, tmp_path):
    model = harness.small_model(name, channels=3)
    assert model.name == name
    assert model.output_names == ["logits"]
    images, labels = harness.sample(model)
    logits = harness.predict(model, images)
    assert logits.shape == (*labels.shape, harness.CLASSES)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert logits.std() > 0
    slopes = harness.gradients(model, images, labels)
    # The softmax of attention does not change when all keys move alike: the gradient of their bias is rounding.
    lost = [path for path, g in slopes.items() if g is None or not np.any(g)]
    assert lost == []
    assert all(np.isfinite(g).all() for g in slopes.values())
    # The gradients' pass moved the statistics of batch normalisation.
    logits = harness.predict(model, images)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(harness.predict(again, images), logits)


@pytest.mark.parametrize("name", zoo.list_models(tag="fixed_size"))
def test_sizes_must_be_numbers(name):
    with pytest.raises(ZooError, match=r"expected every spatial size as a number, for example input_shape=\(96"):
        zoo.get(name)


@pytest.mark.parametrize("name", NAMES)
def test_odd_sizes_are_padded_and_unknown_ones_taken_and_precision_mixed(name):
    odd = harness.small_model(name, channels=5, odd=True)
    images, labels = harness.sample(odd)
    logits = harness.predict(odd, images)
    assert logits.shape == (*images.shape[:-1], harness.CLASSES)
    step = harness.small_multiple(name)
    padding = [(-s % step // 2, -s % step - -s % step // 2) for s in images.shape[1:-1]]
    padded = np.pad(images, [(0, 0), *padding, (0, 0)])
    fixed = "fixed_size" in zoo.info(name).tags
    spatial = padded.shape[1:-1] if fixed else (None,) * len(padding)
    even = zoo.get(name, (*spatial, 5), classes=harness.CLASSES, **harness.small_options(name))
    assert even.input_shape[1:-1] == spatial
    even.set_weights(odd.get_weights())
    whole = harness.predict(even, padded)
    window = [slice(before, size - after) for size, (before, after) in zip(whole.shape[1:], padding, strict=False)]
    np.testing.assert_allclose(logits, whole[(slice(None), *window)], rtol=1e-4, atol=1e-5)
    # TensorFlow has no pooling of float16 on a CPU.
    with harness.precision("mixed_bfloat16"):
        half = harness.small_model(name, channels=5, odd=True)
    half.set_weights(odd.get_weights())
    rounded = harness.predict(half, images)
    assert rounded.dtype == np.float32
    assert half.get_layer("logits").compute_dtype == "float32"
    # bfloat16 keeps 8 bits: half a percent a layer.
    assert np.abs(rounded - logits).max() < 0.1 * np.abs(logits).max()
    gradients = harness.gradients(half, images, labels).values()
    largest = max(np.abs(gradient).max() for gradient in harness.gradients(odd, images, labels).values())
    assert all(gradient is not None and np.abs(gradient).max() < 4 * largest for gradient in gradients)


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("unet3d", (8, 16, 16, 1), {"depth": 3}),  # 2 x 4 x 4 at the bottom
        ("unet3d", (4, 8, 8, 1), {"depth": 3, "downsample": "strided"}),
        ("unet", (32, 4, 1), {"depth": 3, "downsample": "strided"}),
        ("unet3d", (8, 8, 8, 1), {"depth": 3, "upsample": "transposed"}),
    ],
)
def test_gradients_in_bfloat16_where_kernels_are_wider_than_their_input(name, shape, options, tmp_path):
    keras.utils.set_random_seed(0)
    options = {**options, "width": 8, "normalisation": "none"}
    single = zoo.get(name, shape, **options)
    with harness.precision("mixed_bfloat16"):
        half = zoo.get(name, shape, **options)
    half.set_weights(single.get_weights())
    half.save(tmp_path / "half.keras")
    loaded = keras.models.load_model(tmp_path / "half.keras")
    random = np.random.default_rng(0)
    images = random.standard_normal((2, *shape)).astype("float32")
    labels = random.integers(0, 2, (2, *shape[:-1])).astype("int32")
    expected = harness.gradients(single, images, labels)
    for mixed in (half, half, half, loaded):
        for path, gradient in harness.gradients(mixed, images, labels).items():
            error = np.linalg.norm(gradient - expected[path]) / np.linalg.norm(expected[path])
            assert error < 0.5, path  # bfloat16 itself costs up to a quarter in so small a network


@pytest.mark.parametrize("name", [n for n in NAMES if harness.has_option(n, "deep_supervision")])
def test_deep_supervision(name):
    model = harness.small_model(name, deep_supervision=True)
    images, labels = harness.sample(model)
    outputs = model(images, training=False)
    assert len(outputs) == len(model.outputs) > 1
    assert model.output_names[0] == "logits"
    for output in outputs:
        assert output.dtype == "float32"
        assert np.isfinite(zoo.losses.DeepSupervision(zoo.losses.DiceCE())(labels, output))
    assert outputs[0].shape == (*labels.shape, harness.CLASSES)


def test_deep_supervision_needs_sizes_that_divide():
    with pytest.raises(ZooError, match=r"\(9, 5\), which must divide by \(4, 4\); use \(12, 8\)"):
        harness.small_model("unet", odd=True, deep_supervision=True)


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_those_of_the_network(name):
    known = zoo.info(name)
    counted = zoo.info(name, known.input_shape)
    assert counted == known
    shape = known.input_shape[:-1]
    assert all(size % step == 0 for size, step in zip(shape, known.multiple, strict=True))


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize(
    "key",
    [
        "unet",
        "unet_plus_plus",
        "attention_gates",
        "v_net",
        "segresnet",
        "plain_unet",
        "res_unet",
        "unetr",
        "swin_unetr",
    ],
)
def test_weights_of_the_reference(key, rank):
    import importlib.util

    spec = importlib.util.spec_from_file_location("make_counts", _COUNTS.with_name("make_counts.py"))
    golden = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(golden)
    name, options, part = golden.OURS[key]
    model = zoo.get(name + "3d" * (rank == 3), (32,) * rank + (1,), classes=3, **options)
    counted = [w for w in model.trainable_weights if w.name in ("kernel", "embedding", "relative_bias")]
    counted_weights = sum(math.prod(w.shape) for w in counted if part is None or part in w.path)
    assert counted_weights == json.loads(_COUNTS.read_text(encoding="utf-8"))[f"{key}_{rank}d"]


@pytest.mark.parametrize(
    ("name", "preset"),
    [*itertools.product(["mobile_unet", "mobile_unet3d"], ["nano", "tiny"]), ("mobile_unet3d", "small")],
)
def test_patches_in_and_patches_of_logits_out(name, preset):
    rank = zoo.info(name).rank
    model = zoo.get(name, classes=3, preset=preset, width=4, deep_supervision=True)
    assert model.multiple == ((16,) * 2, (8,) * 3)[rank - 2]
    images, labels = harness.sample(zoo.get(name, (*model.multiple, 1), preset=preset, width=4))
    fine, coarse = model(images, training=False)[:2]
    assert fine.shape == (*labels.shape, 3)
    assert coarse.shape[1:-1] == tuple(size // 4 for size in labels.shape[1:])
    slopes = harness.gradients(model, images, labels, lambda y, outputs: zoo.losses.DiceCE()(y, outputs[0]))
    assert {path.split("/")[0] for path, g in slopes.items() if g is None} == {
        layer for layer in model.output_names if layer != "logits"
    }


def test_light_presets_are_lighter():
    costs = [zoo.info("mobile_unet3d", (32, 32, 32, 1), preset=p) for p in ("nano", "tiny", "small")]
    assert [c.macs for c in costs] == sorted(c.macs for c in costs)
    assert [c.parameters for c in costs] == sorted(c.parameters for c in costs)
    assert 3 * costs[-1].macs < zoo.info("unet3d", (32, 32, 32, 1)).macs
