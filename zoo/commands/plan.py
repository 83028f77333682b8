"""``zoo plan``: the planner of ``train``, and the converter of ``export`` to measure its candidate networks with."""

from train.cli import build_parser
from train.cli import main as train_main

__all__ = ["build_parser", "main", "measure"]


def main(argv=None, prog: str = "zoo") -> int:
    """Run ``zoo plan``; returns the exit status."""
    return train_main(argv, prog, measure)


def measure(model, threads: int):
    """``export.footprint``, imported when a plan is bounded by what it measures."""
    from export.device.footprint import footprint

    return footprint(model, threads)
