"""What is known of a method, as data; nothing heavy is imported."""

from dataclasses import dataclass

from imaging.parameters import Parameter
from medseg.errors import UsageError
from medseg.untrusted import shown


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
