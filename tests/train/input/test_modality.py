"""What channels' names say of the modality."""

import pytest

from train.input.modality import is_ct, is_mr


@pytest.mark.parametrize(
    ("name", "ct"),
    [("CT", True), ("cbct", True), ("CT abdomen", True), ("CTA", False), ("octet", False), ("MRI", False)],
)
def test_computed_tomography(name, ct):
    assert is_ct(name) is ct


def test_magnetic_resonance():
    assert is_mr(["T1w", "t1ce", "FLAIR"])
    assert not is_mr([])
    assert not is_mr(["MRI", "CT"])
