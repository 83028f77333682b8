"""What the names of channels say of the modality, as nnU-Net's ``channel_names`` do."""

import re
from collections.abc import Sequence

_CT = re.compile(r"(cb)?ct( .*)?")
_MR = re.compile(r"c?mri?|fmri|t[12](?!\d)\w*|pdw?|flair|adc|dwi|swi|dce|b?ssfp|cine")


def is_ct(channel: str) -> bool:
    """Whether a channel is called by a name of computed tomography, whose intensities have a unit."""
    return _CT.fullmatch(channel.lower()) is not None


def is_mr(channels: Sequence[str]) -> bool:
    """Whether every channel is called by a name of magnetic resonance: MRI, T1w, FLAIR, cine MRI, ..."""
    return bool(channels) and all(
        any(_MR.fullmatch(word) for word in re.split(r"[^a-z0-9]+", channel.lower())) for channel in channels
    )
