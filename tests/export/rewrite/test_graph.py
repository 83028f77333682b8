"""Whole networks, rewritten, equal themselves; and what cannot be rewritten is said at once."""

import keras
import pytest
from export_rewriting import BLOCKS, LAYOUTS, assert_exact, difference, network, randomise
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

import export
from export.rewrite import RewriteError, rewrite

SHAPE = (4, 6, 4, 2)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    blocks=st.lists(st.sampled_from(sorted(BLOCKS)), min_size=2, max_size=5),
    depth=st.integers(1, 5),
    channels=st.integers(1, 3),
    layout=st.sampled_from(LAYOUTS),
)
def test_networks_of_random_blocks(blocks, depth, channels, layout):
    def build(x):
        for name in blocks:
            x = BLOCKS[name](x)
        return layers.Conv3D(2, 1)(x)

    assert_exact(build, (depth, 4, 2, channels), [layout])


def test_multiple_outputs_in_their_order():
    def build(x):
        deep = layers.MaxPooling3D(2)(x)
        return [layers.Conv3D(2, 1)(x), layers.Conv3D(3, 1)(deep), layers.GlobalMaxPooling3D()(deep), x]

    flat = rewrite(network(build, SHAPE), SHAPE[:-1])
    assert [tuple(t.shape) for t in flat.outputs] == [(4, 6, 4, 2), (2, 3, 2, 3), (1, 2), (4, 6, 4, 2)]
    assert_exact(build, SHAPE)


def test_nested_models_that_use_the_same_names():
    def inner(filters):
        x = keras.Input((None, None, None, 2))
        y = layers.Conv3D(filters, 3, padding="same", use_bias=False, name="conv")(x)
        y = layers.BatchNormalization(name="norm")(y)
        return keras.Model(x, y, name=f"inner_{filters}")

    def build(x):
        sequence = keras.Sequential([layers.Conv3D(2, 1, name="conv"), layers.ReLU(), layers.BatchNormalization()])
        first, second = inner(2), inner(3)
        return ops.concatenate([first(x), second(first(x)), sequence(x), layers.Conv3D(1, 1, name="conv")(x)], axis=-1)

    assert_exact(build, SHAPE)
    names = {operation.name for operation in rewrite(network(build, SHAPE), SHAPE[:-1]).operations}
    assert {"inner_2.conv", "inner_3.conv", "conv"} <= names


def test_a_shared_layer_keeps_one_set_of_weights():
    shared = layers.Conv3D(2, 3, padding="same")
    gate = layers.Dense(2, activation="sigmoid")

    def build(x):
        deep = shared(layers.MaxPooling3D((4, 1, 1))(shared(x)))  # depth 1: only the middle of the kernel is used
        return (
            layers.BatchNormalization()(shared(x))
            * deep
            * gate(x)
            * gate(ops.mean(x, axis=(1, 2, 3)))[:, None, None, None]
        )

    assert_exact(build, SHAPE)


def test_a_sequential_model():
    model = keras.Sequential([keras.Input(SHAPE), layers.Conv3D(3, 3), layers.ReLU(), layers.Conv3D(2, 1)])
    randomise(model)
    assert difference(model, SHAPE[:-1]) < 1e-5
    assert difference(keras.Sequential([keras.Input((6, 4, 2)), layers.Conv2D(3, 3)]), (6, 4)) < 1e-5


def test_an_open_input_shape_takes_any_patch():
    model = network(lambda x: layers.Conv3D(2, 3, padding="same")(x), (None, None, None, 1))
    for patch in ((1, 3, 5), (4, 4, 4)):
        assert difference(model, patch) < 1e-5


def test_a_2d_network():
    def build(x):
        skip = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", use_bias=False)(x)))
        deep = layers.Conv2D(4, 3, padding="same", activation="gelu")(layers.MaxPooling2D(2)(skip))
        up = layers.Conv2DTranspose(4, 3, strides=2, padding="same")(deep)
        up = layers.Resizing(8, 6)(layers.Resizing(5, 7, interpolation="nearest")(up))
        gate = layers.GlobalAveragePooling2D()(skip)
        x = layers.Concatenate()(
            [layers.Multiply()([skip, gate]), up, layers.UpSampling2D(2, interpolation="bilinear")(deep)]
        )
        return layers.Softmax()(layers.Conv2D(3, 1)(x))

    assert_exact(build, (8, 6, 2))


def test_attention_over_tokens():
    def build(x):
        x = layers.Conv3D(4, 2, strides=2)(x)
        tokens = layers.LayerNormalization()(layers.Reshape((-1, 4))(x))
        tokens = layers.MultiHeadAttention(2, 2)(tokens, tokens)
        return layers.Add()([layers.Reshape((2, 3, 2, 4))(tokens), x])

    assert_exact(build, SHAPE)


class Gate(layers.Layer):
    """A layer of layers and operations, as user code has them."""

    def build(self, shape):
        self.conv = layers.Conv3D(shape[-1], 3, padding="same", name="conv")
        self.norm = layers.BatchNormalization(name="norm")
        self.conv.build(shape)
        self.norm.build(shape)
        self.strength = self.add_weight((shape[-1],), name="strength")

    def call(self, inputs, training=None):
        size = ops.shape(inputs)
        gate = ops.sigmoid(self.norm(self.conv(inputs), training=training)) * self.strength
        return ops.reshape(inputs * gate, size)


class Negative(layers.Layer):
    """A layer whose call is hidden from Keras."""

    def call(self, inputs):
        import tensorflow as tf

        return tf.negative(inputs)


def test_layers_of_layers_are_followed():
    twice = Gate(name="twice")
    assert_exact(lambda x: Gate(name="gate")(twice(twice(x))), SHAPE)
    names = {o.name for o in rewrite(network(lambda x: Gate(name="gate")(x), SHAPE), SHAPE[:-1]).operations}
    assert "gate.conv" in names
    assert not any("norm" in name for name in names)  # folded


def test_a_subclassed_model_called_on_an_input_is_followed():
    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.last = layers.Conv3D(3, 3, padding="same", activation="relu"), layers.Conv3D(2, 1)

        def call(self, inputs):
            return self.last(self.first(inputs) + 1.0)

    model = Network()
    with pytest.raises(RewriteError, match=r"expected a functional keras\.Model, got a Network"):
        rewrite(model, SHAPE[:-1])
    assert_exact(lambda x: model(x), SHAPE)


def test_all_that_cannot_be_rewritten_is_listed_at_once():
    def build(x):
        x = Negative(name="first")(x)
        x = layers.Concatenate(axis=0, name="second")([x, x])
        x = layers.Conv3D(2, 1)(Negative(name="third")(x))
        return ops.add(x, 1.0)

    with pytest.raises(RewriteError) as caught:
        rewrite(network(build, SHAPE), SHAPE[:-1])
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "layer first (Negative): has no rule, and its call cannot be followed",
        "register one with export.rule",
        "layer second (Concatenate): acts along the batch axis",
        "layer third (Negative)",
    ):
        assert part in message
    assert message.count("third") == 1


def test_channels_first_and_the_batch_axis_are_named():
    image = keras.Input((2, 4, 6, 4))
    model = keras.Model(image, layers.ZeroPadding3D(data_format="channels_first")(image))
    with pytest.raises(RewriteError, match="data format is channels_first; expected channels_last"):
        rewrite(model, (2, 4, 6))
    with pytest.raises(RewriteError, match="acts along the batch axis"):
        rewrite(network(lambda x: layers.Concatenate(axis=0)([x, x]), SHAPE), SHAPE[:-1])


def test_a_patch_of_other_axes_and_two_inputs_are_named():
    model = network(lambda x: layers.ReLU()(x), SHAPE)
    with pytest.raises(RewriteError, match=r"has 3 spatial axes, patch \(4, 4\) has 2"):
        rewrite(model, (4, 4))
    first, second = keras.Input(SHAPE), keras.Input(SHAPE)
    with pytest.raises(RewriteError, match="expected one input, the image, got 2"):
        rewrite(keras.Model([first, second], first + second), SHAPE[:-1])


def test_a_rule_of_the_users_own():
    @export.rule(Negative)
    def negative(layer, args, kwargs, emission):
        assert emission.rank == 5
        assert len(args[0].shape) == 4
        return ops.negative(args[0])

    try:
        assert_exact(lambda x: layers.Conv3D(2, 3)(Negative()(x)), SHAPE)
    finally:
        from export.rewrite.registry import RULES

        del RULES[Negative]


def test_a_rule_serves_subclasses_that_keep_call():
    class Named(layers.ReLU):
        pass

    class Other(layers.Conv3D):
        def call(self, inputs):
            return 2 * super().call(inputs)

    assert_exact(lambda x: Other(2, 3)(Named()(x)), SHAPE)


def test_mixed_precision_is_rewritten_to_float32():
    def build(x):
        y = layers.Conv3D(4, 3, padding="same", dtype="mixed_float16")(x)
        return layers.Conv3D(2, 1, dtype="float32")(ops.cast(layers.ReLU(dtype="mixed_float16")(y), "float32"))

    model = network(build, SHAPE)
    flat = rewrite(model, SHAPE[:-1])
    assert all(t.dtype == "float32" for operation in flat.operations for t in keras.tree.flatten(operation.output))
    assert difference(model, SHAPE[:-1]) < 5e-3  # float16 has 11 bits


def test_the_source_keeps_its_weights_and_outputs():
    model = network(BLOCKS["conv, norm, act"], SHAPE)
    image = keras.random.normal((1, *SHAPE), seed=0)
    before, weights = model(image), [ops.convert_to_numpy(w).copy() for w in model.weights]
    rewrite(model, SHAPE[:-1])
    rewrite(model, (8, 8, 8))
    assert (ops.convert_to_numpy(before) == ops.convert_to_numpy(model(image))).all()
    assert all((old == ops.convert_to_numpy(new)).all() for old, new in zip(weights, model.weights, strict=True))
