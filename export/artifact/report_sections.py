"""The sections of an artifact's HTML report, each from what ``report.json`` holds."""

import html

from export.artifact.first_network import KEY, both, cost
from export.device import ethos
from medseg import page
from medseg.byte_sizes import spell_size


def sections(facts: dict, worst: bytes | None) -> list[str]:
    """HTML of all sections that there is something to say in.

    Args:
        facts: as ``export.artifact.report.gather`` returns them.
        worst: PNG of the worst case, or None.
    """
    return [
        _summary(facts),
        _fidelity(facts),
        _worst(facts, worst),
        _cases(facts),
        _operators(facts),
        _latency(facts),
        _memory(facts),
        _npu(facts),
        _calibration(facts),
        _layers(facts),
        "<h2>Versions</h2>" + page.data(facts["versions"]),
        "<h2>Next</h2>" + page.text(facts["next"]),
        "<p class='soft'>Not a medical device. Results must be checked by a qualified person before any clinical use."
        "</p>",
    ]


def _summary(facts) -> str:
    network, fidelity = facts["network"], facts["fidelity"]
    rows = [
        ("verdict", "not verified" if fidelity is None else fidelity["verdict"]),
        ("network", network["network"] or ""),
        ("parameters", f"{network['parameters'] or 0:,}"),
        ("MACs a patch", f"{facts['macs'] / 1e9:.2f} G"),
        ("of them int8", f"{facts['int8_share']:.1%}"),
        ("patch", " × ".join(map(str, facts["patch"]))),
        ("model file", f"{facts['model']}, {facts['size_bytes'] / 1e6:.2f} MB"),
        ("sha256", facts["sha256"]),
        *_first(facts),
        ("input", _tensor(facts["input"])),
        ("output", _tensor(facts["output"]) + ", logits"),
        ("classes", ", ".join(f"{label['value']} {label['name']}" for label in facts["labels"])),
        ("trained on", _trained(network)),
    ]
    return page.table(("what", ""), rows, names=2)


def _first(facts) -> list[tuple[str, str]]:
    """Rows of a cascade; those above them are of the second network."""
    first = facts[KEY]
    if first is None:
        return []
    together = both(first, facts["size_bytes"], facts["network"]["parameters"] or 0)
    return [("first network", cost(first).replace("`", "")), ("both networks", together)]


def _trained(network) -> str:
    if network["dataset"] is None:
        return ""
    fold = network["fold"]
    return f"{network['dataset']}, " + (
        "every case, none held back" if fold is None else f"all cases but those of fold {fold}"
    )


def _tensor(tensor) -> str:
    return f"{tensor['dtype']} {' × '.join(map(str, tensor['shape']))}"


def _fidelity(facts) -> str:
    fidelity = facts["fidelity"]
    if fidelity is None:
        return "<h2>Fidelity</h2><p>Not verified on labelled cases: the export was asked to skip it.</p>" + _refused(
            facts["sanity"].get("problem")
        )
    heads = ("class", "Dice network", "Dice artifact", "drop", "worst drop", "worst case", "HD95 network",
             "HD95 artifact", "NSD network", "NSD artifact", "volume change")  # fmt: skip
    rows = [
        (
            name, f"{f['dice_network']:.4f}", f"{f['dice_artifact']:.4f}", f"{f['dice_drop']:+.4f}",
            f"{f['worst_drop']:+.4f}", f["worst_case"], _number(f["hd95_network"], "-"),
            _number(f["hd95_artifact"], "-"), f"{f['nsd_network']:.4f}", f"{f['nsd_artifact']:.4f}",
            f"{f['volume_change']:.2%}",
        )
        for name, f in fidelity["labels"].items()
    ]  # fmt: skip
    return (
        f"<h2>Fidelity</h2><p>On {len(fidelity['cases'])} cases that calibration did not see, through the device "
        f"runtime, means by class: verdict <b>{html.escape(fidelity['verdict'])}</b>, "
        f"{fidelity['argmax_agreement']:.4%} of voxels keep their class. NSD at {fidelity['nsd_tolerance_mm']:g} mm; "
        "pixels for mm in images without a pixel size.</p>"
        + page.table(heads, rows)
        + _refused(fidelity["refused"] or facts["sanity"].get("problem"))
    )


def _refused(reason) -> str:
    if not reason:
        return ""
    return f"<p><b>Refused, and written all the same, as was asked:</b> {html.escape(reason)}.</p>"


def _worst(facts, worst) -> str:
    if worst is None:
        return ""
    words = (
        f"{facts['fidelity']['worst_case']}, the case with the largest drop in Dice, where network and artifact differ "
        "most. Shaded: reference; solid: float network; dashed: artifact."
    )
    return "<h2>Worst case</h2>" + page.figure(page.picture(worst), words)


def _cases(facts) -> str:
    fidelity = facts["fidelity"]
    if fidelity is None or not fidelity["cases"]:
        return ""
    unit = fidelity["volume_unit"]
    heads = ("case", "class", "Dice network", "Dice artifact", "drop", "between", "HD95 network", "HD95 artifact",
             "NSD network", "NSD artifact", f"{unit} network", f"{unit} artifact", f"{unit} reference",
             "voxels kept")  # fmt: skip
    rows = [
        (
            case["name"], label, f"{network['dice']:.4f}", f"{artifact['dice']:.4f}",
            f"{network['dice'] - artifact['dice']:+.4f}", f"{s['dice_between']:.4f}", _number(network["hd95"], "inf"),
            _number(artifact["hd95"], "inf"), f"{network['nsd']:.4f}", f"{artifact['nsd']:.4f}",
            f"{network['volume']:.4g}", f"{artifact['volume']:.4g}", f"{s['reference_volume']:.4g}",
            f"{case['argmax_agreement']:.4%}",
        )
        for case in fidelity["cases"]
        for label, s in case["labels"].items()
        for network, artifact in [(s["network"], s["artifact"])]
    ]  # fmt: skip
    return (
        "<h2>All cases</h2><p>Click a heading to sort. “Between” is the Dice of the artifact against the float network."
        "</p>" + page.table(heads, rows, names=2)
    )


def _operators(facts) -> str:
    rows = [
        (row["kind"], row["precision"], row["count"], f"{row['macs'] / 1e6:.1f}", f"{row['share']:.2%}")
        for row in facts["operators"]
    ]
    return f"<h2>Operators</h2><p>{facts['int8_share']:.1%} of the multiply-accumulates are int8.</p>" + page.table(
        ("operator", "precision", "count", "M MACs", "share of MACs"), rows, names=2
    )


def _latency(facts) -> str:
    latency = facts["latency"]
    if not latency["runs"]:
        return "<h2>Latency</h2><p>Not measured.</p>"
    networks = [("", latency["runs"])]
    if facts[KEY] is not None:
        networks = [("first", facts[KEY]["latency"]), ("second", latency["runs"])]
        networks.append(("both", _summed(*(runs for _, runs in networks))))
    rows = [
        (
            *([name] if name else []),
            run["threads"],
            f"{run['median_ms']:.2f}",
            f"{run['min_ms']:.2f}",
            f"{run['cold_start_ms']:.1f}",
            run["rounds"],
        )
        for name, runs in networks
        for run in runs
    ]
    where = latency["machine"]
    heads = (*(["network"] if facts[KEY] else []), "threads", "median ms", "min ms", "cold start ms", "rounds")
    each = " of each network (a scan has fewer patches of the first)" if facts[KEY] else ""
    return (
        f"<h2>Latency</h2><p>One patch{each}, thread counts in turn, on the machine that exported: "
        f"{html.escape(where['processor'])}, {where['cores']} cores. <code>zoo bench</code> measures at length.</p>"
        + page.table(heads, rows)
    )


def _summed(first, second) -> list[dict]:
    """A patch of each of two networks, one after the other, by the numbers of threads that both were timed with."""
    by_threads = {run["threads"]: run for run in first}
    return [
        {"threads": run["threads"], "rounds": run["rounds"]}
        | {name: run[name] + by_threads[run["threads"]][name] for name in ("median_ms", "min_ms", "cold_start_ms")}
        for run in second
        if run["threads"] in by_threads
    ]


def _memory(facts) -> str:
    memory = facts["memory"]
    if memory is None:
        return "<h2>Memory</h2><p>Activations are planned by the runtime, not by the file.</p>"
    return (
        f"<h2>Memory</h2><p>Activations: {spell_size(memory['size'])} as LiteRT plans them without a delegate; most, "
        f"{spell_size(memory['alive'])}, at <code>{html.escape(memory['operator'])}</code>.</p>"
    )


def _npu(facts) -> str:
    if facts["npu"] is None:
        return ""
    return "<h2>NPU</h2>" + page.text("\n".join(ethos.describe(facts["npu"])))


def _calibration(facts) -> str:
    calibration = facts["calibration"]
    if not calibration["cases"]:
        return "<h2>Calibration</h2><p>No calibration cases.</p>"
    parts = [f"<h2>Calibration</h2><p>{len(calibration['cases'])} training cases"]
    if calibration["method"]:
        parts.append(f", by {html.escape(calibration['method'])}")
    parts.append(f". SHA-256 of the prepared patches: <code>{calibration['sha256']}</code>.</p>")
    if calibration["agreement"]:
        rows = [(name, f"{share:.4%}") for name, share in calibration["agreement"].items()]
        parts.append(page.table(("tried", "calibration voxels that keep their class"), rows))
    if calibration["equalised"]:
        parts.append(f"<p>Channels equalised, by scales moved between layers: {calibration['equalised']}.</p>")
    if calibration["float_layers"]:
        parts.append(
            "<p>Layers that stay float, as was allowed:</p>" + page.text("\n".join(calibration["float_layers"]))
        )
    return "".join(parts) + page.text("\n".join(calibration["cases"]))


def _layers(facts) -> str:
    if not facts["layer_errors"]:
        return ""
    rows = [(error["layer"], error["kind"], f"{error['sqnr']:.1f}") for error in facts["layer_errors"]]
    return (
        "<h2>Quantization error by layer</h2><p>Signal-to-quantization-noise ratio of a layer's output against the "
        "float network's, on calibration patches; what the layers before it lost is in it.</p>"
        + page.table(("output", "operator", "dB"), rows, names=2)
    )


def _number(value, none) -> str:
    return none if value is None else f"{value:.2f}"
