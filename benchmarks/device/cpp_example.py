"""Build the C++ example and run it on artifacts: has every voxel of their test vectors the label that it should have?

    python benchmarks/device/cpp_example.py ARTIFACT... [--work FOLDER]

Needs cmake, a C++17 compiler and the `openvino` wheel, which holds the headers, the libraries and the CMake files of
OpenVINO's C++ API. Artifacts are of formats that OpenVINO reads: openvino-int8, openvino-float32, onnx-float32.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import openvino

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "cpp"


def build(work: Path) -> Path:
    """The program, built below ``work``."""
    folder = work / "build"
    cmake = Path(openvino.__file__).parent / "cmake"
    for words in (["cmake", "-S", EXAMPLE, "-B", folder, f"-DOpenVINO_DIR={cmake}"], ["cmake", "--build", folder]):
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return folder / "segment"


def run(program: Path, artifact: Path, work: Path) -> dict[str, float]:
    """What the program prints of an artifact: name to number."""
    work.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, EXAMPLE / "unpack.py", artifact, work], check=True)
    done = subprocess.run([program, work], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{artifact}: {done.stderr.strip()}")
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in done.stdout.splitlines())}


def main() -> int:
    """Print a table; 1 if any voxel differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifacts", nargs="+", type=Path, metavar="ARTIFACT")
    parser.add_argument("--work", type=Path, help="folder that keeps the build")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        program = build(work)
        differ = 0
        print("| artifact | voxels | of structures | other label | largest difference of a logit |")
        print("|---|---|---|---|---|")
        for number, artifact in enumerate(args.artifacts):
            row = run(program, artifact, work / str(number))
            differ += row["differ"]
            print(
                f"| {artifact.name} | {row['voxels']:.0f} | {row['structures']:.0f} | {row['differ']:.0f} "
                f"| {row['largest difference of a logit']:.2g} |"
            )
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
