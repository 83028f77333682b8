"""A package that is hidden is hidden in one thread and for a while only."""

import importlib
import threading

import pytest

from edge.absent import absent


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Name of a package that can be imported and has not been."""
    (tmp_path / "hidden_here").mkdir()
    (tmp_path / "hidden_here" / "__init__.py").write_text("")
    (tmp_path / "hidden_here" / "inner.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    return "hidden_here"


def test_the_package_is_not_found_inside_and_found_after(package):
    with absent(package):
        for name in (package, f"{package}.inner"):
            with pytest.raises(ModuleNotFoundError) as refused:
                importlib.import_module(name)
            assert refused.value.name == package
        importlib.import_module("this")
    importlib.import_module(f"{package}.inner")
    with absent(package):
        assert importlib.import_module(package).inner


def test_other_threads_import_as_ever(package):
    imported = []
    with absent(package):
        thread = threading.Thread(target=lambda: imported.append(importlib.import_module(package)))
        thread.start()
        thread.join()
    assert imported[0].__name__ == package


def test_an_error_inside_leaves_nothing_behind(package):
    with pytest.raises(ZeroDivisionError), absent(package):
        _ = 1 / 0
    assert importlib.import_module(package)
