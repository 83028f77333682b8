"""An int8 artifact that loses too much is tried again with its worst layers in float, where the user allows that."""

from collections.abc import Callable, Iterator, Sequence

from export.errors import FidelityError, FormatError
from export.formats import find_format
from export.layers import spell
from imaging import record
from imaging.errors import UsageError

WORST = 5


def check_allowed(formats: Sequence[str], allow_float: int) -> None:
    """Require that float layers are allowed only where there is an int8 format.

    Raises:
        UsageError: for a negative number.
        FormatError: if no format is int8.
    """
    if allow_float < 0:
        raise UsageError(f"allow-float {allow_float}: accepted is a number of layers, 0 or more")
    if allow_float and not any(find_format(name).activations == "int8" for name in formats):
        raise FormatError(f"allow-float: holds for int8 formats, not for {', '.join(formats)}; leave it out")


def attempt(make: Callable, method: str, allow_float: int, tell: Callable[[str], None] = print):
    """Convert and verify, at first all in int8, then with 1, 2, 4, ... and at last ``allow_float`` layers in float.

    Args:
        make: from a calibration method and a number of float layers to the converted model and a function that
            verifies and writes it.
        method: calibration method.
        allow_float: number of float layers that is not exceeded; 0 tries once.
        tell: takes a line of progress.

    Returns:
        What the writing function returns.

    Raises:
        FidelityError: if the last attempt loses too much.
    """
    counts = list(_counts(allow_float))
    for floats in counts:
        converted, write = make(method, floats)
        what, method = converted.format.name, converted.method or method
        if floats:
            names = ", ".join(spell(name) for name in converted.float_layers)
            tell(f"{what}: {len(converted.float_layers)} layers stay float: {names}")
        if len(converted.agreement) > 1:
            tried = ", ".join(f"{name} {share:.4%}" for name, share in converted.agreement.items())
            tell(f"{what}: calibrated by {method}; calibration voxels that keep their class: {tried}")
        try:
            return write()
        except FidelityError as error:
            if floats == counts[-1]:
                raise
            tell(f"{error}; trying with layers in float, as allowed")


def _counts(allow_float) -> Iterator[int]:
    yield 0
    count = 1
    while count < allow_float:
        yield count
        count *= 2
    if allow_float:
        yield allow_float


def describe(converted) -> dict:
    """What the manifest says of how an int8 model came about; nothing for others."""
    if not converted.method:
        return {}
    return {
        "weights": converted.weights,
        "calibration_method": converted.method,
        "calibration_agreement": converted.agreement,
        "layer_errors": [record.to_dict(error) for error in converted.layer_errors[:WORST]],
        "float_layers": list(converted.float_layers),
    }
