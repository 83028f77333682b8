"""What an artifact is, in a few lines for people; the manifest has everything."""

import math

from edge.manifest import Manifest


def summary(manifest: Manifest, size: int) -> str:
    """The lines of ``zoo-edge info``.

    Args:
        manifest: of an artifact whose model file was compared with it.
        size: of the model file, bytes.
    """
    lines = {
        "name": manifest.name,
        "format": f"{manifest.format}, {size / 1e6:.2f} MB{_with_first(manifest.source, size)}",
        "sha256": f"{manifest.sha256[:16]}... (matches)",
        "channels": ", ".join(manifest.channels),
        "labels": ", ".join(f"{label.name} = {label.value}" for label in manifest.labels),
        **({"regions": ", ".join(map(_region, manifest.regions))} if manifest.regions else {}),
        **({"objects": _decoding(manifest.instances)} if manifest.instances else {}),
        "scan": _scan(manifest.recipe),
        "patch": f"{_by(manifest.patch)}, overlap {manifest.overlap:g}",
        "flips": f"averaged along axes {', '.join(map(str, manifest.mirror))} of the patch" if manifest.mirror else "",
        **({"cascade": _cascade(manifest)} if manifest.first else {}),
        "source network": str(manifest.source.get("network", "")),
        "dataset": str(manifest.source.get("dataset", "")),
        "cost": _cost(manifest.source),
        "cost of first": _cost(_first(manifest.source)),
        "calibrated": f"with {len(manifest.calibration)} cases" if manifest.calibration else "",
        "verified": _verified(manifest.fidelity),
        **{f"  {name}": text for name, text in _labels(manifest.fidelity)},
        **{f"  {name}": text for name, text in _objects(manifest.fidelity)},
    }
    shown = {name: text for name, text in lines.items() if text}
    width = max(map(len, shown))
    return "\n".join(f"{name:{width}}  {text}" for name, text in shown.items())


def _scan(recipe):
    grid = ""
    if recipe.spacing:
        grid = f"spacing {' x '.join(f'{step:g}' for step in recipe.spacing)} mm"
    elif recipe.size:
        grid = f"size {_by(recipe.size)}"
    network = f"{recipe.rank}D"
    if recipe.slices:
        network = "3D, slice by slice" + (f", each with {recipe.slices - 1} neighbours" if recipe.slices > 1 else "")
    own = "its own slices" if recipe.slices and recipe.orientation is None else recipe.orientation
    return ", ".join(filter(None, [network, own, grid, recipe.normalise.kind]))


def _cascade(manifest):
    first = f"{manifest.first.folder}/ ({manifest.first.sha256[:16]}...)"
    return f"takes what the network of low resolution in {first} finds, as {manifest.recipe.prior} channels more"


def _first(source) -> dict:
    """What a cascade notes of its first network; nothing in artifacts of before."""
    first = source.get("first")
    return first if isinstance(first, dict) else {}


def _with_first(source, size):
    """What a cascade's two model files have together."""
    own = _first(source).get("size_bytes")
    together = own + size if isinstance(own, int) else None
    return _number(together, ", {:.2f} MB with the first network's", 1e6)


def _cost(source):
    arena = source.get("arena")
    parts = (
        _number(source.get("parameters"), "{:,.0f} parameters"),
        _number(source.get("macs"), "{:.2f} GMAC a patch", 1e9),
        _number(arena.get("size"), "{:.2f} MB of activations", 2**20) if isinstance(arena, dict) else "",
        _number(source.get("int8_share"), "{:.0f} % of the operations in int8", 0.01),
    )
    return ", ".join(filter(None, parts))


def _verified(fidelity):
    if not fidelity:
        return "no: exported without verification"
    cases = fidelity.get("cases")
    parts = (
        f"on {len(cases)} cases" if isinstance(cases, list | tuple) else "",
        f"verdict {fidelity['verdict']}" if fidelity.get("verdict") else "",
        _number(fidelity.get("argmax_changed"), "{:.3f} % of the voxels change class", 0.01),
    )
    return ", ".join(filter(None, parts))


def _decoding(decoding) -> str:
    return (
        f"numbered, where the probability is above {decoding.threshold:g}, cut by a watershed of depth "
        f"{decoding.depth:g} after smoothing by {decoding.smoothing:g} voxels; at least {decoding.smallest} voxels"
        + (f", one of a probability of {decoding.peak:g}" if decoding.peak else "")
    )


def _region(region) -> str:
    return f"{region.name} = {'+'.join(map(str, region.values))} (writes {region.written})"


def _labels(fidelity):
    labels = fidelity.get("labels")
    for name, row in labels.items() if isinstance(labels, dict) else ():
        if isinstance(row, dict):
            artifact, network = (_number(row.get(f"dice_{kind}"), "{:.4f}") for kind in ("artifact", "network"))
            if artifact and network:
                yield name, f"Dice {artifact}, network {network}"


def _objects(fidelity):
    row = fidelity.get("objects")
    for name, title in (("ap", "average precision"), ("ap50", "at 0.5"), ("pq", "panoptic quality")):
        if isinstance(row, dict):
            artifact, network = (_number(row.get(f"{name}_{kind}"), "{:.4f}") for kind in ("artifact", "network"))
            if artifact and network:
                yield title, f"{artifact}, network {network}"


def _number(value, text, unit=1.0):
    """A figure of a manifest in words; nothing where it holds none, as what it was made from may be anything."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    try:
        number = float(value)
    except OverflowError:  # JSON has whole numbers of any size
        return ""
    return text.format(number / unit) if math.isfinite(number) else ""


def _by(sizes):
    return " x ".join(map(str, sizes))
