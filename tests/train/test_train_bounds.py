"""Plans that keep bounds on weights and operations."""

import math

import pytest
import tiny
from dataset_folders import write_msd

import zoo
from imaging import record
from imaging.errors import UsageError
from train.bounds import Bounds, keep_bounds
from train.cli import main
from train.plan import Network, Plan

PATCH, STRIDE = (32, 32, 16), (4, 4, 4)


def keep(params=None, macs=None, network=None, patch=PATCH, **options):
    reasons = {"patch": "as planned"}
    network = network or Network("tiny", {})
    found = keep_bounds(network, patch, PATCH, STRIDE, Bounds(params, macs), 1, 3, reasons, **options)
    return *found, reasons


@pytest.fixture(scope="module", autouse=True)
def wide():
    """The tiny network, planned with 12 channels."""
    zoo.register("tiny_wide", tiny.tiny_network, rank=3, options={"width": 12}, replace=True)
    yield
    zoo.unregister("tiny_wide")


def cost(network, patch):
    return zoo.info(network.name, (*patch, 1), classes=3, **network.options)


def test_what_fits_already_stays():
    network, patch, reasons = keep(10**9, 10**12)
    assert (network, patch) == (Network("tiny"), PATCH)
    assert "kept as planned" in reasons["bounds"]
    assert reasons["patch"] == "as planned"


def test_the_widest_network_with_few_enough_weights():
    limit = cost(Network("tiny_wide", {"width": 8}), PATCH).parameters
    network, patch, reasons = keep(params=limit, network=Network("tiny_wide"))
    assert (network.options, patch) == ({"width": 8}, PATCH)
    assert f"at most {limit} weights: width 8 instead of 12; {limit} weights" in reasons["bounds"]
    assert keep(params=limit - 1, network=Network("tiny_wide"))[0].options == {"width": 6}


def test_the_patch_gives_way_before_the_width_but_not_by_more_than_half():
    whole = cost(Network("tiny_wide"), PATCH).macs
    network, patch, reasons = keep(macs=int(0.8 * whole), network=Network("tiny_wide"))
    assert network == Network("tiny_wide")
    assert 0.5 <= math.prod(patch) / math.prod(PATCH) <= 0.8
    assert all(size % 4 == 0 for size in patch)
    assert cost(network, patch).macs <= 0.8 * whole
    assert f"patch {patch} instead of {PATCH}" in reasons["bounds"]
    assert reasons["patch"] == f"as planned; shortened to {patch} to keep the bounds"
    network, patch, _ = keep(macs=int(0.3 * whole), network=Network("tiny_wide"))
    assert network.options["width"] < 12
    assert math.prod(patch) >= 0.5 * math.prod(PATCH)
    assert cost(network, patch).macs <= 0.3 * whole


def test_the_narrowest_network_may_take_a_smaller_patch_still():
    limit = int(0.2 * cost(Network("tiny"), PATCH).macs)
    network, patch, _ = keep(macs=limit)
    assert math.prod(patch) < 0.5 * math.prod(PATCH)
    assert cost(network, patch).macs <= limit


def test_what_the_user_decided_stays():
    whole = cost(Network("tiny"), PATCH)
    with pytest.raises(UsageError, match=r"for the patch \(32, 32, 16\); allow as many, or give a smaller --patch"):
        keep(macs=whole.macs - 1, fixed=True)
    given = Network("tiny_wide", {"width": 10})
    network, patch, _ = keep(macs=int(0.8 * cost(given, PATCH).macs), network=given)
    assert network == given
    assert patch != PATCH
    with pytest.raises(UsageError, match=r"max_params 10: network 'tiny_wide' has \d+ weights"):
        keep(params=10, network=given)


def test_bounds_that_cannot_be_kept():
    with pytest.raises(UsageError, match=r"max_params 10: network 'tiny_wide' of width 4 has \d+ weights, the fewest"):
        keep(params=10, network=Network("tiny_wide"))
    with pytest.raises(UsageError, match=r"max_macs 10: .* needs \d+ operations for the smallest patch tried"):
        keep(macs=10)
    with pytest.raises(UsageError, match="max_params 0: accepted is more than 0"):
        keep(params=0)


def test_from_the_command_line(tmp_path, capsys):
    folder, out = write_msd(tmp_path / "balls", cases=3), tmp_path / "plan.json"
    options = ["--folds", "3", "--max-params", "60k", "--max-macs", "30M", "--explain"]
    assert main(["plan", str(folder), "-o", str(out), *options]) == 0
    assert "at most 60000 weights and at most 30000000 operations a patch" in capsys.readouterr().out
    plan = record.load(out, Plan)
    found = zoo.info(plan.network.name, (*plan.patch, 1), classes=len(plan.labels), **plan.network.options)
    assert found.parameters <= 60_000
    assert found.macs <= 30_000_000
    with pytest.raises(SystemExit):
        main(["plan", str(folder), "--max-params", "many"])
    assert "'many': a positive number, with k, M or G perhaps, is accepted" in capsys.readouterr().err
