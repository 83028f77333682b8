"""The layouts of batch 1: every layer in them equals Keras' own, and no tensor has another batch."""

import keras
import numpy as np
import pytest
from export_rewriting import (
    BATCH1,
    BLOCKS,
    assert_exact,
    begins_at_the_first_voxel,
    difference,
    network,
    randomise,
)
from harness import small_model, small_shape
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import layers, ops

import export
import zoo
from export.rewrite import Layout, RewriteError, rewrite
from export.rewrite.batch1 import combine
from export.rewrite.batch1.gap import block_of, out_size
from export.rewrite.rules.depth import same_padding
from zoo.blocks.depthwise import DepthwiseConv3D
from zoo.blocks.resample import LinearUpSampling3D

PROPERTY = settings(max_examples=15, deadline=None, derandomize=True)
SHAPE = (4, 6, 4, 2)
PLAIN = BATCH1[:2]
layouts = st.sampled_from(BATCH1)
padding = st.sampled_from(["same", "valid"])
EDGE = [name for name in zoo.list_models(tag="edge") if zoo.info(name).rank == 3]


def triples(most):
    return st.tuples(*[st.integers(1, most)] * 3)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), padding)
def test_no_row_of_another_slice_is_seen(height, kernel, stride, dilation, kind):
    """Rows that a 2D convolution over three blocks reads, by TensorFlow's rule for the whole image, against one's."""
    if kind == "valid":
        height = max(height, (kernel - 1) * dilation + 1)
    block = block_of(height, kernel, stride, dilation, kind)
    image = [None] * (3 * block.rows)
    for i in range(3):
        start = i * block.rows + block.above
        image[start : start + height] = [(i, row) for row in range(height)]
    whole, alone = (
        same_padding(n, kernel, stride, dilation)[0] if kind == "same" else 0 for n in (3 * block.rows, height)
    )
    assert block.rows % stride == 0
    assert block.outputs == out_size(height, kernel, stride, dilation, kind)
    for i in range(3):
        for q in range(block.outputs):
            for tap in range(kernel):
                row = i * block.rows + q * stride - whole + tap * dilation
                stored = image[row] if 0 <= row < len(image) else None
                own = q * stride - alone + tap * dilation
                assert stored == ((i, own) if 0 <= own < height else None)


@PROPERTY
@given(st.data(), triples(4), triples(3), padding, layouts, st.integers(1, 3))
def test_convolutions(data, kernel, steps, kind, layout, channels):
    strided = data.draw(st.booleans())
    strides, dilation = (steps, (1, 1, 1)) if strided else ((1, 1, 1), steps)
    spatial = data.draw(triples(6))
    # TensorFlow's own Conv3D is wrong on a CPU for some strided windows that are wider than the feature map
    spatial = tuple(max(n, (k - 1) * d + 1) for n, k, d in zip(spatial, kernel, dilation, strict=True))

    def build(x):
        y = layers.Conv3D(3, kernel, strides=strides, dilation_rate=dilation, padding=kind, activation="relu")(x)
        return layers.BatchNormalization()(y) if strided else y

    assert_exact(build, (*spatial, channels), [layout])


@pytest.mark.parametrize("layout", PLAIN)
def test_wide_and_grouped_convolutions(layout):
    def build(x):
        y = layers.ReLU()(layers.Conv3D(18, 3, padding="same")(x))
        y = layers.BatchNormalization()(layers.Conv3D(20, 3, padding="same", use_bias=False)(y))
        y = layers.Concatenate()([y, layers.Conv3D(4, 3, padding="same", groups=2)(x)])
        y = layers.BatchNormalization()(DepthwiseConv3D(3)(layers.Conv3D(6, (3, 3, 1), padding="same")(y)))
        y = DepthwiseConv3D((3, 1, 1))(DepthwiseConv3D((1, 3, 3))(DepthwiseConv3D((1, 1, 3))(y)))
        return layers.Conv3D(6, (1, 2, 2), strides=(1, 2, 2), groups=6)(y)

    assert_exact(build, (3, 4, 6, 2), [layout])


def test_concatenation_slice_by_slice(monkeypatch):
    monkeypatch.setattr(combine, "LARGE", 0)

    def build(x):
        skip = layers.Conv3D(18, 3, padding="same", activation="relu")(x)
        up = layers.Conv3DTranspose(6, 2, strides=2)(layers.MaxPooling3D(2)(skip))
        wide = layers.Conv3D(3, 3, padding="same")(x)
        return layers.Conv3D(3, 3, padding="same")(layers.Concatenate()([skip, up, wide, layers.ReLU()(wide)]))

    assert_exact(build, SHAPE, PLAIN[1:])


@pytest.mark.parametrize("depth", [1, 2])
def test_taps_that_never_meet_a_thin_feature_map(depth):
    def build(x):
        return layers.Conv3D(2, (2, 3, 3), dilation_rate=(5, 1, 1), padding="same")(x)

    assert_exact(build, (depth, 3, 4, 2), PLAIN)


@PROPERTY
@given(triples(3), triples(3), triples(3), padding, layouts)
def test_transposed_convolutions(kernel, strides, spatial, kind, layout):
    def build(x):
        x = layers.Conv3DTranspose(2, kernel, strides=strides, padding=kind, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        return layers.Conv3DTranspose(2, strides, strides=strides)(x)

    assert_exact(build, (*spatial, 2), [layout])


@PROPERTY
@given(
    kind=st.sampled_from([layers.MaxPooling3D, layers.AveragePooling3D]),
    size=triples(3),
    strides=st.one_of(st.none(), triples(3)),
    padded=padding,
    border=st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 3),
    factor=triples(3),
    layout=st.sampled_from(PLAIN),
)
def test_pooling_padding_cropping_and_up_sampling(kind, size, strides, padded, border, factor, layout):
    assume(begins_at_the_first_voxel(size, strides, padded))

    def build(x):
        y = kind(size, strides=strides, padding=padded)(x)
        y = layers.UpSampling3D(factor)(layers.ZeroPadding3D(border)(y))
        y = LinearUpSampling3D(factor[::-1])(y)
        return layers.Cropping3D(tuple((0, n > 1) for n in factor))(y)

    assert_exact(build, (3, 5, 4, 2), [layout])


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    blocks=st.lists(st.sampled_from(sorted(BLOCKS)), min_size=2, max_size=4),
    depth=st.integers(1, 4),
    channels=st.integers(1, 3),
    layout=layouts,
)
def test_networks_of_random_blocks(blocks, depth, channels, layout):
    def build(x):
        for name in blocks:
            x = BLOCKS[name](x)
        return layers.Conv3D(2, 1)(x)

    assert_exact(build, (depth, 4, 2, channels), [layout])


@pytest.mark.parametrize(("name", "layout"), [(name, PLAIN[i % 2]) for i, name in enumerate(EDGE)])
def test_every_edge_entry_and_the_batch_of_every_tensor(name, layout):
    model = small_model(name, odd=True)
    randomise(model)
    patch = small_shape(name, odd=True)[:-1]
    assert difference(model, patch, layout) < 1e-5
    tensors = keras.tree.flatten([operation.output for operation in rewrite(model, patch, layout).operations])
    assert {t.shape[0] for t in tensors if len(t.shape)} == {1}
    assert max(len(t.shape) for t in tensors) == 4


LAYERS = {
    "relu": lambda x: layers.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2)(layers.ReLU(6.0)(x)),
    "slopes": lambda x: layers.PReLU(shared_axes=(1, 2, 3))(x) + layers.PReLU()(x) + layers.PReLU(shared_axes=(1,))(x),
    "functions": lambda x: layers.Activation("gelu")(layers.Activation(lambda v: ops.tanh(v) * v)(x)),
    "probabilities": lambda x: layers.Activation("softmax")(x) + layers.Softmax()(x),
    "norms": lambda x: layers.LayerNormalization(axis=(1, 2, 3, 4))(layers.LayerNormalization()(x)),
    "groups": lambda x: layers.GroupNormalization(2)(layers.Dense(4)(layers.Rescaling(2.0, 1.0)(x))),
    "permutation": lambda x: layers.Permute((3, 1, 2, 4))(x),
    "joined": lambda x: layers.Concatenate(axis=1)([layers.Concatenate(axis=2)([x, x]), ops.concatenate([x, x], 2)]),
    "joined in width": lambda x: layers.Concatenate(axis=3)([x, layers.ELU()(x)]),
    "merged": lambda x: layers.Average()([layers.Maximum()([x, layers.GlobalMaxPooling3D()(x)]), x[:, 0]]),
    "mean of rows": lambda x: x * ops.mean(x, axis=2, keepdims=True) + ops.max(x, axis=(2, 3), keepdims=True),
    "sums": lambda x: ops.sum(x, axis=(1, 2, 3)) + ops.sum(x, axis=(1, 2, 3, 4), keepdims=True)[:, 0, 0, 0],
    "slices": lambda x: x[:, 1:, ..., :1] * ops.mean(x, axis=-1, keepdims=True)[:, :-1, ::-1],
    "gate": lambda x: x * ops.sigmoid(ops.max(x, axis=(1, 2, 3)))[:, None, None, None],
    "tokens": lambda x: layers.Reshape((6, 4, 4, 2))(layers.Dense(2)(layers.Reshape((-1, 2))(x))),
    "reshaped": lambda x: ops.reshape(layers.Flatten()(x), (-1, 2, 12, 4, 2)) + 1.0,
    "constants": lambda x: x * np.float32(2) + np.ones((4, 6, 4, 2), "f") - np.ones((1, 1, 1, 4, 1), "f") * 0.5,
    "choice": lambda x: ops.where(x > 0, x, ops.minimum(x, -1.0)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_other_layers_and_operations(name):
    assert_exact(LAYERS[name], SHAPE, PLAIN)


class Swap(layers.Layer):
    """A layer whose call is hidden from Keras."""

    def call(self, inputs):
        import tensorflow as tf

        return tf.negative(inputs)


def test_all_that_a_form_cannot_express_is_listed_at_once():
    def build(x):
        x = layers.Conv3D(2, 3, name="fine")(layers.Softmax(axis=1, name="along")(Swap(name="hidden")(x)))
        return ops.add(ops.flip(x, axis=1), ops.mean(x, axis=(1, 3), keepdims=True))

    model = network(build, (5, 5, 5, 2))
    with pytest.raises(RewriteError) as caught:
        rewrite(model, (5, 5, 5), Layout(fold="channels"))
    message = str(caught.value)
    assert "cannot be rewritten in the layout 'channels': " in message
    for part in (
        "layer hidden (Swap): has no rule, and its call cannot be followed",
        "layer along (Softmax): acts along a spatial axis",
        "(Flip): has no rule in the layout 'channels'; the layout 'batch' takes it",
        "(Mean): reduces axes (0, 2)",
    ):
        assert part in message
    assert "fine" not in message


def test_a_rule_of_the_users_own_for_each_voxel():
    @export.rule(Swap, pointwise=True)
    def swap(layer, args, kwargs, emission):
        return ops.negative(args[0])

    try:
        assert_exact(lambda x: layers.Conv3D(2, 3)(Swap()(x)), SHAPE, PLAIN)
    finally:
        from export.rewrite.registry import POINTWISE, RULES

        del RULES[Swap]
        POINTWISE.remove(Swap)


def test_a_shared_layer_and_several_outputs():
    shared = layers.Conv3D(2, 3, padding="same")

    def build(x):
        skip = layers.ReLU()(shared(x))
        deep = shared(layers.MaxPooling3D(2)(skip))
        return [layers.Concatenate()([skip, layers.UpSampling3D(2)(deep)]), deep, layers.GlobalMaxPooling3D()(deep), x]

    assert_exact(build, SHAPE, PLAIN)
    flat = rewrite(network(build, SHAPE), SHAPE[:-1], Layout(fold="height"))
    assert [tuple(t.shape) for t in flat.outputs] == [(1, 24, 4, 4), (1, 6, 2, 2), (1, 2), (1, 24, 4, 2)]
