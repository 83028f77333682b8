"""Mutated files of every format are read or refused in one line, and the count notices what is not."""

from dataclasses import replace

import fuzz_files
import pytest

from medseg.errors import InputError

INPUTS = 250


@pytest.mark.parametrize("name", fuzz_files.FORMATS)
def test_seeds_are_valid(tmp_path, name):
    kind = fuzz_files.FORMATS[name]
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
