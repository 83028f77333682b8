"""The artifact of a cascade whose two networks do not fit, were altered or signed, and what a cascade refuses."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
from export_cascade import write_cascade
from export_runs import LABELS

import edge
import imaging
from edge.cli import main as edge_main
from edge.trust.signature import check_signature, sign
from export.artifact.folder import export_run
from export.cli import main as export_main
from imaging.recipe import Recipe
from medseg import record
from medseg.errors import InputError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_cascade(tmp_path_factory.mktemp("cascade"))


@pytest.fixture(scope="module")
def artifact(run, tmp_path_factory):
    """Its artifact folder; tests must not change it."""
    out = tmp_path_factory.mktemp("artifact")
    (folder,) = export_run(run, ["tflite-float32"], out, verify=False, tell=lambda line: None)
    return folder


def changed(folder, **fields):
    data = json.loads((folder / "manifest.json").read_text()) | fields
    (folder / "manifest.json").write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"first": None}, "recipe.prior 1: expected 0, as first names no network"),
        ({"first": {"folder": "../other", "sha256": ""}}, "first.folder '../other': expected 'first'"),
        (
            {"first": {"folder": "first", "sha256": "0" * 64}},
            "first/manifest.json: altered since its checksum",
        ),
        ({"first": {"folder": "first"}}, "first: field sha256 is missing"),
        ({"channels": ["other"]}, "first: channels differs from that of the artifact that it is in"),
        ({"labels": [{"name": "background", "value": 0}, {"name": "ball", "value": 4}]}, "first: labels differs"),
    ],
)
def test_a_manifest_that_does_not_fit_its_first_network(artifact, tmp_path, fields, message):
    folder = shutil.copytree(artifact, tmp_path / "artifact")
    changed(folder, **fields)
    with pytest.raises(InputError, match=message) as caught:
        edge.load(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recipe_whose_prior_is_not_that_of_its_classes(artifact, tmp_path):
    folder = shutil.copytree(artifact, tmp_path / "artifact")
    recipe = record.to_dict(edge.load_manifest(folder).recipe)
    for prior, message in ((2, "recipe.prior 2: expected 1, the labels but"), (-1, "prior -1: expected 0 to 255")):
        changed(folder, recipe=recipe | {"prior": prior})
        with pytest.raises(InputError, match=message):
            edge.load_manifest(folder)


def test_a_first_network_that_was_altered_or_left_out(artifact, tmp_path):
    folder = shutil.copytree(artifact, tmp_path / "artifact")
    model = folder / "first" / "model.tflite"
    model.write_bytes(model.read_bytes()[:-1] + b"\0\1")
    with pytest.raises(InputError, match=r"first/model\.tflite: altered"):
        edge.load(folder)
    changed(folder / "first", name="another")
    with pytest.raises(InputError, match=r"first/manifest\.json"):
        edge.load(folder)
    shutil.rmtree(folder / "first")
    with pytest.raises(
        InputError, match=r"artifact: is of a cascade, whose first network is not there whole: manifest\.json"
    ):
        edge.load(folder)
    os.symlink(artifact / "first", folder / "first")
    with pytest.raises(InputError, match="is a link out of its folder"):
        edge.load(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda first: shutil.rmtree(first), "is of a cascade, whose first network is not there whole: manifest.json"),
        (lambda first: (first / "model.tflite").unlink(), "first/model.tflite: "),
        (lambda first: (first / "model.tflite").write_bytes(b"other"), "first/model.tflite: altered since"),
        (lambda first: changed(first, name="another"), "first/manifest.json: altered since"),
    ],
)
def test_every_command_that_opens_a_cascade_looks_at_its_first_network(artifact, tmp_path, capsys, damage, message):
    folder = shutil.copytree(artifact, tmp_path / "artifact")
    assert edge_main(["info", str(folder)]) == 0
    assert "low resolution in first/" in capsys.readouterr().out
    damage(folder / "first")
    for words in (["info"], ["info", "--json"], ["bench"], ["verify"]):
        assert edge_main([words[0], str(folder), *words[1:]]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert message in err
        assert err.count("\n") == 1
    place = folder.parent / "listed" / "tflite-float32"
    shutil.copytree(folder, place)
    assert export_main(["export", "--list", "--out", str(place.parent)]) == 1
    assert "first" in capsys.readouterr().err


def test_a_cascade_in_a_cascade_is_refused_before_a_network_is_opened(artifact, tmp_path, monkeypatch):
    folder = shutil.copytree(artifact, tmp_path / "artifact")
    shutil.rmtree(folder / "first")
    shutil.copytree(artifact, folder / "first")
    changed(folder, first={"folder": "first", "sha256": edge.manifest.sha256(folder / "first" / "manifest.json")})
    opened = []
    monkeypatch.setattr(edge.runtime.segmenter, "open_runner", lambda *args: opened.append(args))
    with pytest.raises(InputError, match="first: is a cascade itself"):
        edge.load(folder)
    assert opened == []


def test_a_signature_covers_both_networks(artifact, tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    secret, public = tmp_path / "key", tmp_path / "key.pem"
    kinds = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    secret.write_bytes(private.private_bytes(*kinds))
    kinds = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    public.write_bytes(private.public_key().public_bytes(*kinds))
    folder = shutil.copytree(artifact, tmp_path / "artifact")
    sign(folder, secret)
    assert check_signature(folder, public)
    edge.load(folder, trust=public)
    (folder / "first" / "CARD.md").write_text("Another card.\n")
    with pytest.raises(InputError, match=r"first/CARD\.md: altered since it was signed"):
        check_signature(folder, public)
    (folder / "first" / "CARD.md").unlink()
    with pytest.raises(InputError, match=r"first/CARD\.md: is missing"):
        check_signature(folder, public)


def test_what_is_of_one_network_is_refused(run, tmp_path, capsys):
    words = ["export", str(run), "--format", "tflite-int8", "--out", str(tmp_path / "out")]
    assert export_main([*words, "--finetune", str(tmp_path / "tuned")]) == 2
    assert "is a cascade, whose networks are not fine-tuned; leave it out" in capsys.readouterr().err
    record.save(tmp_path / "recipe.json", Recipe(3, prior=1))
    words = ["export", str(run / "model.keras"), "--format", "tflite-float32", "--out", str(tmp_path / "out")]
    assert export_main([*words, "--recipe", str(tmp_path / "recipe.json"), "--no-verify"]) == 1
    assert "prior 1 is of the second network of a cascade; give the run folder" in capsys.readouterr().err
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "first")
    assert export_main(["export", str(tmp_path / "run"), *words[2:]]) == 1
    assert "run: is of a cascade, whose first network is not there whole: plan.json" in capsys.readouterr().err


def test_a_slice_by_slice_recipe_has_no_prior():
    with pytest.raises(InputError, match="recipe prior 1: expected 0 to 255 classes, and 0 where there are slices"):
        imaging.prepare(imaging.Scan(np.zeros((4, 4, 4, 1)), np.eye(4)), Recipe(3, slices=1, prior=1))
    assert dataclasses.replace(Recipe(3, channels=2), prior=3).patch_channels == 5
    assert len(LABELS) == 2
