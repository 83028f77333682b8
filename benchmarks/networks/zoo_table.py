"""Every network of the zoo after the same short training: Dice, milliseconds in float and in int8, size, verdict.

    python benchmarks/networks/zoo_table.py --data DATA --runs runs/table
    python benchmarks/networks/zoo_table.py --data DATA --runs runs/table --stage train --entry "mobile*"
    python benchmarks/networks/zoo_table.py --runs runs/table --stage time --stage table

2D entries are trained on hc18, 3D ones on hippocampus, all by one plan a dataset: the same cases of fold 0 held back,
the same steps, batch, patch, seed and learning rate. Nothing is done twice: what each stage found is in
RUNS/ENTRY/row.json. --again repeats the export and time stages of the entries chosen; a training is repeated by
deleting its folder.
"""

import argparse
import dataclasses
import fnmatch
import multiprocessing
import os
import sys
from pathlib import Path

from zoo_rows import FOLD, FORMATS, read_row, table, write_row

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

STAGES = ("train", "export", "time", "table")
SETS = {2: "hc18", 3: "hippocampus"}
# What an entry without int8 is tried in as well.
FLOATING = ("tflite-dynamic", "onnx-float32")


def main() -> int:
    """Do the stages asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds hc18 and hippocampus; for the train stage")
    parser.add_argument("--runs", type=Path, default=Path("runs/zoo-table"), help="where runs and results are kept")
    parser.add_argument("--stage", action="append", choices=STAGES, help="may be repeated (default: all)")
    parser.add_argument("--entry", action="append", help="name or wildcard, may be repeated (default: all entries)")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100, help="an epoch (default: 100)")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--cases", type=int, help="held-back cases that are scored, the first so many (default: all)")
    parser.add_argument("--cache", type=Path, help="folder of preprocessed cases (default: the user's cache)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20, help="timed runs of each artifact (default: 20)")
    parser.add_argument("--again", action="store_true", help="repeat export and timing of the entries chosen")
    args = parser.parse_args()
    from medseg.errors import InputError

    try:
        stages = args.stage or STAGES
        names = chosen(args.entry)
        for stage, work in (("train", train_entry), ("export", export_entry), ("time", time_entry)):
            for number, name in enumerate(names if stage in stages else (), 1):
                print(f"{stage} {number}/{len(names)} {name}", file=sys.stderr, flush=True)
                _alone(work, name, args)
        if "table" in stages:
            print(table(names, args))
    except InputError as error:
        print(f"zoo_table: error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def chosen(patterns) -> list[str]:
    """Names of the entries asked for, in that order; those made for int8 come first where none is named."""
    import zoo
    from medseg.errors import UsageError

    edge = zoo.list_models(tag="edge")
    names = edge + [name for name in zoo.list_models() if name not in edge]
    matching = list(dict.fromkeys(name for p in patterns or ("*",) for name in fnmatch.filter(names, p)))
    if not matching:
        raise UsageError(f"--entry {', '.join(patterns)}: fits no entry; see zoo models")
    return matching


def _alone(work, *given):
    """Run a stage of an entry in a process of its own, which gives all its memory back."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.apply(work, given)


def train_entry(name, args) -> None:
    """Train an entry by the plan of its dataset and score it on the cases held back."""
    row = read_row(args, name)
    if "train" in row:
        return
    import zoo
    from medseg.errors import UsageError
    from train.data.dataset import open_dataset
    from train.evaluation.evaluate import score_cases
    from train.evaluation.segmenting import patch_predictor, segmenter
    from train.fitting.fit import fit
    from train.input.pipeline import fold_cases
    from train.planning.plan import Network

    if args.data is None:
        raise UsageError(f"{name}: not trained yet, and --data is missing; give the folder that holds the datasets")
    rank = zoo.info(name).rank
    dataset = open_dataset(args.data / SETS[rank])
    plan = _fitted(dataclasses.replace(_plan(dataset, args), network=Network(name)))
    run = fit(plan, dataset, args.runs / name / "run", FOLD, resume=True, cache=args.cache, verbose=False)
    held = fold_cases(dataset, plan, FOLD)[1][: args.cases]
    scores = score_cases(segmenter(patch_predictor(run.model()), plan), held, plan.labels, plan.recipe)
    dice = {label: values["dice"] for label, values in scores["mean"].items()}
    known = zoo.info(name, (*plan.patch, len(plan.channels)), classes=len(plan.labels))
    row["train"] = {
        "dataset": dataset.name,
        "patch": list(plan.patch),
        "steps": plan.training.epochs * plan.training.steps_per_epoch,
        "batch": plan.training.batch,
        "parameters": known.parameters,
        "macs": known.macs,
        "dice": dice,
        "cases": len(held),
    }
    write_row(args, name, row)
    print(f"{name}: Dice {sum(dice.values()) / len(dice):.4f}", file=sys.stderr, flush=True)


def _plan(dataset, args):
    """The plan that all entries of a dataset follow, made once."""
    from medseg import record
    from medseg.errors import UsageError
    from train.planning.plan import load_plan
    from train.planning.planner import make_plan

    budget = {"epochs": args.epochs, "steps_per_epoch": args.steps, "batch": args.batch}
    path = args.runs / f"{dataset.folder.name}.plan.json"
    if not path.is_file():
        record.save(path, make_plan(dataset, **budget))
    plan = load_plan(path)
    kept = {field: getattr(plan.training, field) for field in budget}
    if kept != budget:
        raise UsageError(f"{path}: expected runs of the budget {budget}, got {kept}; give another --runs")
    return plan


def _fitted(plan):
    """``plan`` with its patch raised to multiples of its network's strides; transformers reduce more than others."""
    from train.planning.shape_rules import total_stride

    strides = total_stride(plan.network, plan.recipe.rank)
    return dataclasses.replace(plan, patch=tuple(-(-n // s) * s for n, s in zip(plan.patch, strides, strict=True)))


def export_entry(name, args) -> None:
    """Export a trained entry to the formats of the table, and say what each artifact holds or why there is none."""
    row = read_row(args, name)
    if "train" not in row:
        print(f"{name}: not trained yet, nothing to export", file=sys.stderr)
        return
    import zoo

    exported = {} if args.again else row.get("export", {})
    formats = FORMATS if zoo.info(name).edge == "int8" else (*FORMATS, *FLOATING)
    for format in formats:
        if format not in exported:
            exported[format] = export(
                args.runs / name / "run", format, args.runs / name / "artifacts", row["train"]["cases"]
            )
            row["export"] = exported
            row.pop("time", None)
            write_row(args, name, row)


def export(run, format, out, cases=None) -> dict:
    """One artifact of a run, whatever it loses, and what its manifest says; or {"refused": reason}.

    Args:
        run: a finished run folder.
        format: name of the format.
        out: folder of artifact folders.
        cases: held-back cases that it is compared with its network on, the first so many.
    """
    from edge.manifest import load_manifest
    from export.artifact.folder import export_run
    from export.source.source import open_source
    from medseg.errors import InputError

    source = open_source(run)
    source = dataclasses.replace(source, validation=source.validation[:cases])
    try:
        (folder,) = export_run(source, [format], out, ship_anyway=True, tell=lambda line: print(line, file=sys.stderr))
    except InputError as error:
        return {"refused": str(error)}
    manifest = load_manifest(folder)
    fidelity = manifest.fidelity
    return {
        "size": (folder / manifest.model).stat().st_size,
        "int8_share": manifest.source["int8_share"],
        "verdict": fidelity["verdict"],
        "drop": max(label["dice_drop"] for label in fidelity["labels"].values()),
        "worst_drop": max(label["worst_drop"] for label in fidelity["labels"].values()),
        "dice": {name: label["dice_artifact"] for name, label in fidelity["labels"].items()},
        "cases": len(fidelity["cases"]),
    }


def time_entry(name, args) -> None:
    """Time the artifacts of an entry on one patch, interleaved."""
    import edge

    row = read_row(args, name)
    formats = [format for format, exported in row.get("export", {}).items() if "refused" not in exported]
    if not formats or (not args.again and "time" in row):
        return
    folders = [args.runs / name / "artifacts" / format for format in formats]
    timings = edge.compare(folders, threads=args.threads, rounds=args.rounds, warmup=3)
    row["time"] = {format: timing.median_ms for format, timing in zip(formats, timings, strict=True)}
    row["threads"], row["rounds"] = args.threads, args.rounds
    write_row(args, name, row)


if __name__ == "__main__":
    sys.exit(main())
