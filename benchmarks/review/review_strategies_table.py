"""The table of ``review_strategies.py``: Dice by corrections, and what share of random's each strategy needs."""

import itertools

import numpy as np

from review.improvement.comparison import bootstrap


def means(scores) -> list[float]:
    """Mean Dice of each structure."""
    return [float(np.mean(list(of_case.values()))) for of_case in scores.values()]


def corrections_for(curve, target: float) -> float | None:
    """How many corrections a Dice takes, by linear interpolation; None if it is not reached.

    Args:
        curve: corrections made and Dice, round by round.
        target: the Dice.
    """
    if curve[0][1] >= target:
        return float(curve[0][0])
    for (before, low), (after, high) in itertools.pairwise(curve):
        if low < target <= high:
            return before + (after - before) * (target - low) / (high - low)
    return None


def show(curves, start: int, batch: int) -> None:
    """Print the table, and each strategy against random.

    Args:
        curves: strategy to its rounds, each of them structure to case to Dice.
        start: cases that the first network was trained on.
        batch: corrections of a round.
    """
    structures = list(next(iter(curves.values()))[0])
    print(f"| strategy | cases labelled | of them corrected | {' | '.join(structures)} | mean Dice |")
    print("|---|---|---|" + "---|" * (len(structures) + 1))
    for strategy, rounds in curves.items():
        for number, scores in enumerate(rounds):
            each = means(scores)
            row = " | ".join(f"{value:.4f}" for value in (*each, np.mean(each)))
            print(f"| {strategy} | {start + number * batch} | {number * batch} | {row} |")
    if "random" not in curves:
        return
    made = (len(curves["random"]) - 1) * batch
    target = float(np.mean(means(curves["random"][-1])))
    print()
    for strategy, rounds in curves.items():
        if strategy == "random":
            continue
        curve = [(number * batch, float(np.mean(means(scores)))) for number, scores in enumerate(rounds)]
        needed = corrections_for(curve, target)
        need = "never has it" if needed is None else f"needs {needed:.1f}, {100 * needed / made:.0f} % of that"
        difference, low, high = bootstrap(of_cases(rounds[-1]) - of_cases(curves["random"][-1]))
        print(
            f"{strategy}: for the Dice of {target:.4f} that random has after {made} corrections it {need}; in the end "
            f"{difference:+.4f} against random (95 % interval of the cases {low:+.4f} to {high:+.4f})"
        )


def of_cases(scores) -> np.ndarray:
    """Mean Dice of the structures, case by case."""
    return np.array([list(of_case.values()) for of_case in scores.values()]).mean(axis=0)
