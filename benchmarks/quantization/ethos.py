"""What Arm's Vela makes of networks for the Ethos-U NPUs: operators, memory, estimated time.

    python benchmarks/quantization/ethos.py
    python benchmarks/quantization/ethos.py --network mobile_unet3d --patch 32 32 32 --target ethos-u55-128
    python benchmarks/quantization/ethos.py --edge
    python benchmarks/quantization/ethos.py --edge --layout height --layout channels --target ethos-u55

Builds a registry network with random weights, converts it to int8 with random calibration, compiles it for each target
and prints a table with one row for each layout of a 3D network's rewrite (see ``zoo export --layout``), and one that
compares the quickest layout, which ``zoo export --target`` takes, with the folded batch. The default is the
hippocampus network; --edge takes every entry of the registry that is tagged "edge", on 96 × 96 pixels or 32 × 32 × 32
voxels. All figures are Vela's estimates for one patch; weights and calibration change none of them but the size of the
compressed weights.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

SMALL = {2: (96, 96), 3: (32, 32, 32)}


def convert(name, patch, classes, options, layout):
    """A registry network as an int8 TFLite file in a layout."""
    import zoo
    from export.conversion.convert import convert

    model = zoo.get(name, (*patch, 1), classes=classes, **options)
    noise = np.random.default_rng(0).normal(size=(2, *patch, 1)).astype(np.float32)
    return convert(model, "tflite-int8", patch, list(noise), npu=True, layout=layout)


def row(name, layout, report) -> str:
    """One line of the table."""
    used = {memory: report.memory_bytes.get(memory, 0) / 2**20 for memory in ("sram", "dram", "off_chip_flash")}
    target = report.target
    return (
        f"| {name} | {target.accelerator}, {target.memory} | {layout} "
        f"| {report.operators} | {report.npu.get('MemoryCopy', 0)} "
        f"| {len(report.cpu)} | {used['sram']:.2f} | {used['dram']:.2f} | {used['off_chip_flash']:.2f} "
        f"| {report.cycles / 1e6:.1f} | {report.seconds * 1e3:.1f} |"
    )


def main() -> int:
    """Convert, compile and print the table; 1 if an operator falls to the processor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="unet3d", help="registry entry (default: unet3d)")
    parser.add_argument("--edge", action="store_true", help="every entry tagged edge instead")
    parser.add_argument("--width", type=int, help="of the network, where it has one")
    parser.add_argument("--patch", type=int, nargs="+", default=[40, 56, 40], help="voxels (default: 40 56 40)")
    parser.add_argument("--classes", type=int, default=3)
    parser.add_argument("--target", action="append", help="NPU; repeatable (default: ethos-u55, -u65 and -u85)")
    parser.add_argument(
        "--layout", "--form", action="append", help="of 3D networks: batch, height, channels (default: all)"
    )
    args = parser.parse_args()
    import zoo
    from export.device import arena, ethos
    from export.rewrite.layouts import FOLDS
    from medseg.byte_sizes import spell_size

    targets = [ethos.find_target(name) for name in args.target or ethos.SYSTEMS]
    options = {} if args.width is None else {"width": args.width}
    work = [(args.network, tuple(args.patch), options)]
    if args.edge:
        work = [(name, SMALL[zoo.info(name).rank], {}) for name in zoo.list_models(tag="edge")]
    print(
        "| network | target | layout | on the NPU | copies | on the processor | SRAM MB | DRAM MB | flash MB | Mcycles "
        "| ms |\n|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    fallen, notes, reports = [], [], {}
    for name, patch, chosen in work:
        for layout in (args.layout or FOLDS) if len(patch) == 3 else ["2D"]:
            converted = convert(name, patch, args.classes, chosen, layout if len(patch) == 3 else None)
            macs = sum(operator.macs for operator in converted.operators)
            notes.append(
                f"{name}, patch {' × '.join(map(str, patch))}, {layout}: {macs / 1e9:.2f} GMAC; TFLite int8 of "
                f"{len(converted.operators)} operators, {len(converted.data) / 1e6:.2f} MB, activations "
                f"{spell_size(arena.measure(converted.data).size)}"
            )
            for target in targets:
                report = ethos.compile_tflite(converted.data, target, allow_cpu=True).report
                print(row(name, layout, report), flush=True)
                fallen += [f"{name}, {target.accelerator}, {layout}, on the processor: {o}" for o in report.cpu]
                reports.setdefault((name, target.accelerator), {})[layout] = report
    print("", *notes, "", *fallen, sep="\n")
    print("\n| network | target | quickest layout | operators | activations MB | ms | batch: operators | MB | ms |")
    print("|---|---|---|---:|---:|---:|---:|---:|---:|")
    for (name, accelerator), by_layout in reports.items():
        if "batch" in by_layout and len(by_layout) > 1:
            best = min(by_layout, key=lambda layout: by_layout[layout].seconds)
            figures = " | ".join(
                f"{r.operators} | {r.activation_bytes / 2**20:.2f} | {1e3 * r.seconds:.1f}"
                for r in (by_layout[best], by_layout["batch"])
            )
            print(f"| {name} | {accelerator} | {best} | {figures} |")
    return int(bool(fallen))


if __name__ == "__main__":
    sys.exit(main())
