"""Groups of tensors that one run of a network fills."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from export.quantize.tensor_batches import BUDGET, PASSES, tensor_groups


@given(st.lists(st.integers(1, 4 * BUDGET), max_size=80))
def test_groups_keep_the_order_and_the_budget(sizes):
    sizes = dict(enumerate(sizes))
    groups = tensor_groups(sizes)
    assert list(itertools.chain(*groups)) == list(sizes)
    assert all(groups)
    budget = max(BUDGET, sum(sizes.values()) / PASSES + 1)
    assert all(len(group) == 1 or sum(sizes[key] for key in group) <= budget for group in groups)
    # No group could have taken the tensor after it, so that large networks are not run for small groups.
    assert all(sum(sizes[key] for key in (*a, b[0])) > budget - 1 for a, b in itertools.pairwise(groups))
