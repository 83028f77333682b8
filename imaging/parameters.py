"""A parameter of a filter or a method, as data: what it takes, checked alike from Python, a plan and a command line."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from medseg.errors import UsageError, expected_one_of
from medseg.untrusted import shown


@dataclass(frozen=True)
class Parameter:
    """A parameter of a filter or a method.

    Attributes:
        name: its keyword; ends in its unit where it has one (``_mm``, ``_mm3``).
        default: what counts where it is left out: a whole number where the parameter takes only such, a bool for a
            switch; None where it is learnt or must be given.
        low, high: smallest and largest value of a number.
        choices: the words that it takes; then it is no number.
        many: it takes a list of numbers, one an axis, "1x1x2" on the command line.
        learnt: planning finds it in the training cases; "file" where the user names a file that is taken in.
        tune: values that ``zoo evaluate --tune`` tries; none where tuning leaves it alone.
        help: what it does.
    """

    name: str
    default: bool | float | int | str | tuple | None
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    many: bool = False
    learnt: bool = False
    tune: tuple = ()
    help: str = ""

    @property
    def whole(self) -> bool:
        """Whether it takes whole numbers only."""
        return isinstance(self.default, int) and not isinstance(self.default, bool)

    def checked(self, value, where: str):
        """``value`` as the function takes it: a number, a word, true or false, or a tuple of numbers.

        Raises:
            UsageError: if it is none that the parameter takes.
        """
        if self.learnt:
            return value  # the family that learnt it checks it
        if isinstance(self.default, bool):
            if not isinstance(value, bool):
                raise UsageError(f"{where}: {self.name} {shown(value)}, expected {self.range()}")
            return value
        if self.choices:
            if value not in self.choices:
                raise UsageError(f"{where}: {self.name} {shown(value)}, expected {' or '.join(self.choices)}")
            return value
        if self.many and isinstance(value, list | tuple):
            if not 1 <= len(value) <= 3:
                raise UsageError(f"{where}: {self.name} {shown(value)}, expected one number, or one for each axis")
            return tuple(self._number(number, where) for number in value)
        return self._number(value, where)

    def read(self, text: str, where: str):
        """The value in a text of the command line.

        Raises:
            UsageError: as ``checked`` does.
        """
        if self.choices or self.learnt:
            return self.checked(text, where)
        if isinstance(self.default, bool):
            return self.checked({"true": True, "false": False}.get(text.lower(), text), where)
        try:
            numbers = [float(part) for part in text.lower().split("x")]
        except ValueError:
            numbers = []
        if not numbers or (len(numbers) > 1 and not self.many):
            raise UsageError(f"{where}: {self.name} {shown(text)}, expected {self.range()}")
        return self.checked(numbers if len(numbers) > 1 else numbers[0], where)

    def range(self) -> str:
        """What it takes, for messages and tables."""
        if self.learnt:
            return "learnt from the training cases"
        if self.choices:
            return " or ".join(self.choices)
        if isinstance(self.default, bool):
            return "true or false"
        kind = "a whole number" if self.whole else "a number"
        bounds = f" from {self.low:g} to {self.high:g}"
        return kind + bounds + (", or one an axis" if self.many else "")

    def _number(self, value, where):
        number = isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf
        if not number or not self.low <= value <= self.high or (self.whole and value != int(value)):
            raise UsageError(f"{where}: {self.name} {shown(value)}, expected {self.range()}")
        return int(value) if self.whole else float(value)


_Entry = TypeVar("_Entry")


def find_entry(kind: str, name: str, entries: Mapping[str, _Entry]) -> _Entry:
    """The filter or method called ``name``.

    Args:
        kind: "filter" or "method", for messages.
        name: it may come from a stranger's file and be no text.
        entries: all there are, by name.

    Raises:
        UsageError: for an unknown name, with the nearest and all that there are.
    """
    if not isinstance(name, str) or name not in entries:
        raise UsageError(f"{kind} {shown(name)}: unknown; {expected_one_of(str(name), entries)}")
    return entries[name]
