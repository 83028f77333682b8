"""Each private interface of Keras that the project uses is there and means what it meant: a newer Keras fails here."""

import keras
import pytest
from keras import layers

from zoo.internals import keras as internals


@pytest.fixture(scope="module")
def nested():
    image = keras.Input((8, 8, 1), name="scan")
    inner = keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(2, 1, name="conv")], name="inner")
    hidden = inner(image)
    return keras.Model(image, layers.Add(name="sum")([layers.ReLU(name="relu")(hidden), hidden]))


def test_the_graph_is_walked_in_the_order_of_computation(nested):
    operations = [node.operation.name for node in internals.nodes_by_depth(nested)]
    assert operations == ["scan", "inner", "relu", "sum"]


def test_graphs_are_told_from_layers(nested):
    inner = nested.get_layer("inner")
    assert internals.is_functional(nested)
    assert internals.is_functional(inner)
    assert not internals.is_functional(nested.get_layer("relu"))
    assert not internals.is_functional(keras.Sequential([layers.Dense(1)])), "has no graph before it is built"
    assert internals.functional(nested) is nested
    assert [layer.name for layer in internals.functional(inner).layers][-1] == "conv"


def test_a_graph_runs_with_other_operations_in_their_place(nested):
    called = []

    def recorded(operation):
        def call(*args, **kwargs):
            called.append(operation.name)
            return operation(*args, **kwargs)

        return call

    result = internals.run_graph(nested, keras.ops.ones((1, 8, 8, 1)), operation_fn=recorded)
    assert result.shape == (1, 8, 8, 2)
    assert called == ["inner", "relu", "sum"]


def test_layers_within_layers_are_listed(nested):
    assert {"inner", "conv", "relu", "sum"} <= {layer.name for layer in internals.flat_layers(nested)}
    assert nested in internals.flat_layers(nested)
    assert nested not in internals.flat_layers(nested, include_self=False)


def test_tensors_know_what_made_them(nested):
    node = internals.producer(nested.outputs[0])
    assert node.operation.name == "sum"
    assert len(node.input_tensors) == 2
    assert internals.producer(nested.inputs[0]).input_tensors == []
    assert internals.producer(keras.ops.ones(3)) is None
    assert internals.input_name(nested.inputs[0]) == "scan"


def test_layers_know_their_calls_and_takers(nested):
    calls, takers = internals.uses(nested.get_layer("relu"))
    assert len(calls) == 1
    assert [node.operation.name for node in takers] == ["sum"]


def test_a_copy_of_an_operation_has_no_place_in_a_graph():
    image = keras.Input((4,))
    operation = internals.producer(keras.ops.relu(image)).operation
    copy = internals.unlinked(operation)
    assert type(copy) is type(operation)
    assert internals.uses(copy) == ([], [])
    assert internals.producer(copy(image)).operation is copy


@pytest.mark.parametrize(
    ("module", "public", "name"),
    [
        ("core", "cast", "Cast"),
        ("math", "erf", "Erf"),
        ("nn", "softmax", "Softmax"),
        ("numpy", "concatenate", "Concatenate"),
    ],
)
def test_operations_have_the_classes_that_rules_are_registered_for(module, public, name):
    image = keras.Input((4, 4))
    arguments = {"cast": (image, "float16"), "concatenate": ([image, image],)}.get(public, (image,))
    made = internals.producer(getattr(keras.ops, public)(*arguments)).operation
    assert type(made) is getattr(getattr(internals, module), name)
