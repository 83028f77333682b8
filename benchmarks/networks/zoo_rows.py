"""What benchmarks/networks/zoo_table.py found of each entry: kept, and as Markdown tables."""

import json

FOLD = 0
INT8 = ("tflite-int8", "onnx-int8")
FORMATS = ("tflite-float32", *INT8)


def read_row(args, name) -> dict:
    """What is known of an entry so far."""
    path = args.runs / name / "row.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_row(args, name, row) -> None:
    """Keep what is known of an entry."""
    from medseg.record import write_text

    folder = args.runs / name
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "row.json", json.dumps(row, indent=1) + "\n")


def table(names, args) -> str:
    """The Markdown tables of the entries that were trained, one a dataset, and what was refused."""
    rows = {name: row for name in names if "train" in (row := read_row(args, name))}
    lines, notes = [], []
    for dataset in dict.fromkeys(row["train"]["dataset"] for row in rows.values()):
        trained = {name: row for name, row in rows.items() if row["train"]["dataset"] == dataset}
        lines += [*_heading(dataset, trained), *(_line(name, row) for name, row in trained.items()), ""]
        notes += [note for name, row in trained.items() for note in _notes(name, row)]
    return "\n".join([*lines, *notes])


def _heading(dataset, rows):
    first = next(iter(rows.values()))
    trained, patch = first["train"], " × ".join(map(str, first["train"]["patch"]))
    timed = next((f", {row['threads']} threads, {row['rounds']} rounds" for row in rows.values() if "time" in row), "")
    return (
        f"{dataset}, fold {FOLD}: {trained['steps']} steps of {trained['batch']} patches of {patch}; mean Dice on "
        f"{trained['cases']} cases held back; LiteRT, and ONNX Runtime in the last two columns{timed}",
        "",
        "| entry | parameters | GMAC | Dice | float ms | int8 ms | int8 MB | MACs in int8 | verdict "
        "| ONNX int8 ms | verdict |",
        "|---|" + "---:|" * 7 + "---|---:|---|",
    )


def _line(name, row):
    trained, timed = row["train"], row.get("time", {})
    light, onnx = (row.get("export", {}).get(format, {}) for format in INT8)
    size = f"{light['size'] / 1e6:.2f}" if "size" in light else "–"
    share = f"{light['int8_share']:.1%}" if "size" in light else "–"
    cells = (
        name,
        f"{trained['parameters']:,}",
        f"{trained['macs'] / 1e9:.2f}",
        f"{_mean(trained['dice']):.4f}",
        *(f"{timed[format]:.1f}" if format in timed else "–" for format in FORMATS[:2]),
        size,
        share,
        _verdict(light),
        f"{timed['onnx-int8']:.1f}" if "onnx-int8" in timed else "–",
        _verdict(onnx),
    )
    return "| " + " | ".join(cells) + " |"


def _verdict(exported):
    return "refused" if "refused" in exported else exported.get("verdict", "–")


def _notes(name, row):
    """What an entry without int8 can do instead, and why a format was refused."""
    refused = {
        format: exported["refused"] for format, exported in row.get("export", {}).items() if "refused" in exported
    }
    if not refused:
        return []
    timed = row.get("time", {})
    able = [
        f"{format} {exported['verdict']}, {exported['size'] / 1e6:.2f} MB"
        + (f", {timed[format]:.1f} ms" if format in timed else "")
        for format, exported in row["export"].items()
        if "size" in exported
    ]
    why = "; ".join(f"{format} refused: {_short(reason)}" for format, reason in refused.items())
    return [f"- {name}: {'; '.join(able)}; {why}"]


def _short(text, length=200):
    return text if len(text) <= length else text[: length - 1] + "…"


def _mean(values):
    return sum(values.values()) / len(values)
