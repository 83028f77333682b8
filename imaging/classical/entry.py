"""What is known of a method, as data; nothing heavy is imported."""

import math
from dataclasses import dataclass

from medseg.errors import UsageError
from medseg.untrusted import shown


@dataclass(frozen=True)
class Parameter:
    """A parameter of a method.

    Attributes:
        name: its keyword; ends in its unit where it has one (``_mm``, ``_mm3``).
        default: what counts where it is left out; its type (bool, int, float or str) is the parameter's.
        low, high: smallest and largest value of a number.
        choices: the words that it takes, of a str.
        tune: values that ``zoo evaluate --tune`` tries; none where tuning leaves it alone.
        help: what it does.
    """

    name: str
    default: bool | int | float | str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    tune: tuple = ()
    help: str = ""

    def checked(self, value, where: str):
        """``value`` in the parameter's type.

        Raises:
            UsageError: if it is none that the parameter takes.
        """
        kind = type(self.default)
        if kind is str and value in self.choices:
            return value
        if kind is bool and isinstance(value, bool):
            return value
        if kind in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
            whole = math.isfinite(value) and (kind is float or value == int(value))
            if whole and self.low <= value <= self.high:
                return kind(value)
        raise UsageError(f"{where}: {self.name} {shown(value)}, expected {self.range()}")

    def read(self, text: str, where: str):
        """The value in a text of the command line.

        Raises:
            UsageError: as ``checked`` does.
        """
        kind = type(self.default)
        if kind is str:
            return self.checked(text, where)
        if kind is bool:
            return self.checked({"true": True, "false": False}.get(text.lower(), text), where)
        try:
            return self.checked(float(text), where)
        except ValueError as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"{where}: {self.name} {shown(text)}, expected {self.range()}") from None

    def range(self) -> str:
        """What it takes, for messages and tables."""
        if self.choices:
            return " or ".join(self.choices)
        if isinstance(self.default, bool):
            return "true or false"
        return f"{'a whole number' if isinstance(self.default, int) else 'a number'} from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Method:
    """A method of segmentation.

    Attributes:
        name: what it is called.
        function: "module:function" in ``imaging.classical``, imported when the method runs.
        summary: what it does, in one line.
        wraps: the function that does the work.
        parameters: in order.
        ranks: spatial axes that it takes.
        seeds: "none", "needed" (strokes of label values), or "optional".
        atlases: whether it needs labelled scans.
        classes: whether it writes several classes by itself; others write 1, or the label values of their seeds.
        packages: of the library that an extra brings.
        paper: where it was published.
    """

    name: str
    function: str
    summary: str
    wraps: str
    parameters: tuple[Parameter, ...] = ()
    ranks: tuple[int, ...] = (2, 3)
    seeds: str = "none"
    atlases: bool = False
    classes: bool = False
    packages: tuple[str, ...] = ()
    paper: str = ""

    def complete(self, given: dict) -> dict:
        """All parameters: those given, checked, and the defaults of the others.

        Raises:
            UsageError: for an unknown parameter, or one out of range.
        """
        where = f"method {self.name}"
        known = {parameter.name: parameter for parameter in self.parameters}
        unknown = [name for name in given if name not in known]
        if unknown:
            raise UsageError(f"{where}: unknown parameter {shown(unknown[0])}; expected {', '.join(known) or 'none'}")
        return {name: parameter.checked(given.get(name, parameter.default), where) for name, parameter in known.items()}

    def read(self, texts) -> dict:
        """Parameters from ``name=value`` texts of a command line.

        Raises:
            UsageError: for a text of another form, a name given twice, or as ``complete`` does.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        values = {}
        for text in texts:
            name, equals, value = text.partition("=")
            if not equals:
                raise UsageError(f"--param {shown(text)}: expected NAME=VALUE")
            if name not in known:
                expected = ", ".join(known) or "none"
                raise UsageError(f"method {self.name}: unknown parameter {shown(name)}; expected {expected}")
            if name in values:
                raise UsageError(f"--param {name}: given twice; give it once")
            values[name] = known[name].read(value, f"method {self.name}")
        return values
