"""Configurations of a node in a folder of the test, with a network of its own."""

import pytest
from node_parts import config_text, free_port, quick_artifact

from edge.node.config import read_config


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return quick_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture
def config_of(tmp_path, artifact):
    """A function from lines of the configuration to what it reads as."""

    def read(ports=None, **lines):
        ports = ports or (free_port(), free_port())
        path = tmp_path / "node.toml"
        path.write_text(config_text(tmp_path / "state", artifact, ports, **lines))
        return read_config(path)

    return read
