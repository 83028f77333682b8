"""An int8 artifact that loses too much is tried again: with its channels equalised, then with layers in float.

The first attempt has the best calibration of those tried; quantization-aware fine-tuning, see
``export.verify.fine_tuning``, is what is left after the last.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from export.conversion.layer_errors import spell
from export.errors import FidelityError, FormatError, UnjudgedError
from export.formats import find_format
from medseg import record
from medseg.errors import UsageError

WORST = 5


def check_allowed(formats: Sequence[str], allow_float: int, equalise: bool | None = None) -> None:
    """Require that float layers are allowed, and equalisation is asked for, only where there is an int8 format.

    Raises:
        UsageError: for a negative number.
        FormatError: if no format is int8.
    """
    if allow_float < 0:
        raise UsageError(f"allow-float {allow_float}: expected a number of layers, 0 or more")
    for option, asked in (("allow-float", allow_float), ("equalise", equalise)):
        if asked and not any(find_format(name).activations == "int8" for name in formats):
            raise FormatError(f"{option}: holds for int8 formats, not for {', '.join(formats)}; leave it out")


def attempt(
    make: Callable,
    method: str,
    allow_float: int,
    tell: Callable[[str], None] = print,
    equalise: bool | None = False,
    ship_anyway: bool = False,
):
    """Convert and verify: all in int8; equalised; then with 1, 2, 4, ... and at last ``allow_float`` layers in float.

    Args:
        make: function of a calibration method, a number of float layers and whether to equalise. It returns the
            converted model, and a function that verifies and writes it, with ``anyway=True`` also what is refused.
        method: calibration method.
        allow_float: number of float layers that is not exceeded; 0 does without.
        tell: takes a line of progress.
        equalise: channels, see ``export.quantize.equalisation``: at once, never (False), or (None) where int8 without
            it loses too much. Layers become float in the network that agreed better with its calibration.
        ship_anyway: write the last attempt if all of them lose too much.

    Returns:
        What the writing function returns.

    Raises:
        FidelityError: if the last attempt loses too much and is not shipped anyway.
        UnjudgedError: if nothing can be said of the first, and it is not shipped anyway.
    """
    tries = [(0, bool(equalise)), *([(0, True)] if equalise is None else [])]
    tries += [(floats, None) for floats in _counts(allow_float)]
    kept, failed, write = None, None, None
    for place, (floats, equalised) in enumerate(tries, 1):
        arguments = (kept.method, floats, kept.equalised) if floats else (method, 0, equalised)
        converted, candidate = make(*arguments)
        format_name = converted.format.name
        if not floats:
            if equalised:
                tell(f"{format_name}: {_equalised(converted)}")
            made = _Int8Attempt(converted.method or method, equalised, max(converted.agreement.values(), default=0.0))
            if kept is not None and made.agreement <= kept.agreement:
                tell(
                    f"{format_name}: {made.agreement:.4%} of calibration voxels keep their class with it, "
                    "no more than without"
                )
                continue
            kept = made
        else:
            names = ", ".join(spell(name) for name in converted.float_layers)
            tell(f"{format_name}: {len(converted.float_layers)} layers stay float: {names}")
        if len(converted.agreement) > 1:
            tried = ", ".join(f"{name} {share:.4%}" for name, share in converted.agreement.items())
            tell(f"{format_name}: calibrated by {kept.method}; calibration voxels that keep their class: {tried}")
        write = candidate
        try:
            return write()
        except UnjudgedError:
            if ship_anyway:
                return write(anyway=True)
            raise
        except FidelityError as error:
            failed = error
            if place < len(tries):
                next_try = "layers in float, as allowed" if tries[place][0] else "channels equalised"
                tell(f"{error}; trying with {next_try}")
    if ship_anyway:
        return write(anyway=True)
    raise failed


@dataclass(frozen=True)
class _Int8Attempt:
    """What came of an attempt all in int8."""

    method: str
    equalised: bool
    agreement: float


def _equalised(converted) -> str:
    if not converted.equalised:
        return "no channel can be equalised"
    return f"{converted.equalised} channels equalised, by scales moved between layers"


def _counts(allow_float) -> Iterator[int]:
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
        **({"equalised": converted.equalised} if converted.equalised else {}),
        "calibration_method": converted.method,
        "calibration_agreement": converted.agreement,
        "layer_errors": [record.to_dict(error) for error in converted.layer_errors[:WORST]],
        "float_layers": list(converted.float_layers),
    }
