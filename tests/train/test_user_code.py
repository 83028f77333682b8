"""Networks and losses in a file of the user's own: trained, carried in the run, and run again only when asked to."""

import inspect
import json

import keras
import numpy as np
import pytest
from tiny import write_dataset

import zoo
from zoo import user_code
from zoo.cli import main
from zoo.errors import ZooError

NETS = '''
"""Networks."""
import keras
import zoo

class Twice(keras.layers.Layer):
    """Doubles."""

    def call(self, x):
        return 2 * x

def tiny(input_shape, classes):
    """Two convolutions."""
    image = keras.Input(input_shape)
    conv = keras.layers.Conv3D if len(input_shape) == 4 else keras.layers.Conv2D
    x = conv(4, 3, padding="same", activation="relu")(image)
    return keras.Model(image, conv(classes, 1, dtype="float32")(Twice()(x)))

def wide(input_shape, classes, *, width=3, name="wide"):
    image = keras.Input(input_shape)
    return keras.Model(image, keras.layers.Conv3D(classes, width, padding="same")(image), name=name)

def wrong(shape):
    return None

def narrow(input_shape, classes):
    image = keras.Input(input_shape)
    return keras.Model(image, keras.layers.Conv3D(classes + 1, 1)(image))

zoo.register("mine", wide, rank=3, options={"width": 1}, replace=True)
'''

LOSSES = """
import keras

def soft(y_true, y_pred):
    labels = keras.ops.one_hot(keras.ops.cast(y_true, "int32"), y_pred.shape[-1])
    return keras.ops.mean((keras.ops.softmax(y_pred) - labels) ** 2, axis=(1, 2, 3, 4))
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Each test begins as a process that has run no file."""
    monkeypatch.setattr(user_code, "_run", {})
    before = set(zoo.list_models())
    yield
    for name in set(zoo.list_models()) - before:
        zoo.unregister(name)
    keras.saving.get_custom_objects().pop("Twice", None)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "my_nets.py").write_text(NETS)
    (tmp_path / "my_losses.py").write_text(LOSSES)
    return tmp_path


def forget():
    user_code._run.clear()
    for name in [name for name in zoo.list_models() if ".py:" in name or name == "mine"]:
        zoo.unregister(name)
    keras.saving.get_custom_objects().pop("Twice", None)


def test_from_training_to_artifact(files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    write_dataset(files / "data", cases=4)
    assert main(["plan", "data", "-o", "plan.json", "--folds", "2", "--model", "my_nets.py:tiny"]) == 0
    assert "--plan plan.json --model my_nets.py:tiny" in capsys.readouterr().out
    train = ["train", "data", "--plan", "plan.json", "--loss", "my_losses.py:soft", "--out", "run", "--cache", "cache"]
    train += ["--epochs", "1", "--steps-per-epoch", "2", "--batch", "1"]
    forget()
    assert main(train) == 2  # a plan does not run code
    assert "model 'my_nets.py:tiny': is code of the user's own, which was not run" in capsys.readouterr().err
    assert not (files / "run").exists()
    assert main([*train, "--model", "my_nets.py:tiny"]) == 0
    capsys.readouterr()
    assert (files / "run" / "code" / "my_nets.py").read_text() == NETS
    assert (files / "run" / "code" / "my_losses.py").read_text() == LOSSES
    assert set(json.loads((files / "run" / "run.json").read_text())["code"]) == {"my_nets.py", "my_losses.py"}
    (files / "my_nets.py").unlink()
    (files / "my_losses.py").unlink()
    scan = str(sorted((files / "data" / "imagesTr").iterdir())[0])
    commands = (
        ["evaluate", "run", "--no-report"],
        ["export", "run", "--format", "tflite-float32", "--out", "artifacts", "--ship-anyway"],  # hardly trained
        ["predict", "run", scan, "-o", "found.nii.gz"],
    )
    for words in commands:
        forget()
        assert main(words) in (1, 2)
        said = capsys.readouterr().err
        assert "holds 'Twice'" in said
        assert "my_nets.py, my_losses.py in run/code: with --code it is run" in said or "with --code" in said
        assert said.count("error:") == 1
    for words in commands:
        forget()
        assert main([*words, "--code"]) == 0, words
    (files / "run" / "code" / "my_nets.py").write_text(NETS + "\nraise SystemExit('altered')\n")
    forget()
    capsys.readouterr()
    assert main(["evaluate", "run", "--code"]) == 2
    assert "my_nets.py: altered since the training" in capsys.readouterr().err


def test_layers_without_a_name_get_the_same_one_in_every_build(files):
    user_code.use_network(f"{files}/my_nets.py:tiny")
    first, second = (zoo.get("my_nets.py:tiny", (8, 8, 8, 1), classes=3) for _ in range(2))
    assert [weight.path for weight in first.weights] == [weight.path for weight in second.weights]
    image = np.random.default_rng(0).standard_normal((1, 8, 8, 8, 1)).astype("float32")
    second.set_weights(first.get_weights())
    np.testing.assert_allclose(second(image), first(image), rtol=1e-5, atol=1e-6)


def test_names(files):
    assert user_code.use_network(f"{files}/my_nets.py:tiny") == "my_nets.py:tiny"
    for shape in ((8, 8, 8, 1), (8, 8, 2)):
        assert zoo.get("my_nets.py:tiny", shape, classes=3).output_shape == (None, *shape[:-1], 3)
    user_code.use_network(f"{files}/my_nets.py:wide")
    assert zoo.get("my_nets.py:wide", (8, 8, 8, 1), width=5).count_params() == 5**3 * 2 + 2
    user_code.use_network(f"{files}/my_nets.py:mine")  # what the file has registered, with its options
    assert zoo.get("my_nets.py:mine", (8, 8, 8, 1)).count_params() == 2 + 2


@pytest.mark.parametrize(
    ("spec", "text", "says"),
    [
        ("nowhere.py:tiny", None, "nowhere.py: cannot be read (No such file or directory); expected FILE.py:NAME"),
        ("my_nets.py:", None, "expected FILE.py:NAME, such as my_nets.py:tiny"),
        ("my_nets.py:tyni", None, "my_nets.py defines no tyni; it defines Twice, tiny, wide, wrong, narrow"),
        ("my_nets.py:wrong", None, "expected wrong(input_shape, classes), got wrong(shape)"),
        ("my_nets.py:tiny", "import keras\n1 / 0\n", "my_nets.py:2: ZeroDivisionError: division by zero"),
        ("my_nets.py:tiny", "def tiny(:\n", "my_nets.py:1: SyntaxError"),
        ("my_nets.py:tiny", "import no_such_package\n", "No module named 'no_such_package'"),
        ("my_nets.py:narrow", None, "expected logits of shape (None, 16, 16, 16, 2) for input (16, 16, 16, 1)"),
    ],
)
def test_mistakes_are_told_before_the_data_is_read(files, monkeypatch, capsys, spec, text, says):
    monkeypatch.chdir(files)
    if text is not None:
        (files / "my_nets.py").write_text(text)
    write_dataset(files / "data", cases=4)
    for image in (files / "data").rglob("*.nii.gz"):
        image.write_bytes(b"unreadable")
    status = main(["train", "data", "--out", "run", "--model", spec])
    said = capsys.readouterr().err
    if "narrow" in spec:
        with pytest.raises(ZooError) as raised:
            zoo.get(spec, (16, 16, 16, 1))
        said = str(raised.value)
    else:
        assert status == 2, said
    assert says in said
    assert "Traceback" not in said


def test_a_loss_that_is_not_there(files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    write_dataset(files / "data", cases=4)
    for loss, says in (
        ("my_losses.py:sotf", "my_losses.py defines no sotf; it defines soft"),
        ("keras:Dise", "unknown loss of Keras 'Dise'. Did you mean 'Dice'"),
    ):
        assert main(["train", "data", "--out", "run", "--loss", loss]) == 2
        assert says in capsys.readouterr().err
    assert main(["train", "data", "--out", "run", "--loss", "keras:Dice", "--class-weights", "1,2,3"]) == 2
    assert "does not take class_weights" in capsys.readouterr().err


@pytest.mark.parametrize("name", zoo.losses.others.keras_losses())
def test_losses_of_keras(name):
    kind = getattr(keras.losses, name)
    random = np.random.default_rng(0)
    logits = random.standard_normal((2, 4, 4, 3)).astype("float32")
    labels = random.integers(0, 3, (2, 4, 4))
    loss = zoo.losses.get(f"keras:{name}")
    value = float(loss(labels, logits))
    one_hot = np.eye(3, dtype="float32")[labels]
    softmax = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    takes_logits = "from_logits" in inspect.signature(kind).parameters
    own = kind(from_logits=True) if takes_logits else kind()
    of_indices = ("SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy")
    expected = own(labels if name in of_indices else one_hot, logits if takes_logits else softmax)
    assert value == pytest.approx(float(expected), rel=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert float(again(labels, logits)) == pytest.approx(value)
