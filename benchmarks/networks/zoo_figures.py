"""Count weights, MACs and activation memory of every entry of the zoo and write them to ``zoo/figures.json``.

python benchmarks/networks/zoo_figures.py            count all, write the file, print the table
python benchmarks/networks/zoo_figures.py --check    write nothing; exit 1 if the file differs from what is counted
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def figures(name: str) -> dict:
    """The committed figures of an entry at its reference input, two classes."""
    import zoo
    from zoo.information import reference_shape
    from zoo.registry import entry

    information = zoo.info(name, reference_shape(entry(name).rank))
    return {
        "input_shape": list(information.input_shape),
        "classes": information.classes,
        "multiple": list(information.multiple),
        "parameters": information.parameters,
        "macs": information.macs,
        "peak_activation_bytes": information.peak_activation_bytes,
    }


def main() -> int:
    """Count every entry and write or check the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if the file is out of date")
    args = parser.parse_args()
    import keras

    import zoo
    from medseg.atomic import write_bytes

    path = ROOT / "zoo" / "figures.json"
    counted = {}
    print(f"{'entry':22} {'input':>14} {'parameters':>12} {'GMAC':>8} {'activations MB':>15}")
    for name in zoo.list_models():
        counts = counted[name] = figures(name)
        keras.backend.clear_session()
        shape = "x".join(map(str, counts["input_shape"]))
        memory = counts["peak_activation_bytes"] / 1e6
        print(f"{name:22} {shape:>14} {counts['parameters']:12,} {counts['macs'] / 1e9:8.2f} {memory:15.1f}")
    text = json.dumps(counted, indent=1) + "\n"
    if args.check:
        return 0 if path.is_file() and path.read_text(encoding="utf-8") == text else 1
    write_bytes(path, text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
