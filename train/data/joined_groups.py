"""Groups of cases that turn out to be of one patient: joined by what files say or show, not by their names."""

from collections.abc import Iterable, Sequence


def joined(groups: Sequence[str], pairs: Iterable[tuple[int, int]]) -> tuple[str, ...]:
    """Groups with those of each pair of cases made one; it is called as the first of them.

    Args:
        groups: of each case.
        pairs: positions of two cases of one patient.
    """
    head = {group: group for group in groups}

    def first(group):
        while head[group] != group:
            group = head[group]
        return group

    places = {group: number for number, group in reversed(list(enumerate(groups)))}
    for a, b in pairs:
        one, other = sorted((first(groups[a]), first(groups[b])), key=places.get)
        head[other] = one
    return tuple(first(group) for group in groups)


def of_equal_keys(keys: Sequence) -> list[tuple[int, int]]:
    """Pairs of the positions of equal keys, each with the first that has it; None is no key."""
    seen: dict = {}
    return [(seen.setdefault(key, place), place) for place, key in enumerate(keys) if key is not None]
