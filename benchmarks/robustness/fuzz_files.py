"""Mutate valid files byte by byte and value by value, read them, and count what escapes the readers.

    python benchmarks/robustness/fuzz_files.py --inputs 300000
    python benchmarks/robustness/fuzz_files.py --inputs 20000 --format nifti,manifest --seed 3 --keep escapes

A reader may return or raise an error that carries an exit status. Everything else is an escape, and so is an input that
takes over two seconds of processor time. Prints one Markdown table: format, inputs, how many were read, how many were
refused, escapes, inputs over two seconds, the slowest. Exits with 1 if there was an escape or a slow input; ``--keep``
saves those inputs. The formats are those of ``fuzz_formats``.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

from fuzz_formats import FORMATS, Format

SLOW = 2.0  # seconds
STUCK = 30  # seconds after which an input is given up


@dataclass
class Count:
    """What became of the inputs of one format."""

    read: int = 0
    refused: int = 0
    slow: int = 0
    slowest: float = 0.0
    escapes: list[str] = field(default_factory=list)


def fuzz(kind: Format, inputs: int, folder, seed: int = 0, keep=None) -> Count:
    """Read ``inputs`` mutated files of one kind.

    Args:
        kind: what to read.
        inputs: how many.
        folder: an empty folder that the inputs are written to, one after another.
        seed: of the mutations; the same seed gives the same inputs.
        keep: folder for inputs that escaped or were slow, or None.
    """
    chance, count, contents = random.Random(seed), Count(), kind.seeds()
    path = Path(folder) / kind.name
    for number in range(inputs):
        content = kind.mutate(chance.choice(contents), chance)
        path.write_bytes(content)
        escape, began = None, time.process_time()
        try:
            kind.read(path)
            count.read += 1
        except Exception as error:
            if not hasattr(error, "exit_status"):
                escape = f"{type(error).__name__}: {error}"
            else:
                count.refused += 1
                escape = f"a message of several lines: {error}" if "\n" in str(error) else None
        seconds = time.process_time() - began
        count.slowest = max(count.slowest, seconds)
        count.slow += seconds > SLOW
        if escape:
            count.escapes.append(f"input {number}: {escape}")
        if keep and (escape or seconds > SLOW):
            Path(keep).mkdir(parents=True, exist_ok=True)
            (Path(keep) / f"{seed}-{number}-{kind.name}").write_bytes(content)
    return count


def main() -> int:
    """Fuzz the formats that are asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10000, help="in all, shared evenly by the formats")
    parser.add_argument("--format", default=",".join(FORMATS), help="names joined by commas (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", help="folder for inputs that escaped or were slow")
    args = parser.parse_args()
    names = args.format.split(",")
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        parser.error(f"--format {', '.join(unknown)}: expected {', '.join(FORMATS)}")
    warnings.simplefilter("ignore")
    failed = False
    print("| format | inputs | read | refused | escapes | over 2 s | slowest, s |\n|---|---|---|---|---|---|---|")
    for name in names:
        inputs = args.inputs // len(names)
        with tempfile.TemporaryDirectory() as folder:
            kind = replace(FORMATS[name], read=_within_limit(FORMATS[name].read))
            count = fuzz(kind, inputs, folder, args.seed, args.keep)
        failed |= bool(count.escapes or count.slow)
        figures = (inputs, count.read, count.refused, len(count.escapes), count.slow, f"{count.slowest:.2f}")
        print(f"| {name} | " + " | ".join(map(str, figures)) + " |", flush=True)
        for escape in count.escapes[:20]:
            print(f"{name} {escape[:300]}", file=sys.stderr)
    return 1 if failed else 0


def _within_limit(read):
    """The reader, given up after ``STUCK`` seconds."""

    def limited(path):
        signal.alarm(STUCK)
        try:
            return read(path)
        finally:
            signal.alarm(0)

    signal.signal(signal.SIGALRM, _give_up)
    return limited


def _give_up(*_):
    raise TimeoutError(f"still reading after {STUCK} s")


if __name__ == "__main__":
    sys.exit(main())
