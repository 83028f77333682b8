import pytest
import tiny

import zoo


@pytest.fixture(scope="module", autouse=True)
def tiny_entry():
    """The registry knows "tiny" while a module of these tests runs, and not afterwards."""
    zoo.register("tiny", tiny.tiny_network, rank=3, replace=True)
    yield
    zoo.unregister("tiny")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Six small scans, open."""
    return tiny.write_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The folder of preprocessed cases of a module's trainings."""
    return tmp_path_factory.mktemp("cache")
