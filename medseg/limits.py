"""How much a file from a stranger may ask for; checked from its header, before memory is taken."""

import os

from medseg.byte_sizes import parse_size, spell_size
from medseg.errors import InputError, UsageError

VARIABLE = "MEDSEG_MAX_BYTES"
DEFAULT_BYTES = 2 * 2**30


def max_bytes() -> int:
    """The most bytes that one scan, picture, model or record may take once it is unpacked.

    Returns:
        The size in the environment variable ``MEDSEG_MAX_BYTES`` ("512MB", "8GB"), 2 GB where it is not set.

    Raises:
        UsageError: if the variable holds no size.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return DEFAULT_BYTES
    try:
        return parse_size(text)
    except UsageError as error:
        raise UsageError(f"{VARIABLE}: {error}") from None


def check_bytes(name, needed: int, purpose: str) -> None:
    """Refuse what would take more memory than the limit.

    Args:
        name: the file or argument, for the message.
        needed: bytes that it would take.
        purpose: what takes them, for example "its voxels" or "the prepared scan".

    Raises:
        InputError: if ``needed`` is more than ``max_bytes()``.
    """
    limit = max_bytes()
    if needed > limit:
        raise InputError(
            f"{name}: {purpose} would take {spell_size(needed)}, expected at most {spell_size(limit)}; "
            f"if the file can be trusted, raise the limit: {VARIABLE}={-(-min(needed, 2**90) // 2**30)}GB"
        )
