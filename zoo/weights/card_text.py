"""``CARD.md`` of a set of weights: the card for people."""

from medseg.command import command_line
from zoo.weights.card import Card

METRICS = (
    "ap",
    "ap50",
    "pq",
    "f1",
    "dice",
    "iou",
    "hd95",
    "assd",
    "nsd",
)  # the first four where objects are told apart


def card_text(card: Card) -> str:
    """The card as Markdown."""
    get = f'zoo.get("{card.entry}", weights="{card.name}")'
    predict = command_line("zoo-edge predict", card.folder, "SCAN", "-o", "OUT")
    lines = [
        f"# {card.folder}",
        "",
        f"`{get}`, {card.parameters:,} parameters; int8 on the device: `{predict}`",
        "",
        f"- Data: {card.data}",
        f"- From: {card.source}",
        f"- Licence: {card.licence}; it holds for these weights as well",
        f"- Attribution: {card.attribution}",
        f"- Channels: {', '.join(card.channels)}",
        f"- Classes: {', '.join(_classes(card))}",
        f"- Split: {card.split}",
        f"- Training: {card.epochs} epochs, seed {card.seed}; recipe, patch and settings in `card.json`",
        "",
        f"Use: {card.use}",
        "",
        f"Limits: {card.limits}",
        "",
        *_scores(card),
        *_device(card),
        *_storage(card),
        "## Made by",
        "",
        "```",
        *card.commands,
        "```",
        "",
        *([f"With {', '.join(f'{k} {v}' for k, v in card.versions.items())}.", ""] if card.versions else []),
        "Not a medical device. Results must be checked by a qualified person before any clinical use.",
        "",
    ]
    return "\n".join(lines)


def score_line(card: Card) -> str:
    """Mean Dice of each label by cross-validation, in one line; empty if it was not scored."""
    if not card.scores:
        return ""
    return ", ".join(
        f"{label} {row['dice']:.4f}" + (f", average precision at 0.5 {row['ap50']:.4f}" if "ap50" in row else "")
        for label, row in card.scores["mean"].items()
    )


def folds_line(folds) -> str:
    """ "fold 0" or "folds 0, 1, 2"."""
    return f"fold{'s' * (len(folds) > 1)} {', '.join(map(str, folds))}"


def _classes(card):
    regions = card.plan.get("regions")
    if regions:
        return [f"{region['name']} ({'+'.join(map(str, region['values']))})" for region in regions]
    values = [label["value"] for label in card.plan.get("labels", ())]
    return [f"{value} {name}" for value, name in zip(values, card.classes, strict=True)] if values else card.classes


def _scores(card):
    if not card.scores:
        return ["## Scores", "", "Not scored by cross-validation.", ""]
    scores = card.scores
    mirror = ", averaged over flips" if scores.get("mirror") else ""
    lines = [
        "## Scores by cross-validation",
        "",
        f"Mean ± standard deviation over {scores['cases']} cases of {folds_line(scores['folds'])}, each by the network "
        f"that was not trained on them{mirror}, in the scans' own geometry."
        + (
            " These networks were trained like the one shipped, which saw every case and so cannot be scored itself."
            if card.storage.get("seen")
            else ""
        ),
        "",
    ]
    shown = [metric for metric in METRICS if metric in next(iter(scores["mean"].values()))]
    lines += [f"| class | {' | '.join(shown)} |", "|---|" + "---|" * len(shown)]
    for label, mean in scores["mean"].items():
        cells = [_cell(mean[metric], scores["std"][label][metric]) for metric in shown]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    lines += ["", "hd95 and assd in mm, in pixels for images without a pixel size; nsd at 1 mm or pixel.", ""]
    if scores.get("training"):
        lines += ["Differing from the training of the shipped network:", ""]
        for fold, settings in scores["training"].items():
            differences = ", ".join(f"{name} {scored} instead of {own}" for name, (scored, own) in settings.items())
            lines.append(f"- fold {fold}: {differences}")
        lines.append("")
    return lines


def _device(card):
    if not card.artifact:
        return []
    artifact = card.artifact
    lines = [
        "## The int8 artifact",
        "",
        f"`{artifact['format']}/{artifact['file']}`, {artifact['bytes'] / 1e6:.2f} MB, sha256 "
        f"`{artifact['sha256']}`, patch {' × '.join(map(str, artifact['patch']))}; its own card lies beside it.",
        "",
    ]
    if card.int8_scores:
        scores = card.int8_scores
        dice = ", ".join(f"{label} {value:.4f}" for label, value in scores["dice"].items())
        lines += [
            f"Dice by cross-validation of the artifacts of {folds_line(scores['folds'])}, {scores['cases']} cases, "
            f"through the device runtime: {dice}.",
            "",
        ]
        if "objects" in scores:
            of = scores["objects"]
            lines += [
                f"Objects, through the device runtime on the same cases: mean average precision from 0.5 to 0.95 "
                f"{of['ap']:.4f}, at 0.5 {of['ap50']:.4f}, panoptic quality {of['pq']:.4f}, F1 {of['f1']:.4f}.",
                "",
            ]
    return lines


def _storage(card):
    if not card.storage:
        return []
    storage = card.storage
    how = {
        "float16": "Half precision.",
        "int8": "Kernels in int8 with a scale for each index of the last axis, everything else in half precision.",
    }[storage["kind"]]
    rows = [
        f"| {label} | {row['dice_float32']:.4f} | {row['dice_stored']:.4f} | {row['worst_drop']:+.4f} |"
        for label, row in storage["labels"].items()
    ]
    return [
        "## Storage",
        "",
        f"`weights.npz`, {card.bytes / 1e6:.2f} MB. {how} What that changes, on {storage['cases']} cases "
        f"{'that the network was trained on' if storage['seen'] else 'held back'}: "
        f"{storage['argmax_changed']:.4%} of voxels change class.",
        "",
        "| class | Dice as trained, float32 | Dice as stored | largest drop in a case |",
        "|---|---|---|---|",
        *rows,
        "",
    ]


def _cell(mean, deviation):
    return "not finite" if mean is None else f"{mean:.4f} ± {deviation:.4f}"
