"""Filters that are called wrongly: names, parameters and packages that are not there, each in one line."""

import sys

import pytest
from filter_harness import scan_of

from imaging import InputError, UsageError
from imaging.filters import FILTERS, FilterStep, apply, check_steps, parse_step


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gausian", "filter 'gausian': unknown; did you mean gaussian"),
        ("gaussian=width:2", "'width:2', expected NAME:VALUE with the names sigma_mm"),
        ("gaussian=sigma_mm", "expected NAME:VALUE"),
        ("gaussian=sigma_mm:abc", "sigma_mm 'abc', expected a number from"),
        ("gaussian=sigma_mm:-1", "sigma_mm -1.0, expected a number from"),
        ("gaussian=sigma_mm:nan", "sigma_mm nan, expected a number from"),
        ("clahe=bins:2.5", "bins 2.5, expected a whole number from 2"),
        ("tophat=kind:grey", "kind 'grey', expected white or black"),
        ("resize=spacing_mm:1x2x3x4", "expected one number, or one for each axis"),
    ],
)
def test_bad_texts(text, message):
    with pytest.raises(UsageError, match=message):
        parse_step(text)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (FilterStep("sharpen"), "filter 'sharpen': unknown; expected one of gaussian, median"),
        (FilterStep("median", {"radius": 1}), "filter median: unknown parameter 'radius'; expected radius_mm"),
        (FilterStep("median", {"radius_mm": True}), "radius_mm True, expected a number"),
        (FilterStep("stretch", {"low": 60, "high": 40}), "low 60 and high 40, expected low < high"),
        (FilterStep("frangi", {"smallest_mm": 5}), "smallest_mm 5 and largest_mm 3, expected smallest"),
        (FilterStep("nyul"), "landmarks is missing; zoo plan learns it"),
        (FilterStep("nyul", {"landmarks": [[0, 1]]}), "landmarks of shape .1, 2., expected 1 lists of 11 numbers"),
        (FilterStep("nyul", {"landmarks": [[*range(10), 0]]}), "landmarks fall somewhere"),
        (FilterStep("match", {"points": 16, "quantiles": [["x"] * 16]}), "quantiles of shape"),
        (FilterStep("resize", {"spacing_mm": [1, 2]}), "expected one number or 3"),
        (FilterStep("register", {"reference": "a.nii"}), "expected what zoo plan --filter register"),
    ],
)
def test_bad_steps(step, message):
    with pytest.raises(UsageError, match=message):
        check_steps((step,), 3, 1)


@pytest.mark.parametrize(
    "entry", [entry for entry in FILTERS if entry.package and not entry.learns], ids=lambda entry: entry.name
)
def test_the_extra_is_named(entry, monkeypatch):
    for module in [name for name in sys.modules if name.split(".")[0] == entry.package]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, entry.package, None)
    with pytest.raises(InputError, match=rf"filter {entry.name} needs {entry.package}, .*\[imaging\]"):
        apply(scan_of((1.0, 1.0)), entry.name)
