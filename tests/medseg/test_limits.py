import pytest

from medseg.errors import InputError, UsageError
from medseg.limits import check_bytes, max_bytes


def test_default_is_two_gigabytes(monkeypatch):
    monkeypatch.delenv("MEDSEG_MAX_BYTES", raising=False)
    assert max_bytes() == 2147483648


def test_variable_sets_the_limit(monkeypatch):
    monkeypatch.setenv("MEDSEG_MAX_BYTES", "3MB")
    assert max_bytes() == 3145728
    check_bytes("scan.nii", 3145728, "its voxels")
    with pytest.raises(InputError, match=r"scan\.nii: its voxels would take 3\.00 MB.*MEDSEG_MAX_BYTES=1GB"):
        check_bytes("scan.nii", 3145729, "its voxels")


def test_variable_that_is_no_size(monkeypatch):
    monkeypatch.setenv("MEDSEG_MAX_BYTES", "lots")
    with pytest.raises(UsageError, match="MEDSEG_MAX_BYTES: memory 'lots'"):
        max_bytes()
