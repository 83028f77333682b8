"""Which configuration of a dataset's networks to use, or which two together, by the cases that they held back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from imaging.configurations import FILE, Configurations, Scored, joined
from medseg import record
from medseg.columns import aligned
from train.configurations.pairs import cross_validate_pair, score_pairs
from train.configurations.report import write_choice_report
from train.evaluation.averages import OBJECT_COLUMNS
from train.evaluation.cross_report import write_cross_report
from train.evaluation.cross_validation import cross_validate
from train.fitting.curves import load_history
from train.fitting.run import Run

GAIN = 0.002  # of the mean Dice: a pair that brings less is not worth the time of two networks


def decide(members: Mapping[str, Sequence[Run]], dataset, out, state: Configurations, following: str):
    """Score every configuration and every pair, choose, and write the choice.

    Args:
        members: configuration to its finished runs, the same folds of each.
        dataset: an open ``Dataset``.
        out: the folder.
        state: what is known of it.
        following: the command to type next, for the reports.

    Returns:
        The state with scores and choice, as it was written, and the summary of the cross-validation of what was chosen.
    """
    out, summaries, scored = Path(out), {}, []
    for name, runs in members.items():
        print(f"scoring {name}", flush=True)
        summaries[name] = cross_validate(runs, dataset, out / name, reuse=True, progress=True)
        write_cross_report(out / name, summaries[name], runs, dataset, following)
        scored.append(scored_alone(name, summaries[name]))
    first = next(iter(summaries.values()))
    plan = next(iter(members.values()))[0].plan
    if len(members) > 1 and plan.instances is None:
        scored += score_pairs(members, dataset, out, progress=True)
    chosen, reason = choose(scored, metric(first), len(first["cases"]))
    summary = summaries.get(chosen[0])
    if len(chosen) == 2:
        print(f"scoring {joined(chosen)}", flush=True)
        pair = {name: members[name] for name in chosen}
        summary = cross_validate_pair(pair, dataset, out / joined(chosen), progress=True)
    state = replace(
        state,
        folds=tuple(first["folds"]),
        metric=metric(first),
        cases=len(first["cases"]),
        scored=tuple(scored),
        chosen=chosen,
        reason=reason,
        notes=tuple(note for name, runs in members.items() for note in _short(name, runs)),
    )
    write_choice_report(out, state, following)
    record.save(out / FILE, state)
    return state, summary


def scored_alone(name: str, summary: dict) -> Scored:
    """A configuration with the scores of its cross-validation.

    Args:
        name: of the configuration.
        summary: what ``cross_validate`` returned.
    """
    column = metric(summary)
    by_label = {label: row[column] for label, row in summary["mean"].items()}
    return Scored((name,), float(np.mean(list(by_label.values()))), by_label)


def metric(summary: dict) -> str:
    """What is compared: the mean Dice, or of objects their average precision."""
    row = next(iter(summary["mean"].values()))
    return OBJECT_COLUMNS[0] if OBJECT_COLUMNS[0] in row else "dice"


def choose(scored: Sequence[Scored], metric: str, cases: int) -> tuple[tuple[str, ...], str]:
    """The configuration of the highest score, or the best pair where that scores at least ``GAIN`` more.

    Args:
        scored: each configuration, and each pair.
        metric: that the scores are of.
        cases: how many they are of.

    Returns:
        Names, and the reason in words. Of equal scores the first counts.
    """
    alone = [each for each in scored if len(each.names) == 1]
    pairs = [each for each in scored if len(each.names) == 2]
    best = max(alone, key=lambda each: each.score)
    name = "average precision" if metric == "ap" else "mean Dice"
    held = f"{cases} held-back case{'s' * (cases != 1)}"
    if len(alone) == 1:
        return best.names, f"the only configuration that applies: {name} {best.score:.4f} of {held}"
    pair = max(pairs, key=lambda each: each.score, default=None)
    if pair is not None and pair.score >= best.score + GAIN:
        return pair.names, (
            f"{name} {pair.score:.4f} of {held}, {pair.score - best.score:.4f} more than the best alone, "
            f"{best.names[0]} ({best.score:.4f})"
        )
    reason = f"the highest {name} of {held}, {best.score:.4f}"
    if pair is not None:
        gain = pair.score - best.score
        than = f"{gain:.4f} more" if gain > 0 else "no more"
        reason += (
            f"; the best pair, {joined(pair.names)} ({pair.score:.4f}), brings {than}, and from {GAIN:g} on it would "
            "be worth the time of two networks"
        )
    return best.names, reason


def table(state: Configurations) -> str:
    """The scores and the choice as text."""
    labels = list(state.scored[0].by_label)
    rows = [("", "average precision" if state.metric == "ap" else "mean Dice", *labels)]
    for each in state.scored:
        mark = "* " if each.names == state.chosen else "  "
        values = (each.score, *(each.by_label[label] for label in labels))
        rows.append((mark + joined(each.names), *(f"{value:.4f}" for value in values)))
    lines = aligned(rows)
    lines += [f"{name} does not apply: {why}" for name, why in state.left_out.items()]
    lines += [f"note: {note}" for note in state.notes]
    verb = "are averaged" if len(state.chosen) == 2 else "is chosen"
    lines.append(f"{' and '.join(state.chosen)} {verb}: {state.reason}")
    return "\n".join(lines)


def _short(name, runs) -> list[str]:
    """Trainings whose time was over before their first epoch."""
    notes = []
    for run in runs:
        minutes, history = run.plan.training.minutes, load_history(run.folder / "history.csv")
        seconds = history[-1].get("seconds", 0.0) if len(history) == 1 else 0.0
        if minutes and seconds > 60 * minutes:
            notes.append(
                f"{name}, fold {run.fold}: {60 * minutes:.0f} s were over before its first epoch, which took "
                f"{seconds:.0f} s, so its score says little; give more --minutes"
            )
    return notes
