"""Coverage-guided fuzzing of every reader of files from strangers, by atheris (``pip install "medseg-zoo[fuzz]"``).

    python benchmarks/robustness/fuzz_coverage.py --seconds 300 --corpus corpus
        # every reader, each in a process of its own; ends with a table
    python benchmarks/robustness/fuzz_coverage.py --reader nifti,dicom --seconds 300 --at-once 2

Every other input is one of libFuzzer's, the rest are changes that keep the file whole: of values in JSON, of what is
packed in gzip and zip, with check sums made right (``fuzz_mutations``). A reader may refuse a file by an error of one
line that carries an exit status. Any other exception, a crash, more than 2 GB or more than 20 s for one file is a
fault: it ends the reader's run, the file stays in the corpus folder, and the script ends with status 1.
"""

import argparse
import contextlib
import importlib
import os
import random
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fuzz_containers import CONTAINERS
from fuzz_formats import FORMATS

READERS = FORMATS | CONTAINERS
MEGABYTES = 2048
SECONDS_A_FILE = 20
MAX_BYTES = 64 * 1024
WATCHED = ("imaging", "edge", "zoo.legacy", "zoo.weights", "medseg", "train", "nibabel", "pydicom")
# What each reader reads with; imported where atheris watches, since ``read`` of a format imports when it is called.
PICTURES = ("imaging.io.files", "imaging.io.picture", "imaging.io.masks")
MODULES = {
    "nifti": ("nibabel", "imaging.io.files", "imaging.io.nifti"),
    "gz": ("nibabel", "imaging.io.files", "imaging.io.nifti"),
    "png": (*PICTURES, "imaging.io.png"),
    "tiff": (*PICTURES, "imaging.io.tiff", "imaging.io.volumes.tiff_volume"),
    "jpeg": (*PICTURES, "imaging.io.jpeg"),
    "manifest": ("edge.manifest",),
    "plan": ("train.planning.plan", "train.planning.plan_check", "train.commands.plan"),
    "dataset": ("train.data.dataset", "train.data.layouts"),
    "dicom": ("pydicom.pixels", "imaging.io.files", "imaging.io.dicom.read", "imaging.io.dicom.label"),
    "h5": ("zoo.legacy.reading",),
    "keras": ("zoo.legacy.reading", "zoo.legacy.contents"),
    "npz": ("zoo.weights.storage",),
}
# What readers of JSON stumble over; bytes changed at random seldom make such words.
WORDS = (
    "NaN", "-Infinity", "1e999", "1e-320", "99999999999999999999", "-1", "null", "true", "[]", "{}", "[[", "../x",
    "/etc", "class_name", "config", "layers", "module", "TFSMLayer", "Lambda", "image", "label", "training", "folds",
)  # fmt: skip
_RUNS = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.M)
_LAST = re.compile(r"^#(\d+)\s", re.M)
_FAULTS = ("crash-", "leak-", "timeout-", "oom-", "slow-unit-")


@dataclass(frozen=True)
class Outcome:
    """What came of a reader.

    Attributes:
        name: of the reader.
        seconds: that it was asked to run.
        runs: files that were read.
        faults: files that were kept, because the reader did with them what it must not.
        said: the end of what its process printed.
        status: of its process, 0 without a fault.
    """

    name: str
    seconds: int
    runs: int
    faults: tuple[str, ...]
    said: str
    status: int

    @property
    def fault_count(self) -> int:
        """How many faults there were; a process that ended badly has had one, also where it kept no file."""
        return len(self.faults) or int(self.status != 0)


def main() -> int:
    """Fuzz readers in processes of their own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", default=",".join(READERS), help=f"some of {', '.join(READERS)} (default: all)")
    parser.add_argument("--seconds", type=int, default=300, help="for each reader (default: 300)")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="readers at a time (default: 1)")
    parser.add_argument("--corpus", type=Path, help="folder that keeps what was found for the next time")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # one reader, in this process
    args = parser.parse_args()
    names = args.reader.split(",")
    unknown = [name for name in names if name not in READERS]
    if unknown:
        parser.error(f"--reader {', '.join(unknown)}: expected some of {', '.join(READERS)}")
    if args.here:
        return fuzz(names[0], args.seconds, args.corpus / names[0])
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(args.at_once) as pool:
        corpus = args.corpus or Path(scratch)
        outcomes = list(pool.map(lambda name: run(name, args.seconds, corpus), names))
    for each in outcomes:
        if each.fault_count:
            print(f"{each.name}: status {each.status}\n{each.said}", file=sys.stderr)
    print(table(outcomes))
    return 1 if any(each.fault_count for each in outcomes) else 0


def run(name: str, seconds: int, corpus: Path) -> Outcome:
    """Fuzz a reader in a process of its own, since atheris ends the one that it runs in."""
    folder = corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    before = {path.name for path in folder.iterdir()}
    words = [sys.executable, __file__, "--here", "--reader", name, "--seconds", str(seconds), "--corpus", str(corpus)]
    with tempfile.TemporaryDirectory() as scratch:  # atheris leaves its process by a way that tidies nothing up
        environment = os.environ | {"TMPDIR": scratch}
        ended = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False, env=environment)
    said = ended.stdout + ended.stderr
    new = sorted(path.name for path in folder.iterdir() if path.name not in before)
    faults = tuple(each for each in new if each.startswith(_FAULTS))
    return Outcome(name, seconds, counted(said), faults, said[-3000:], ended.returncode)


def counted(said: str) -> int:
    """The number of inputs in what libFuzzer printed; after a crash the last that it told."""
    total = _RUNS.findall(said)
    return int((total or _LAST.findall(said) or ["0"])[-1])


def table(outcomes) -> str:
    """The outcomes as Markdown."""
    rows = [f"| {each.name} | {each.seconds} | {each.runs} | {each.fault_count} |" for each in outcomes]
    return "\n".join(["| reader | seconds | runs | faults |", "|---|---|---|---|", *rows])


def fuzz(name: str, seconds: int, corpus: Path) -> int:
    """Fuzz one reader; does not return, as atheris ends the process: status 0, or another at the first fault."""
    import atheris

    kind = READERS[name]
    with atheris.instrument_imports(include=list(WATCHED)):
        for module in MODULES[name]:
            importlib.import_module(module)
    for number, seed in enumerate(kind.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    folder = Path(tempfile.mkdtemp(prefix="medseg-fuzz-"))
    (folder / "in").mkdir()
    path = folder / "in" / kind.name

    def once(data):
        path.write_bytes(data)
        try:
            kind.read(path)
        except Exception as error:
            if not hasattr(error, "exit_status") or "\n" in str(error):
                raise

    def mutated(data, most, seed):
        if seed % 2:
            with contextlib.suppress(Exception):  # what the fuzzer made of it before may be no such file any more
                return kind.mutate(bytes(data), random.Random(seed))[:most]
        return atheris.Mutate(data, len(data))

    dictionary = folder / "words"
    dictionary.write_text("".join(f'"{word}"\n' for word in WORDS))
    options = [
        f"-max_total_time={seconds}", f"-rss_limit_mb={MEGABYTES}", f"-timeout={SECONDS_A_FILE}",
        f"-dict={dictionary}", f"-max_len={MAX_BYTES}", f"-artifact_prefix={corpus}/", "-print_final_stats=1",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(corpus)], once, custom_mutator=mutated)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
