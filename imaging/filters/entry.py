"""What is known of a filter, as data; nothing heavy is imported."""

from dataclasses import dataclass

from imaging.parameters import Parameter
from medseg.command import command_line
from medseg.errors import UsageError
from medseg.untrusted import shown

MOST_NUMBERS = 4096  # of a parameter that is a list


@dataclass(frozen=True)
class Filter:
    """A filter.

    Attributes:
        name: what it is called in recipes and on the command line.
        family: the module of ``imaging.filters`` that holds the function of its name.
        summary: what it does, in one line.
        use: what it is for.
        wraps: the function of a library that does the work.
        parameters: in order.
        ranks: spatial axes that it takes.
        whole_scan: its function takes and gives a Scan; others one channel (*spatial) and its voxel size.
        moves: the result lies on another grid than the scan.
        package: of what it wraps, if an extra brings it.
        paper: where it was published.
    """

    name: str
    family: str
    summary: str
    use: str
    wraps: str
    parameters: tuple[Parameter, ...] = ()
    ranks: tuple[int, ...] = (2, 3)
    whole_scan: bool = False
    moves: bool = False
    package: str = ""
    paper: str = ""

    @property
    def learns(self) -> bool:
        """Whether planning has to learn parameters from the training cases."""
        return any(parameter.learnt for parameter in self.parameters)

    def complete(self, given: dict, learnt: bool = True) -> dict:
        """All parameters: those given, checked, and the defaults of the others.

        Args:
            given: parameter name to value.
            learnt: whether those that are learnt must be there.

        Raises:
            UsageError: for an unknown parameter, one out of range or one that is missing.
        """
        where = f"filter {self.name}"
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                expected = ", ".join(known) or "none"
                raise UsageError(f"{where}: unknown parameter {shown(name)}; expected {expected}")
        values = {}
        for name, parameter in known.items():
            value = given.get(name, parameter.default)
            if value is None:
                if learnt or not parameter.learnt:
                    raise UsageError(f"{where}: {name} is missing; {_missing(parameter)}")
                continue
            if learnt and parameter.learnt and isinstance(value, str):
                stored_by = command_line("zoo plan --filter", f"{self.name}={name}:FILE")
                raise UsageError(f"{where}: {name} {shown(value)}, expected what {stored_by} stores")
            values[name] = parameter.checked(value, where)
        return values


def _missing(parameter):
    return "zoo plan learns it from the training cases" if parameter.learnt else f"expected {parameter.range()}"
