"""Names of packages that load when first used."""

import importlib
import sys
from pathlib import Path

import pytest

from medseg.packages.lazy import lazy_names

ROOT = Path(__file__).parents[3]
PACKAGES = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for top in ("imaging", "edge", "zoo", "train", "export", "review")
    for path in (ROOT / top).rglob("__init__.py")
    if "lazy_names(" in path.read_text(encoding="utf-8")
)


def test_a_name_is_loaded_when_it_is_asked_for(monkeypatch):
    monkeypatch.delitem(sys.modules, "json.tool", raising=False)
    load, listed, names = lazy_names("json", {"JSONDecoder": "decoder", "naming": "medseg.errors"}, ("tool",))
    assert listed() == names == ["JSONDecoder", "naming", "tool"]
    assert "json.tool" not in sys.modules
    assert load("tool") is sys.modules["json.tool"]
    assert load("JSONDecoder") is sys.modules["json.decoder"].JSONDecoder
    assert load("naming") is sys.modules["medseg.errors"].naming
    with pytest.raises(
        AttributeError, match="module 'json' has no attribute 'loads'; it has JSONDecoder, naming, tool"
    ):
        load("loads")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_of_a_package_is_there(package):
    module = importlib.import_module(package)
    places = module._NAMES
    assert dir(module) == module.__all__ == sorted({*places, *getattr(module, "_MODULES", ())})
    for name, place in places.items():
        file = ROOT.joinpath(*(place if place.startswith("medseg.") else f"{package}.{place}").split("."))
        source = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        assert name in source.read_text(encoding="utf-8"), name
