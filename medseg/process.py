"""Processes of our own commands: what lies in the current folder never runs in place of our packages."""

import os
import site
import sys

from medseg.packages.shadowing import ROOT


def module_command(module: str, *words) -> list[str]:
    """The command line of ``python -P -m module words``, where ``-P`` leaves out the current folder."""
    return [sys.executable, "-P", "-m", module, *map(str, words)]


def code_command(code: str, *words) -> list[str]:
    """The command line that runs Python source, likewise."""
    return [sys.executable, "-P", "-c", code, *map(str, words)]


def environment() -> dict[str, str]:
    """This process's environment, in which our packages are found first even where they are not installed."""
    if any(ROOT.samefile(place) for place in site.getsitepackages() if os.path.isdir(place)):
        return dict(os.environ)
    places = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
