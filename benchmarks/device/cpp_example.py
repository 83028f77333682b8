"""Build the C++ example and run it on artifacts: has every voxel of their test vectors the label that it should have?

    python benchmarks/device/cpp_example.py ARTIFACT... [--work FOLDER]
    python benchmarks/device/cpp_example.py ARTIFACT... --compiler aarch64-linux-gnu-g++ --openvino WHEEL/openvino \
        --emulator "WORK/root-amd64/usr/bin/qemu-aarch64 -L WORK/root-arm64 -E LD_LIBRARY_PATH=WHEEL/openvino/libs"

Needs cmake, a C++17 compiler and the `openvino` wheel, which holds the headers, the libraries and the CMake files of
OpenVINO's C++ API. Artifacts are of formats that OpenVINO reads: openvino-int8, openvino-float32, onnx-float32. The
second command builds for ARM64 and runs it under emulation: Debian's g++-aarch64-linux-gnu, and below WORK, where
benchmarks/device/arm64.py left them, qemu, an ARM64 system and OpenVINO's wheel.
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import openvino

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "cpp"


def build(work: Path, package: Path, compiler: str | None) -> Path:
    """The program, built below ``work``.

    Args:
        work: folder for the build.
        package: folder of the ``openvino`` package whose libraries it is linked with.
        compiler: of ARM64; None for this machine's.
    """
    folder = work / "build"
    settings = [f"-DOpenVINO_DIR={package / 'cmake'}"]
    if compiler is not None:
        settings += [
            "-DCMAKE_SYSTEM_NAME=Linux",
            "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
            f"-DCMAKE_CXX_COMPILER={compiler}",
        ]
        # What OpenVINO's libraries need themselves is there where the program runs.
        settings += ["-DCMAKE_EXE_LINKER_FLAGS=-Wl,--unresolved-symbols=ignore-in-shared-libs"]
    for words in (["cmake", "-S", EXAMPLE, "-B", folder, *settings], ["cmake", "--build", folder]):
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return folder / "segment"


def run(command, artifact: Path, work: Path) -> dict[str, float]:
    """What the program, by its command, prints of an artifact: name to number."""
    work.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, EXAMPLE / "unpack.py", artifact, work], check=True)
    done = subprocess.run([*command, work], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{artifact}: {done.stderr.strip()}")
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in done.stdout.splitlines())}


def main() -> int:
    """Print a table; 1 if any voxel differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", nargs="+", type=Path, metavar="ARTIFACT")
    parser.add_argument("--work", type=Path, help="folder that keeps the build")
    package = Path(openvino.__file__).parent
    parser.add_argument("--openvino", type=Path, default=package, help="folder of the package to link with")
    parser.add_argument("--compiler", help="of ARM64")
    parser.add_argument("--emulator", default="", help="command that runs the program")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        command = [*shlex.split(args.emulator), build(work, args.openvino.absolute(), args.compiler)]
        differ = 0
        print("| artifact | voxels | of structures | other label | largest difference of a logit |")
        print("|---|---|---|---|---|")
        for number, artifact in enumerate(args.artifacts):
            row = run(command, artifact, work / str(number))
            differ += row["differ"]
            print(
                f"| {artifact.name} | {row['voxels']:.0f} | {row['structures']:.0f} | {row['differ']:.0f} "
                f"| {row['largest difference of a logit']:.2g} |"
            )
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
