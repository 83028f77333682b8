"""Names of a package that are loaded when first used, so that importing the package costs next to nothing."""

import importlib
from collections.abc import Callable, Mapping, Sequence


def lazy_names(
    package: str, places: Mapping[str, str], modules: Sequence[str] = ()
) -> tuple[Callable, Callable[[], list[str]], list[str]]:
    """The functions that Python asks a package for its names (PEP 562), and the list of these.

    Args:
        package: ``__name__`` of the package.
        places: each name to the module that has it, below the package, or from "medseg." on.
        modules: modules of the package that are names of it too.

    Returns:
        Its ``__getattr__``, ``__dir__`` and ``__all__``.

    Example:
        >>> __getattr__, __dir__, __all__ = lazy_names(__name__, {"Plan": "planning.plan"})
    """
    names = sorted([*places, *modules])

    def load(name: str):
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(names)}")
        place = places[name]
        return getattr(importlib.import_module(place if place.startswith("medseg.") else f"{package}.{place}"), name)

    return load, lambda: names, names
