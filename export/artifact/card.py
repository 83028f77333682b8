"""``CARD.md`` of an artifact: what the manifest says, for people."""

from edge.manifest import Manifest
from export.artifact.first_network import KEY, both, cost
from export.conversion.layer_errors import spell
from export.device import ethos
from export.rewrite.layouts import FOLDS
from medseg.byte_sizes import spell_size


def card(manifest: Manifest, size: int) -> str:
    """The card as Markdown.

    Args:
        manifest: what the artifact holds.
        size: of the model file, bytes.
    """
    source = manifest.source
    lines = [
        f"# {manifest.name} ({manifest.format})",
        "",
        f"- Model file: `{manifest.model}`, {size / 1e6:.2f} MB, sha256 `{manifest.sha256}`",
        f"- Network: {source.get('network')}, {source.get('parameters', 0):,} parameters, "
        f"{source.get('macs', 0) / 1e9:.2f} GMAC a patch, {source.get('int8_share', 0.0):.1%} of them int8",
        f"- Patch: {' × '.join(map(str, manifest.patch))} voxels, overlap {manifest.overlap:g}",
        *_slices(manifest.recipe),
        *_cascade(manifest, size),
        *_form(manifest),
        *_memory(source),
        f"- Input: {_tensor(manifest.input)}",
        f"- Output: {_tensor(manifest.output)}, logits{' of regions' * bool(manifest.regions)}",
        f"- Classes: {', '.join(f'{label.value} {label.name}' for label in manifest.labels)}",
        *_regions(manifest),
        *(f"- Adapted: {line}" for line in source.get("adapted", ())),
        *_training(source),
        *_calibration(manifest),
        *([trust_line(manifest)] if manifest.training else []),
        *([f"- Verified on: the labelled scans of {source['verified_on']}"] if "verified_on" in source else []),
        "",
        *_fidelity(manifest),
        "",
        "Every case, the worst one as a picture, latency and memory: `report.html`; for scripts: `report.json`.",
        "",
        "## Operators",
        "",
        "| operator | precision | count |",
        "|---|---|---|",
        *(
            f"| {kind} | {precision} | {number} |"
            for kind, counts in manifest.operators.items()
            for precision, number in counts.items()
        ),
        "",
        *_npu(source),
        *_layers(source),
        "## Run it",
        "",
        "```",
        "zoo-edge predict THIS_FOLDER scan.nii.gz -o segmentation.nii.gz",
        "```",
        "",
        *vector_lines(),
        "",
        "Not a medical device. Results must be checked by a qualified person before any clinical use.",
        "",
    ]
    return "\n".join(lines)


def trust_line(manifest: Manifest) -> str:
    """What the card says of the training's fingerprint."""
    fitted = ", and predicts the quality of each segmentation" if manifest.training.quality else ""
    return (
        f"- Flags: tells scans unlike {manifest.training.cases} of the training's kind{fitted} "
        "(docs/reference/trust.md of medseg-zoo)"
    )


def vector_lines() -> list[str]:
    """What the card says of the test vector."""
    return [
        "`test_vector.npz` holds a made-up scan at every stage of the way, for an implementation in another language;",
        "`zoo-edge verify THIS_FOLDER` runs it again. The steps as formulas: docs/reference/recipe.md of medseg-zoo.",
    ]


def _tensor(tensor) -> str:
    text = f"`{tensor.name}`, {tensor.dtype} {tensor.shape}"
    return f"{text}, scale {tensor.scale:.9g}, zero point {tensor.zero_point}" if tensor.scale else text


def _training(source) -> list[str]:
    """Nothing for a network of another origin, of which it is not known."""
    if "fold" not in source:
        return []
    held = "every case, none held back" if source["fold"] is None else f"all cases but those of fold {source['fold']}"
    lines = [f"- Trained on: {source['dataset']}, {held}, seed {source['seed']}"]
    if "finetuned_for" in source:
        lines.append(
            f"- Fine-tuned for {_format_finetuned_for(source)} (quantization-aware, weights "
            f"{source['finetuned_for']}); compared with the float network that this started from"
        )
    return lines


def _format_finetuned_for(source) -> str:
    if "finetuned_format" not in source:  # of artifacts of before
        return "int8"
    return f"{source['finetuned_format']} with weights of {source['finetuned_bits']} bits"


def _calibration(manifest) -> list[str]:
    source = manifest.source
    if not manifest.calibration:
        return ["- No calibration cases"]
    lines = [f"- Calibrated with {len(manifest.calibration)} training cases"]
    if source.get("weights") == "per-tensor":
        lines.append("- One scale for all weights of a tensor")
    if "calibration_sha256" in source:
        lines.append(f"- SHA-256 of their prepared patches: `{source['calibration_sha256']}`")
    if "calibration_method" in source:
        tried = ", ".join(f"{name} {share:.4%}" for name, share in source["calibration_agreement"].items())
        lines[0] += f" by {source['calibration_method']}; voxels of theirs that keep their class: {tried}"
    if source.get("equalised"):
        lines.append(f"- Channels equalised, by scales moved between layers: {source['equalised']}")
    if source.get("float_layers"):
        lines.append(
            f"- Float layers, as was allowed: {', '.join(f'`{spell(name)}`' for name in source['float_layers'])}"
        )
    return lines


def _layers(source) -> list[str]:
    if not source.get("layer_errors"):
        return []
    rows = [f"| `{spell(e['name'])}` | {e['kind']} | {e['sqnr']:.1f} |" for e in source["layer_errors"]]
    return [
        "## Layers of largest error",
        "",
        "Signal-to-quantization-noise ratio of a layer's output against the float network's, on calibration patches;",
        "what the layers before it lost is in it.",
        "",
        "| output | operator | dB |",
        "|---|---|---|",
        *rows,
        "",
    ]


def _regions(manifest) -> list[str]:
    if not manifest.regions:
        return []
    if manifest.instances is not None:
        cut = manifest.instances
        return [
            "- Objects, numbered: channel 0 is where they are, channel 1 how far inside, both after a sigmoid. Where "
            f"channel 0 is above {cut.threshold:g}, it is cut at the passes of channel 1, smoothed by "
            f"{cut.smoothing:g} voxels, that lie {cut.depth:g} or more below both peaks; fewer than {cut.smallest} "
            "voxels are left out"
        ]
    made = "; ".join(f"{r.name}: values {', '.join(map(str, r.values))}, writes {r.written}" for r in manifest.regions)
    return [f"- Regions, each where its logit is above 0, a later one over an earlier: {made}"]


def _slices(recipe) -> list[str]:
    if not recipe.slices:
        return []
    neighbours = f", each with {recipe.slices - 1} neighbours as channels" if recipe.slices > 1 else ""
    return [f"- Scan: a volume, slice by slice{neighbours}"]


def _cascade(manifest, size) -> list[str]:
    if manifest.first is None:
        return []
    first, parameters = manifest.source[KEY], manifest.source.get("parameters", 0)
    return [
        f"- Cascade: the network of low resolution in `{manifest.first.folder}/` is asked first; its segmentation, on "
        f"the grid of the prepared scan, makes the last {manifest.recipe.prior} channels of the input, one for each "
        "class but the background. Scores below are of both together; what is above and not said of the first network "
        "is the second's",
        f"- First network: {cost(first)}; the rest in `{manifest.first.folder}/CARD.md`",
        f"- Both networks together: {both(first, size, parameters)}; latency of each, and of both, in `report.html`",
    ]


def _form(manifest) -> list[str]:
    return [f"- Layout: {FOLDS[manifest.form]}"] if manifest.form else []


def _memory(source) -> list[str]:
    if "arena" not in source:
        return []
    arena = source["arena"]
    return [f"- Activations: {spell_size(arena['size'])} without a delegate, most at `{arena['operator']}`"]


def _npu(source) -> list[str]:
    return [*ethos.describe(source["ethos"]), ""] if "ethos" in source else []


def _fidelity(manifest) -> list[str]:
    fidelity = manifest.fidelity
    patches = _sanity(manifest.source.get("sanity"))
    if not fidelity:
        return ["## Fidelity", "", f"Not verified on labelled cases: the export was asked to skip it.{patches}"]
    rows = [
        f"| {name} | {f['dice_network']:.4f} | {f['dice_artifact']:.4f} | {f['dice_drop']:+.4f} "
        f"| {f['worst_drop']:+.4f} ({f['worst_case']}) | {_pair(f, 'hd95', 2)} | {_pair(f, 'nsd', 4)} "
        f"| {f['volume_change']:.2%} |"
        for name, f in fidelity["labels"].items()
    ]
    if manifest.source.get("fold", 0) is None:
        which = "that calibration did not see, though the network was trained on them"
    else:
        which = "that the network was not trained on"
    return [
        "## Fidelity",
        "",
        f"On {len(fidelity['cases'])} cases {which}, through the device runtime: verdict {fidelity['verdict']}, "
        f"{fidelity['argmax_changed']:.3%} of voxels change class.",
        "",
        "| class | Dice of the network | Dice of the artifact | drop | worst drop | HD95 mm | NSD | volume change |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        *(
            ["", f"No case holds {', '.join(fidelity['unseen'])}: nothing is known of them."]
            if "unseen" in fidelity
            else []
        ),
        *(
            ["", f"**Refused, and written all the same, as was asked**: {fidelity['refused']}."]
            if "refused" in fidelity
            else []
        ),
        *(["", patches.strip()] if patches else []),
    ]


def _sanity(sanity) -> str:
    """A sentence on the calibration patches; artifacts of before they were compared have none."""
    if not sanity:
        return ""
    text = (
        f" On {sanity['patches']} patches without labels {sanity['agreement']:.3%} of voxels have the network's class."
    )
    if "problem" in sanity:
        text += f" {_refused(sanity['problem'])}"
    return text


def _refused(reason) -> str:
    return f"**Refused, and written all the same, as was asked**: {reason}."


def _pair(label, metric, digits) -> str:
    """A metric of the network and of the artifact; artifacts of before it was measured have none."""
    values = [label.get(f"{metric}_{which}") for which in ("network", "artifact")]
    return " → ".join("-" if value is None else f"{value:.{digits}f}" for value in values)
