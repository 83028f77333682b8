"""Weights: shipped sets, files, transfer."""

import numpy as np
import pytest

import zoo
from zoo import weights
from zoo.errors import ZooError

SMALL = {"width": 4, "depth": 2}
CARD = weights.Card("unet3d", "toy", ("background", "a", "b"), ("MR",), options=SMALL, commands=("zoo train X",))


@pytest.fixture
def model():
    return zoo.get("unet3d", classes=3, **SMALL)


@pytest.fixture
def shipped(model, tmp_path, monkeypatch):
    """A set in a folder that stands for the package's own."""
    monkeypatch.setattr(weights, "_FOLDER", tmp_path)
    weights.save_weights(model, CARD)
    return tmp_path


def equal(a, b, rtol=0.0):
    for x, y in zip(a.weights, b.weights, strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rtol, atol=rtol)


def test_shipped_set_brings_classes_channels_and_options(model, shipped):
    assert weights.list_weights() == [CARD]
    assert weights.list_weights("unet") == []
    again = zoo.get("unet3d", weights="toy")
    assert again.output_shape[-1] == 3
    equal(again, model, rtol=1e-3)
    assert [path.name for path in shipped.iterdir()] == ["unet3d-toy"]


def test_a_set_elsewhere_is_taken_by_its_folder(model, tmp_path):
    weights.save_weights(model, CARD, tmp_path)
    equal(zoo.get("unet3d", weights=tmp_path / "unet3d-toy"), model, rtol=1e-3)
    with pytest.raises(ZooError, match="holds weights of unet3d, not of unet; ask for 'unet3d'"):
        zoo.get("unet", weights=tmp_path / "unet3d-toy")


def test_storage_is_within_half_a_step(model, tmp_path):
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(0, 10.0 ** rng.integers(-6, 2), weight.shape))
    for kind in weights.KINDS:
        stored = weights.read_arrays(weights.save_weights(model, CARD, tmp_path / kind, kind))
        assert list(stored) == [w.path for w in model.weights]
        for weight in model.weights:
            values = np.asarray(weight)
            step = np.abs(values).max(axis=tuple(range(values.ndim - 1)), keepdims=True) / 127
            smallest = 3e-8  # half the least step of half precision
            bound = np.maximum(np.abs(values) * 2**-11, smallest)
            if kind == "int8" and values.ndim > 1:
                bound = 0.5001 * step
            assert (np.abs(stored[weight.path] - values) <= bound).all()
    equal(zoo.get("unet3d", weights=tmp_path / "int8" / "unet3d-toy"), model, rtol=1.0)


def test_int8_is_half_the_size_and_keeps_zero_channels(tmp_path):
    values = np.random.default_rng(0).normal(size=(3, 3, 32, 64)).astype("float32")
    values[..., 5] = 0
    for kind in weights.KINDS:
        weights.write_arrays(tmp_path / f"{kind}.npz", {"conv/kernel": values}, kind)
    assert not weights.read_arrays(tmp_path / "int8.npz")["conv/kernel"][..., 5].any()
    sizes = [(tmp_path / f"{kind}.npz").stat().st_size for kind in ("int8", "float16")]
    assert sizes[0] < 0.55 * sizes[1]
    with pytest.raises(ZooError, match="unknown storage of weights 'int4'"):
        weights.write_arrays(tmp_path / "x.npz", {"conv/kernel": values}, "int4")


def test_an_existing_set_is_replaced_and_nothing_else(model, shipped):
    weights.save_weights(model, CARD)
    assert [path.name for path in shipped.iterdir()] == ["unet3d-toy"]
    (shipped / "unet3d-toy" / "card.json").unlink()
    with pytest.raises(ZooError, match="exists and is no set of weights"):
        weights.save_weights(model, CARD)
    assert [path.name for path in shipped.iterdir()] == ["unet3d-toy"]


def test_other_classes_take_all_but_the_head(model, shipped):
    with pytest.warns(UserWarning, match="unet3d-toy: all weights loaded but the head .3: background, a, b."):
        five_classes = zoo.get("unet3d", weights="toy", classes=5)
    equal_part = [w for w in five_classes.weights if not w.path.startswith("logits")]
    for loaded, expected in zip(equal_part, [w for w in model.weights if not w.path.startswith("logits")], strict=True):
        np.testing.assert_allclose(np.asarray(loaded), np.asarray(expected), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("suffix", ["keras", "weights.h5"])
def test_files(model, tmp_path, suffix):
    path = tmp_path / f"file.{suffix}"
    model.save(path) if suffix == "keras" else model.save_weights(path)
    equal(zoo.get("unet3d", classes=3, weights=path, **SMALL), model)


def test_padded_and_free_networks_share_weights(model, tmp_path):
    model.save(tmp_path / "file.keras")
    odd = zoo.get("unet3d", (5, 7, 9, 1), classes=3, weights=tmp_path / "file.keras", **SMALL)
    equal(odd, model)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"weights": "toi"}, "unknown weights of unet3d 'toi'. Did you mean 'toy'"),
        ({"weights": "toy", "channels": 2}, r"expected 1 channels \(MR\), got 2; use channels=1"),
        ({"weights": "toy", "width": 8}, "encoder0_0_conv/kernel has shape"),
        ({"weights": "nothing.keras"}, "nothing.keras: no such file"),
        ({"weights": "toy", "input_shape": (8, 8, 8, 3)}, r"expected 1 channels \(MR\), got 3; use channels=1"),
        ({"weights": "toy", "classes": 5, "channels": 2}, r"expected 1 channels \(MR\), got 2"),
    ],
)
def test_mistakes(shipped, request_, message):
    with pytest.raises(ZooError, match=message):
        zoo.get("unet3d", **request_)


def test_a_set_of_another_network(shipped):
    with pytest.raises(ZooError, match=r"'toy' are shipped for unet3d, not for unet$"):
        zoo.get("unet", weights="toy")


def test_file_that_is_no_weights(tmp_path):
    for suffix in ("keras", "weights.h5", "npz"):
        path = tmp_path / f"bad.{suffix}"
        path.write_bytes(b"nothing")
        with pytest.raises(ZooError, match=f"bad.{suffix}"):
            zoo.get("unet3d", weights=path, **SMALL)


def test_weights_too_large_for_half_precision(model, tmp_path):
    model.weights[0].assign(np.full(model.weights[0].shape, 1e6))
    with pytest.raises(ZooError, match="do not fit half precision"):
        weights.save_weights(model, CARD, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "not readable as JSON"),
        ("[]", "not a card of weights"),
        ('{"entry": "unet3d"}', "field name, classes, channels is missing"),
        ('{"entry": "unet3d", "name": "toy", "classes": [], "channels": [], "colour": 1}', "unknown field colour"),
    ],
)
def test_damaged_card(shipped, text, message):
    (shipped / "unet3d-toy" / "card.json").write_text(text, encoding="utf-8")
    with pytest.raises(ZooError, match=message):
        zoo.get("unet3d", weights="toy")


def test_a_set_without_artifact(shipped):
    with pytest.raises(ZooError, match="has no artifact"):
        weights.artifact("unet3d", "toy")
