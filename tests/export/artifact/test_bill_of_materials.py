"""Bills of materials: valid by CycloneDX's own schema, and of what is installed."""

import json
from importlib import metadata

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from export.artifact import bill_of_materials as bom

SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("made", [bom.package_bom, lambda: bom.artifact_bom("hippo", "model.tflite", SHA256)])
def test_a_bill_is_valid_and_the_same_each_time(made):
    text = made()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert made() == text
    for component in json.loads(text)["components"]:
        assert component["version"] == metadata.version(component["name"])
        assert component["purl"].startswith("pkg:pypi/")


def test_a_broken_bill_is_not_valid():
    data = json.loads(bom.artifact_bom("hippo", "model.tflite", SHA256))
    data["components"][0]["type"] = "something"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(data)) is not None


def test_the_bill_of_an_artifact():
    data = json.loads(bom.artifact_bom("hippo", "model.tflite", SHA256, ["numpy", "no-such-package-anywhere"]))
    assert data["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": SHA256}]
    assert {component["name"] for component in data["components"]} == {"medseg-zoo", "numpy"}
    altered = json.loads(bom.artifact_bom("hippo", "model.tflite", SHA256[::-1], ["numpy"]))
    assert altered["serialNumber"] != data["serialNumber"]


def test_the_bill_of_the_package_holds_what_it_requires():
    names = {component["name"].lower() for component in json.loads(bom.package_bom())["components"]}
    assert {"numpy", "scipy", "nibabel", "ai-edge-litert"} <= names
    assert "pytest" not in names
