"""How much of the machine's int8 peak an int8 TFLite artifact reaches, and where the rest of the time goes.

    python benchmarks/quantization/peak_share.py artifacts/hippocampus-fold0/tflite-int8
    python benchmarks/quantization/peak_share.py artifacts/volume48/tflite-int8 --macs 5.9e9 --threads 1 --threads 2

The peak is the best rate of large int8 matrix products (1 x 1 convolutions and fully connected layers of several
sizes) on the same runtime, LiteRT with XNNPACK, in the same process and in turn with the network. Each operator of the
file is cut out as a model of its own and timed too: on its own it finds its input in the cache more often, so that the
operators' sum may be less than the whole. The share of the whole network counts the multiply-accumulates of the
network before the rewrite, which the onnx-float32 artifact beside it (native 3D) or --macs tells. With AMX XNNPACK's
kernels work on tiles of 64 input channels a tap and 64 output channels, filled with zeros where a layer has fewer;
benchmarks/quantization/conv_channels.py shows it.

Prints Markdown tables; about a minute for each number of threads. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from one_operator import CLOCKS, Cut, cuts, product, timed

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# Rows, inner and output channels of the products; more rows than fit a cache would measure memory.
PRODUCTS = ((1024, 512, 512), (4096, 256, 256), (4096, 512, 512), (2048, 1024, 1024), (512, 2048, 2048))


def native_macs(artifact: Path) -> int:
    """Multiply-accumulates of the network before the rewrite, from the native-3D artifact beside ``artifact``."""
    from edge.manifest import load_manifest

    beside = artifact.parent / "onnx-float32"
    if not (beside / "manifest.json").is_file():
        raise SystemExit(f"{beside}: holds no artifact that would tell the network's MACs; export it, or give --macs")
    manifest = load_manifest(beside)
    if manifest.patch != load_manifest(artifact).patch:
        raise SystemExit(f"{beside}: has another patch than {artifact}; give --macs")
    return int(manifest.source["macs"])


def measure(data: bytes, threads: int, rounds: int, clock=time.perf_counter) -> tuple[float, list[Cut], list[Cut]]:
    """Milliseconds of the whole network; the operators; the products that the peak is the best of."""
    operators = cuts(data)
    products = [product(*sizes, kind) for kind in ("CONV_2D", "FULLY_CONNECTED") for sizes in PRODUCTS]
    models = {"network": data} | {f"product {i}": p.data for i, p in enumerate(products)}
    whole = timed(models, threads, 2 * rounds, clock)
    parts = timed({f"operator {i}": op.data for i, op in enumerate(operators)}, threads, rounds, clock)
    products = [replace(p, ms=whole[f"product {i}"]) for i, p in enumerate(products)]
    operators = [replace(op, ms=parts[f"operator {i}"]) for i, op in enumerate(operators)]
    return whole["network"], operators, products


def rate(cut: Cut) -> float:
    """Multiply-accumulates a second, in 10^9."""
    return cut.macs / cut.ms / 1e6


def report(whole: float, operators: list[Cut], products: list[Cut], macs: int, tile: int) -> str:
    """The tables in Markdown."""
    best = max(products, key=rate)
    peak = rate(best)
    lines = ["| int8 product | kind | ms | GMAC/s |", "|---|---|---:|---:|"]
    lines += [f"| {p.name} | {p.kind} | {p.ms:.2f} | {rate(p):.0f} |" for p in products]
    lines += [
        "",
        f"Peak {peak:.0f} GMAC/s ({best.kind}, {best.name}). The whole network: {macs / 1e9:.2f} GMAC in "
        f"{whole:.2f} ms, {macs / whole / 1e6:.0f} GMAC/s, **{macs / whole / 1e6 / peak:.1%} of the peak**.",
        "",
        "| operator | output | MMAC | ms | of the sum | of the peak |",
        "|---|---|---:|---:|---:|---:|",
    ]
    total = sum(op.ms for op in operators)
    for op in operators:
        name = op.name.split(";")[0].split("/", 1)[-1]
        share = f"{rate(op) / peak:.0%}" if op.macs else ""
        size = f"{op.macs / 1e6:.0f}" if op.macs else ""
        lines.append(
            f"| {op.kind} {name} | {' × '.join(map(str, op.shape))} | {size} | {op.ms:.3f} | {op.ms / total:.1%} "
            f"| {share} |"
        )
    return "\n".join([*lines, "", *where(whole, operators, macs, peak, tile)])


def where(whole: float, operators: list[Cut], macs: int, peak: float, tile: int) -> list[str]:
    """Where the time goes: what the peak would need, what convolutions lose, each other kind, what is left."""
    products = [op for op in operators if op.macs]
    done = sum(op.macs for op in products)
    spent = sum(op.ms for op in products)
    rows = [("the network's multiply-accumulates at the peak", macs / peak / 1e6)]
    rows += [("multiply-accumulates that the rewrite added, at the peak", (done - macs) / peak / 1e6)]
    filled = sum(op.filled(tile) for op in products)
    if tile:
        rows += [(f"zeros that fill tiles of {tile} × {tile} channels, at the peak", (filled - done) / peak / 1e6)]
    rows += [(f"{len(products)} convolutions and products below the peak", spent - filled / peak / 1e6)]
    kinds = sorted({op.kind for op in operators if not op.macs})
    for kind in kinds:
        same = [op.ms for op in operators if op.kind == kind and not op.macs]
        rows.append((f"{kind}, {len(same)} operators", sum(same)))
    rows.append(("the whole less the sum of its operators", whole - sum(op.ms for op in operators)))
    lines = ["| where the time goes | ms | of the whole |", "|---|---:|---:|"]
    lines += [f"| {name} | {ms:.2f} | {ms / whole:.1%} |" for name, ms in rows]
    return [*lines, f"| the whole network | {whole:.2f} | 100.0% |"]


def tile_of_machine() -> int:
    """Channels of a kernel's tile, see benchmarks/quantization/conv_channels.py: 64 with AMX, else small."""
    try:
        return 64 if "amx_int8" in Path("/proc/cpuinfo").read_text(encoding="utf-8") else 0
    except OSError:
        return 0


def main():
    """Measure for each number of threads and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path, help="tflite-int8 artifact folder")
    parser.add_argument("--threads", type=int, action="append", help="may be repeated (default: 1 and 2)")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each operator (default 15), of the whole two")
    parser.add_argument("--macs", type=float, help="multiply-accumulates of the network before the rewrite")
    parser.add_argument("--tile", type=int, help="channels that kernels fill up to with zeros (default 64 with AMX)")
    parser.add_argument(
        "--clock", choices=tuple(CLOCKS), default="wall", help="cpu: of all threads, for a busy machine and one thread"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    args = parser.parse_args()
    from edge.manifest import load_manifest

    manifest = load_manifest(args.artifact)
    if manifest.format != "tflite-int8":
        raise SystemExit(f"{args.artifact}: is {manifest.format}; give a tflite-int8 artifact")
    macs = int(args.macs) if args.macs else native_macs(args.artifact)
    data = (args.artifact / manifest.model).read_bytes()
    tile = tile_of_machine() if args.tile is None else args.tile
    by_threads = {}
    for threads in args.threads or (1, 2):
        whole, operators, products = measure(data, threads, args.rounds, CLOCKS[args.clock])
        if args.json:
            rows = [{key: getattr(op, key) for key in ("name", "kind", "shape", "macs", "ms")} for op in operators]
            peak = max(map(rate, products))
            by_threads[threads] = {"ms": whole, "macs": macs, "peak_gmac_s": peak, "operators": rows}
            by_threads[threads]["share"] = macs / whole / 1e6 / peak
            continue
        patch = " × ".join(map(str, manifest.patch))
        print(f"## {manifest.name}, patch {patch}, {threads} threads of {os.cpu_count()} cores\n")
        print(report(whole, operators, products, macs, tile) + "\n", flush=True)
    if args.json:
        print(json.dumps(by_threads, indent=1))


if __name__ == "__main__":
    main()
