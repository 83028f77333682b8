import pytest
import tiny

import zoo


@pytest.fixture(scope="module", autouse=True)
def tiny_entry():
    """The registry knows "tiny" while a module of these tests runs, and not afterwards."""
    zoo.register("tiny", tiny.tiny_network, rank=3, replace=True)
    yield
    zoo.unregister("tiny")
