"""Mutated files of every format are read or refused in one line, and the count notices what is not."""

from dataclasses import replace

import fuzz_coverage
import fuzz_files
import pytest
from fuzz_containers import CONTAINERS

from medseg.errors import InputError

INPUTS = 250
READERS = fuzz_files.FORMATS | CONTAINERS


@pytest.mark.parametrize("name", READERS)
def test_seeds_are_valid(tmp_path, name):
    kind = READERS[name]
    for content in kind.seeds():
        (tmp_path / kind.name).write_bytes(content)
        kind.read(tmp_path / kind.name)


@pytest.mark.parametrize("name", fuzz_files.FORMATS)
@pytest.mark.filterwarnings("ignore")
def test_a_corpus_of_mutated_files(tmp_path, name):
    count = fuzz_files.fuzz(fuzz_files.FORMATS[name], INPUTS, tmp_path, seed=1)
    assert count.escapes == []
    assert count.slow == 0
    assert count.read + count.refused == INPUTS
    assert count.refused > 0


@pytest.mark.parametrize("name", ["dicom", "keras", "npz"])
@pytest.mark.filterwarnings("ignore")
def test_a_corpus_of_mutated_containers(tmp_path, name):
    count = fuzz_files.fuzz(CONTAINERS[name], INPUTS, tmp_path, seed=1)
    assert count.escapes == []
    assert count.read > 0
    assert count.read + count.refused == INPUTS


def test_the_table_of_the_coverage_guided_runs():
    """Every reader has what atheris shall watch, and a process that ended badly is a fault also without a file."""
    assert fuzz_coverage.MODULES.keys() == fuzz_coverage.READERS.keys()
    said = "#2\tINITED\n#512\tpulse\nDone 700 runs in 3 second(s)\nstat::number_of_executed_units: 700\n"
    assert fuzz_coverage.counted(said) == 700
    assert fuzz_coverage.counted("#2\tINITED\n#512\tpulse cov: 9\n==1== ERROR: libFuzzer: deadly signal") == 512
    assert fuzz_coverage.counted("") == 0
    outcomes = [
        fuzz_coverage.Outcome("png", 300, 700, (), "", 0),
        fuzz_coverage.Outcome("npz", 300, 5, (), "", -9),
        fuzz_coverage.Outcome("gz", 300, 5, ("crash-a", "oom-b"), "", 77),
    ]
    rows = fuzz_coverage.table(outcomes).splitlines()[2:]
    assert rows == ["| png | 300 | 700 | 0 |", "| npz | 300 | 5 | 1 |", "| gz | 300 | 5 | 2 |"]


def test_what_escapes_is_counted_and_kept(tmp_path):
    def broken(path):
        content = path.read_bytes()
        if content[0] < 128:
            raise KeyError("unit code 77")
        if content[0] < 192:
            raise InputError("two\nlines")

    kind = replace(fuzz_files.FORMATS["nifti"], read=broken, mutate=lambda content, chance: chance.randbytes(8))
    (tmp_path / "in").mkdir()
    count = fuzz_files.fuzz(kind, 100, tmp_path / "in", keep=tmp_path / "kept")
    assert len(count.escapes) == 100 - count.read > 50
    assert any("KeyError" in line for line in count.escapes)
    assert any("several lines" in line for line in count.escapes)
    assert len(list((tmp_path / "kept").iterdir())) == len(count.escapes)
