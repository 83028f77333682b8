"""Weights: shipped sets, files, transfer."""

import numpy as np
import pytest

import zoo
from zoo import weights
from zoo.errors import ZooError

SMALL = {"width": 4, "depth": 2}
CARD = weights.Card("unet3d", "toy", ("background", "a", "b"), ("MR",), options=SMALL, scores={"a": 0.5})


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


def test_shipped_sets_load():
    for card in weights.list_weights():
        assert zoo.get(card.entry, weights=card.name).output_shape[-1] == len(card.classes)
        assert card.data
        assert card.licence
        assert card.scores


def test_shipped_set_brings_classes_channels_and_options(model, shipped):
    assert weights.list_weights() == [CARD]
    assert weights.list_weights("unet") == []
    again = zoo.get("unet3d", weights="toy")
    assert again.output_shape[-1] == 3
    equal(again, model, rtol=1e-3)
    assert not list(shipped.glob("*.tmp"))


def test_other_classes_take_all_but_the_head(model, shipped):
    with pytest.warns(UserWarning, match="all weights loaded but the head, which is fresh for 5 classes"):
        other = zoo.get("unet3d", weights="toy", classes=5)
    equal_part = [w for w in other.weights if not w.path.startswith("logits")]
    for found, wanted in zip(equal_part, [w for w in model.weights if not w.path.startswith("logits")], strict=True):
        np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-3, atol=1e-3)


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
        ({"weights": "toy", "channels": 2}, r"are for 1 channels \(MR\); found 2; use channels=1"),
        ({"weights": "toy", "width": 8}, "encoder0_0_conv/kernel has shape"),
        ({"weights": "nothing.keras"}, "nothing.keras: no such file"),
    ],
)
def test_mistakes(shipped, request_, message):
    with pytest.raises(ZooError, match=message):
        zoo.get("unet3d", **request_)


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
