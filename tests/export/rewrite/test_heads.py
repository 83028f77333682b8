"""Networks of other origins: single channels, flattened and several outputs, several inputs, channels first."""

import keras
import numpy as np
import pytest
from export_graded import graded_source
from keras import layers, ops

import edge
import imaging
from export.artifact.folder import export_run
from export.conversion.convert import convert
from export.quantize import tflite_int8
from export.rewrite.heads import adapt
from export.source.model_file import open_model
from medseg import record
from medseg.errors import InputError

SIZES = {2: (8, 12), 3: (4, 6, 8)}


def network(rank, head, channels=1):
    """``head`` of a convolution of an image with random weights."""
    keras.utils.set_random_seed(3)
    image = keras.Input((*SIZES[rank], channels), name="scan")
    x = convolution(rank)(4, 3, padding="same", activation="relu", bias_initializer="random_normal")(image)
    return keras.Model(image, head(x, rank))


def convolution(rank):
    return layers.Conv2D if rank == 2 else layers.Conv3D


def one_channel(activation):
    return lambda x, rank: convolution(rank)(1, 1, activation=activation)(x)


def three(x, rank, **options):
    return convolution(rank)(3, 1, **options)(x)


def probabilities(values):
    """Class indices of a single channel of probabilities."""
    return (values.reshape(values.shape[0], -1) > 0.5).astype(int)


def logits(values):
    return (values.reshape(values.shape[0], -1) > 0).astype(int)


def best(values):
    return values.reshape(values.shape[0], -1, 3).argmax(-1)


def flat(x, rank):
    return layers.Flatten()(x)


HEADS = {
    "sigmoid": (one_channel("sigmoid"), probabilities),
    "hard sigmoid": (one_channel("hard_sigmoid"), probabilities),
    "one logit": (one_channel(None), logits),
    "tanh": (one_channel("tanh"), logits),
    "sigmoid layer": (lambda x, rank: layers.Activation("sigmoid")(one_channel(None)(x, rank)), probabilities),
    "sigmoid operation": (lambda x, rank: ops.sigmoid(one_channel(None)(x, rank)), probabilities),
    "flattened sigmoid": (lambda x, rank: flat(one_channel("sigmoid")(x, rank), rank), probabilities),
    "sigmoid of flattened": (
        lambda x, rank: layers.Activation("sigmoid")(flat(one_channel(None)(x, rank), rank)),
        probabilities,
    ),
    "without channel axis": (
        lambda x, rank: layers.Reshape(SIZES[rank])(one_channel("sigmoid")(x, rank)),
        probabilities,
    ),
    "of unknown make": (lambda x, rank: ops.multiply(one_channel("sigmoid")(x, rank), 1.0), probabilities),
    "nested": (lambda x, rank: keras.Sequential([one_layer(rank)])(x), probabilities),
    "a row a voxel": (lambda x, rank: layers.Reshape((-1, 3))(three(x, rank)), best),
    "softmax of rows": (lambda x, rank: layers.Softmax()(layers.Reshape((-1, 3))(three(x, rank))), best),
    "all in one row": (lambda x, rank: flat(three(x, rank), rank), best),
    "softmax": (lambda x, rank: three(x, rank, activation="softmax"), best),
    "deep supervision": (lambda x, rank: [pooled(three(x, rank), rank), three(x, rank)], best),
    "a dictionary": (lambda x, rank: {"classes": three(x, rank)}, best),
}


def one_layer(rank):
    return convolution(rank)(1, 1, activation="sigmoid")


def pooled(x, rank):
    return (layers.MaxPooling2D if rank == 2 else layers.MaxPooling3D)(2)(x)


def images(rank, channels=1, count=3):
    return np.random.default_rng(1).normal(0, 2, (count, *SIZES[rank], channels)).astype("float32")


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("head_name", HEADS)
def test_every_head_gives_the_classes_that_it_means(head_name, rank):
    head, meaning = HEADS[head_name]
    model, given = network(rank, head), images(rank)
    adapted = adapt(model, "model.keras").model
    raw = keras.tree.flatten(model(given))[-1]
    logits = ops.convert_to_numpy(adapted(given))
    assert logits.shape == (3, *SIZES[rank], 2 if meaning is not best else 3)
    classes = logits.argmax(-1).reshape(3, -1)
    np.testing.assert_array_equal(classes, meaning(ops.convert_to_numpy(raw)))
    assert len(np.unique(classes)) > 1


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("head_name", ["flattened sigmoid", "softmax of rows"])
def test_what_is_adapted_can_be_converted(head_name, rank):
    head, meaning = HEADS[head_name]
    model, given = network(rank, head), images(rank)
    converted = convert(adapt(model, "model.keras").model, "tflite-float32", SIZES[rank])
    logits = list(tflite_int8.logits(converted.data, [image.reshape(converted.input.shape) for image in given]))
    classes = np.stack(logits).reshape(3, -1, converted.output.shape[-1]).argmax(-1)
    np.testing.assert_array_equal(classes, meaning(ops.convert_to_numpy(model(given))))


def test_two_logits_have_the_probability_of_the_sigmoid():
    model, given = network(2, one_channel("sigmoid")), images(2)
    chances = ops.softmax(adapt(model, "model.keras").model(given))[..., 1:]
    np.testing.assert_allclose(chances, model(given), atol=1e-6)


def test_an_open_size_stays_open_and_flattened_outputs_ask_for_one():
    image = keras.Input((None, None, 1))
    model = keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid")(image))
    assert adapt(model, "model.keras").model.inputs[0].shape[1:-1] == (None, None)
    rows = keras.Model(image, layers.Reshape((-1, 3))(layers.Conv2D(3, 1)(image)))
    with pytest.raises(InputError, match=r"model.keras: gives \(None, 3\) for an image of .*; give --patch"):
        adapt(rows, "model.keras")
    assert adapt(rows, "model.keras", (8, 12)).model.outputs[0].shape == (None, 8, 12, 3)


@pytest.mark.parametrize("structure", [list, dict])
def test_several_images_are_channels_of_one(structure):
    keras.utils.set_random_seed(3)
    inputs = [keras.Input((8, 12, channels), name=name) for name, channels in (("t1", 1), ("flair", 2))]
    joined = layers.Concatenate()([inputs[0], layers.Conv2D(2, 3, padding="same")(inputs[1])])
    output = layers.Conv2D(3, 1)(joined)
    model = keras.Model(inputs if structure is list else {i.name: i for i in inputs}, output)
    adapted, given = adapt(model, "model.keras"), images(2, 3)
    parts = [given[..., :1], given[..., 1:]]
    expected = model(parts if structure is list else dict(zip(("t1", "flair"), parts, strict=True)))
    order = [tensor.name for tensor in model.inputs]
    logits = adapted.model(given if order == ["t1", "flair"] else given[..., [1, 2, 0]])
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert adapted.changes == (f"the inputs are channels of one image, in this order: {', '.join(order)}",)
    assert convert(adapted.model, "tflite-float32", (8, 12)).input.shape == (1, 8, 12, 3)


def with_a_number(image, numbers):
    return keras.Model([image, numbers], layers.Conv2D(3, 1)(image) + numbers[:, None, None, :3])


REFUSED = {
    "relu": (lambda: network(2, one_channel("relu")), "only channel ends in relu, which tells no two classes apart"),
    "softmax of one": (lambda: network(2, one_channel("softmax")), "only channel ends in softmax"),
    "squares": (lambda: network(2, lambda x, rank: ops.square(one_channel(None)(x, rank)) * 9), "expected a logit"),
    "half the size": (lambda: network(2, pooled), r"gives \(4, 6, 4\) for an image of \(8, 12, 1\), expected \(8, 12,"),
    "classes first": (lambda: network(2, lambda x, rank: layers.Permute((3, 1, 2))(three(x, rank))), "Permute"),
    "two of full size": (
        lambda: network(2, lambda x, rank: [three(x, rank), three(x, rank)]),
        r"has 2 outputs, .*; expected one, the classes: save keras.Model\(model.inputs, model.outputs\[0\]\)",
    ),
    "a number beside the image": (
        lambda: keras.Model(
            [i := keras.Input((8, 12, 1)), n := keras.Input((4,))], layers.Conv2D(3, 1)(i) + n[:, None, None, :3]
        ),
        "has 2 inputs, .*expected images of one size",
    ),
    "channels first": (
        lambda: keras.Model(
            i := keras.Input((1, 8, 12)), layers.Conv2D(3, 1, data_format="channels_first", name="first")(i)
        ),
        "layer first has the channels first, expected channels last; .*set_weights",
    ),
}


@pytest.mark.parametrize("model_name", REFUSED)
def test_what_cannot_be_read_is_refused_with_the_mend(model_name):
    build, message = REFUSED[model_name]
    with pytest.raises(InputError, match=message) as caught:
        adapt(build(), "model.keras")
    assert str(caught.value).startswith("model.keras: ")
    assert "\n" not in str(caught.value)


def test_a_saved_sigmoid_becomes_an_artifact_of_two_classes(tmp_path):
    source = graded_source(tmp_path)
    image = keras.Input((24, 20, 1))
    model = keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid")(image))
    model.layers[-1].set_weights([np.full((1, 1, 1, 1), 8.0), np.array([-4.0])])
    model.save(tmp_path / "model.keras")
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for case in source.training + source.validation:
        imaging.write(tmp_path / "images" / f"{case.name}.nii.gz", imaging.read(case.images[0]))
        label = imaging.read_labels(case.label)
        imaging.write(tmp_path / "labels" / f"{case.name}.nii.gz", imaging.Scan(label.voxels > 0, label.affine))
    record.save(tmp_path / "recipe.json", source.recipe)
    opened = open_model(
        tmp_path / "model.keras", tmp_path / "recipe.json", tmp_path / "images", labels=tmp_path / "labels"
    )
    (folder,) = export_run(opened, ["tflite-int8"], tmp_path / "out", calibration="minmax", tell=lambda line: None)
    manifest = edge.load_manifest(folder)
    assert [label.name for label in manifest.labels] == ["background", "class 1"]
    assert manifest.fidelity["labels"]["class 1"]["dice_artifact"] == 1.0
    assert "read as two classes, the second where its logit is above 0" in (folder / "CARD.md").read_text()
