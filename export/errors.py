"""Errors of the export."""

from medseg.errors import InputError, UsageError


class PrecisionError(InputError):
    """An artifact does not have the precision that was asked for."""


class FidelityError(InputError):
    """An artifact is not as accurate as the network that it was made from."""


class UnjudgedError(InputError):
    """Nothing can be said of an artifact: its network or the labels give no measure. Another conversion is no help."""


class FormatError(UsageError):
    """A format name that does not exist, or that a network cannot have."""
