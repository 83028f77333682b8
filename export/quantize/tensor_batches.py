"""Which tensors within a network are read in one run of it."""

import math

BUDGET = 96 * 2**20
PASSES = 8  # a run of a large network costs more than the memory that fewer of them take


def tensor_groups(sizes: dict) -> list[list]:
    """Tensors in groups of 96 MB, or an eighth of all if that is more, in their order.

    Args:
        sizes: bytes by tensor.

    Returns:
        Groups of keys of ``sizes``, none of them empty; a tensor that is larger than a group is alone in it.
    """
    budget = max(BUDGET, math.ceil(sum(sizes.values()) / PASSES))
    groups, filled = [], math.inf
    for key, size in sizes.items():
        if filled + size > budget:
            groups.append([])
            filled = 0
        groups[-1].append(key)
        filled += size
    return groups
