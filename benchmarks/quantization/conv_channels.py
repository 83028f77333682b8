"""What an int8 convolution costs on LiteRT by its channels, where kernels work on whole tiles of them.

    python benchmarks/quantization/conv_channels.py
    python benchmarks/quantization/conv_channels.py --size 20 28 20 --kernel 3 4 --strides 1 2

A table a measure, input channels down, output channels across: milliseconds, and the rate in GMAC/s. A rate that falls
with the number of channels says that the kernel fills its tiles with zeros: on AMX the tile is 64 input channels a tap
and 64 output channels, so that 3 to 16 channels cost what 64 to 64 cost.
"""

import argparse
import os
from dataclasses import replace

from one_operator import CLOCKS, convolution, timed
from peak_share import rate

INPUTS = (1, 3, 16, 32, 48, 64, 96, 128)
OUTPUTS = (3, 16, 32, 64, 128)


def table(title, cuts, show) -> str:
    """A Markdown table of one measure."""
    lines = [f"| {title} | " + " | ".join(f"to {n}" for n in OUTPUTS) + " |", "|---|" + "---:|" * len(OUTPUTS)]
    lines += [f"| {m} | " + " | ".join(show(cuts[m, n]) for n in OUTPUTS) + " |" for m in INPUTS]
    return "\n".join(lines)


def main():
    """Time every pair of channels in turn and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=3, default=(40, 56, 40), metavar="N", help="batch, height, width")
    parser.add_argument("--kernel", type=int, nargs=2, default=(3, 3), metavar="N", help="height, width")
    parser.add_argument("--strides", type=int, nargs=2, default=(1, 1), metavar="N", help="height, width")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall", help="cpu: for a busy machine, one thread")
    args = parser.parse_args()
    made = {
        (m, n): convolution((*args.size, m), tuple(args.kernel), n, tuple(args.strides))
        for m in INPUTS
        for n in OUTPUTS
    }
    spent = timed({f"{m} {n}": cut.data for (m, n), cut in made.items()}, args.threads, args.rounds, CLOCKS[args.clock])
    cuts = {(m, n): replace(cut, ms=spent[f"{m} {n}"]) for (m, n), cut in made.items()}
    how = " × ".join(map(str, args.size)), " × ".join(map(str, args.kernel)), " × ".join(map(str, args.strides))
    print("Input {}, kernel {}, strides {}, ".format(*how) + f"{args.threads} threads of {os.cpu_count()} cores\n")
    print(table("ms, from", cuts, lambda cut: f"{cut.ms:.2f}") + "\n")
    print(table("GMAC/s, from", cuts, lambda cut: f"{rate(cut):.0f}"))


if __name__ == "__main__":
    main()
