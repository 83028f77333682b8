"""Plans that keep bounds on weights and operations."""

import math

import pytest
import tiny
from dataset_folders import write_msd

import zoo
from export.device.footprint import Footprint, footprint
from medseg import record
from medseg.errors import InputError, UsageError
from train.cli import main
from train.planning.candidates import Bounds, Candidates
from train.planning.device_bounds import PlannedPatch, _shorter, keep_bounds
from train.planning.plan import Network, Plan
from zoo.cli import main as front_door

PATCH, STRIDE = (32, 32, 16), (4, 4, 4)
MB = 2**20


def keep(params=None, macs=None, network=None, patch=PATCH, fixed=False):
    reasons = {"patch": "as planned"}
    network = network or Network("tiny", {})
    bounded = keep_bounds(network, PlannedPatch(patch, PATCH, STRIDE, fixed), Bounds(params, macs), 1, 3, reasons)
    return *bounded, reasons


class Device:
    """Stands for the converter and the runtime: its time, memory and activations follow operations and voxels."""

    def __init__(self):
        self.asked = []

    def __call__(self, model, threads):
        macs, activations = _figures(model)
        self.asked.append(model.input_shape[1:-1])
        ram, arena = 50 * MB + 2 * activations, activations // 4
        return Footprint(macs / 1e6 + 0.1, ram, 35 * MB, arena, 1000, threads, 9, "a processor")


def _figures(model):
    from zoo.cost import count

    counted = count(model)
    return counted.macs, counted.peak_activation_bytes


def keep_measured(device, network=None, **bounds):
    reasons = {"patch": "as planned"}
    network = network or Network("tiny_wide")
    given = Bounds(**bounds)
    return *keep_bounds(network, PlannedPatch(PATCH, PATCH, STRIDE), given, 1, 3, reasons, measure=device), reasons


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
    with pytest.raises(UsageError, match="max_params 0: expected more than 0"):
        keep(params=0)


def test_what_is_measured_and_fits_stays():
    device = Device()
    network, patch, reasons = keep_measured(device, ms=5e5, ram=2**40, arena=2**40, threads=3)
    assert (network, patch, device.asked) == (Network("tiny_wide"), PATCH, [PATCH])
    assert "at most 500000 ms a patch: kept as planned; " in reasons["bounds"]
    assert "measured as int8 TFLite with random weights: " in reasons["bounds"]
    assert reasons["bounds"].endswith("3 threads, a processor")


@pytest.fixture(scope="module")
def every():
    """All that were asked for, measured."""
    return Candidates(Network("tiny_wide"), Bounds(ms=1.0), 1, 3, Device())


def largest(fits):
    """What a search that measures every candidate finds first: the widest at half the patch or more."""
    for width in range(12, 3, -2):
        sizes = PATCH
        while sizes and (math.prod(sizes) >= 0.5 * math.prod(PATCH) or width == 4):
            if fits(width, sizes):
                return width, sizes
            sizes = _shorter(sizes, PATCH, STRIDE)
    return None


@pytest.mark.parametrize(("bound", "share"), [("ms", 0.05), ("ram", 0.3), ("arena", 0.06)])
def test_few_are_measured_and_the_best_is_found(every, bound, share):
    device = Device()
    least = 50 * MB if bound == "ram" else 0
    limit = least + share * (every.figures(12, PATCH)[bound] - least)
    network, patch, reasons = keep_measured(device, **{bound: limit})
    width = network.options.get("width", 12)
    assert (width, patch) == largest(lambda *candidate: every.figures(*candidate)[bound] <= limit)
    assert patch in device.asked
    assert len(device.asked) <= 5, "a measurement takes seconds"
    assert f"patch {patch} instead of {PATCH}" in reasons["bounds"] or patch == PATCH


def test_measured_bounds_that_cannot_be_kept_tell_what_the_smallest_takes():
    device = Device()
    with pytest.raises(UsageError, match=r"target_ms 0.01 ms: .* of width 4 needs [\d.]+ ms for the smallest patch"):
        keep_measured(device, ms=0.01)
    assert device.asked[-1] == (8, 8, 8)
    with pytest.raises(UsageError, match=r"max_ram 40.00 MB: .* needs 50.\d+ MB of memory for the smallest"):
        keep_measured(device, ram=40 * MB)
    with pytest.raises(UsageError, match=r"max_arena 1 KB: .* needs \d+ KB of activations"):
        keep_measured(device, arena=1000)


def test_measured_bounds_need_what_measures_them():
    with pytest.raises(UsageError, match=r"max_ram: .* zoo plan does so, and .*measure=export.footprint"):
        keep_measured(None, ram=2**30)
    with pytest.raises(UsageError, match="target_ms -1: expected more than 0"):
        keep_measured(None, ms=-1)

    def fails(model, threads):
        raise InputError("no int8 for this")

    with pytest.raises(UsageError, match=r"target_ms: network 'tiny_wide' of width 12 cannot be measured .*: no int8"):
        keep_measured(fails, ms=5.0)


def test_measured_on_this_machine(tmp_path, capsys):
    """The front door: the network in plan.json takes what the plan says, measured anew."""
    folder, out = write_msd(tmp_path / "balls", cases=3), tmp_path / "plan.json"
    words = ["plan", str(folder), "-o", str(out), "--folds", "3", "--model", "tiny_wide"]
    assert front_door([*words, "--max-arena", "128KB", "--max-ram", "2GB", "--target-ms", "60000"]) == 0
    printed = capsys.readouterr()
    assert "at most 128 KB of activations and at most 2.00 GB of memory and at most 60000 ms a patch" in printed.out
    assert "network 'tiny_wide' of width 12, patch" in printed.err
    plan = record.load(out, Plan)
    assert plan.bounds == {"max_arena": 2**17, "max_ram": 2**31, "target_ms": 60000.0}
    model = zoo.get(plan.network.name, (*plan.patch, 1), classes=len(plan.labels), **plan.network.options)
    taken = footprint(model)
    assert taken.arena_bytes <= 2**17
    assert taken.idle_bytes < taken.peak_bytes < 2**31
    assert 0 < taken.milliseconds < 60000
    with pytest.raises(SystemExit):
        front_door([*words, "--max-ram", "much"])
    assert "memory 'much': expected bytes" in capsys.readouterr().err
    assert main([*words, "--max-ram", "2GB"]) == 2
    assert "max_ram: networks are measured for it as the device runs them; zoo plan does so" in capsys.readouterr().err


def test_from_the_command_line(tmp_path, capsys):
    folder, out = write_msd(tmp_path / "balls", cases=3), tmp_path / "plan.json"
    options = ["--folds", "3", "--max-params", "60k", "--max-macs", "30M", "--explain"]
    assert main(["plan", str(folder), "-o", str(out), *options]) == 0
    assert "at most 60000 weights and at most 30000000 operations a patch" in capsys.readouterr().out
    plan = record.load(out, Plan)
    information = zoo.info(plan.network.name, (*plan.patch, 1), classes=len(plan.labels), **plan.network.options)
    assert information.parameters <= 60_000
    assert information.macs <= 30_000_000
    with pytest.raises(SystemExit):
        main(["plan", str(folder), "--max-params", "many"])
    assert "'many': expected a positive number, with k, M or G perhaps" in capsys.readouterr().err
