"""Every network of the zoo, rewritten, equals itself."""

import pytest
from export_rewriting import LAYOUTS, difference, network, randomise
from harness import small_model, small_shape
from keras import layers

import zoo
from export.rewrite import rewrite
from zoo.blocks.depthwise import DepthwiseConv3D
from zoo.building import option_names

NAMES = zoo.list_models()


@pytest.mark.parametrize(("name", "odd"), [(name, bool(i % 3)) for i, name in enumerate(NAMES)])
def test_every_entry(name, odd):
    model = small_model(name, odd=odd)
    randomise(model)
    assert difference(model, small_shape(name, odd=odd)[:-1], LAYOUTS[odd]) < 1e-5


def test_deep_supervision_keeps_all_outputs():
    model = small_model("unet3d", deep_supervision=True)
    assert len(model.outputs) > 1
    assert difference(model, small_shape("unet3d")[:-1]) < 1e-5


@pytest.mark.parametrize("upsample", ["nearest", "linear"])
@pytest.mark.parametrize("normalisation", ["instance", "group", "none"])
@pytest.mark.parametrize("name", ["unet", "unet3d"])
def test_styles(name, normalisation, upsample):
    options = {"normalisation": normalisation, "upsample": upsample, "activation": "prelu", "dropout": 0.1}
    assert options.keys() <= set(option_names(name))
    model = small_model(name, odd=True, **options)
    randomise(model)
    assert difference(model, small_shape(name, odd=True)[:-1]) < 1e-5


def test_batch_normalisation_folds_into_the_zoos_depthwise_convolution():
    for kernel in (3, (1, 3, 3), (3, 1, 1)):
        model = network(lambda x, k=kernel: layers.BatchNormalization()(DepthwiseConv3D(k)(x)), (3, 4, 5, 2))
        assert difference(model, (3, 4, 5)) < 1e-5
        assert not any("norm" in operation.name for operation in rewrite(model, (3, 4, 5)).operations)
