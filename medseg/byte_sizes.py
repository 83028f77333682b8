"""Sizes of memory as people write and read them."""

import math
import re

from medseg.errors import UsageError

# Memories are sold in powers of two.
UNITS = {"": 1, "b": 1, "bytes": 1, "kb": 2**10, "kib": 2**10, "mb": 2**20, "mib": 2**20, "gb": 2**30, "gib": 2**30}


def parse_size(text: str) -> int:
    """Bytes from "262144", "256KB" or "1.5 MB"; KB and MB are 1024 and 1024² bytes, as memories are sold.

    Raises:
        UsageError: for anything else.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    if match is None or match[2] not in UNITS or float(match[1]) * UNITS[match[2]] < 1:
        raise UsageError(f"memory {text!r}: expected bytes, or a number with KB or MB, for example 256KB or 1.5MB")
    return int(float(match[1]) * UNITS[match[2]])


def spell_size(size: int) -> str:
    """Bytes for people: "812 KB", "4.35 MB", "50.00 GB" (of 1024, 1024² and 1024³ bytes)."""
    if size >= 2**90:  # also what no float holds
        return f"more than {2**60} GB"
    if size >= 2**30:
        return f"{size / 2**30:.2f} GB"
    return f"{size / 2**20:.2f} MB" if size >= 2**20 else f"{math.ceil(size / 2**10)} KB"
