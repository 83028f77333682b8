"""A patch that a network does not take, and the one that it takes."""

import keras
import pytest
from keras import layers

import zoo
from export.rewrite import RewriteError, check_fit


def u_net(shape, strides=(2, 2, 2)):
    image = keras.Input(shape)
    down = layers.MaxPooling3D(strides)(image)
    inner = keras.Sequential([layers.Conv3D(2, 3, padding="same"), layers.ReLU()])(down)
    up = layers.Conv3DTranspose(2, strides, strides=strides, name="up")(inner)
    return keras.Model(image, layers.Concatenate(name="join")([image, up]), name="small")


def test_a_patch_that_fits():
    check_fit(u_net((None, None, None, 1)), (8, 6, 4))
    check_fit(u_net((8, 6, 4, 1)), (8, 6, 4))
    check_fit(u_net((None, None, None, 1), (1, 2, 2)), (7, 6, 4))


def test_the_nearest_larger_patch_is_named():
    model = u_net((None, None, None, 1))
    with pytest.raises(RewriteError) as caught:
        check_fit(model, (9, 7, 4))
    assert str(caught.value) == (
        "small does not take patch (9, 7, 4) (layer join joins (9, 7, 4) and (8, 6, 4)); use (10, 8, 4)"
    )
    check_fit(model, (10, 8, 4))


@pytest.mark.parametrize("name", ["unet3d", "res_unet3d", "attention_unet3d", "plain_unet3d", "segresnet3d"])
def test_the_zoos_networks_of_open_shape(name):
    model = zoo.get(name, width=4)
    with pytest.raises(RewriteError, match=r"layer \w+ joins .*; use \(40, 24, 24\)"):
        check_fit(model, (40, 24, 20))
    check_fit(model, (40, 24, 24))


def test_nothing_left():
    image = keras.Input((None, None, None, 1))
    valid = keras.Model(image, layers.Conv3D(2, 5)(layers.Conv3D(2, 5, name="first")(image)), name="valid")
    with pytest.raises(RewriteError, match=r"valid does not take patch \(8, 8, 8\) .*; use \(16, 16, 16\)"):
        check_fit(valid, (8, 8, 8))
    pooled = keras.Model(image, layers.MaxPooling3D(4, name="pool")(image), name="pooled")
    with pytest.raises(RewriteError, match=r"layer pool.*; use \(4, 4, 4\)"):
        check_fit(pooled, (2, 4, 4))


def test_a_fixed_input_and_impossible_patches():
    with pytest.raises(RewriteError, match=r"its input is fixed to \(8, 6, 4\); use that"):
        check_fit(u_net((8, 6, 4, 1)), (8, 8, 8))
    with pytest.raises(RewriteError, match=r"has 3 spatial axes, patch \(8, 8\) has 2"):
        check_fit(u_net((None, None, None, 1)), (8, 8))
    with pytest.raises(RewriteError, match="sizes of at least 1 voxel"):
        check_fit(u_net((None, None, None, 1)), (8, 8, 0))
