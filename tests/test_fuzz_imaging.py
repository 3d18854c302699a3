"""Damaged files of every form that is read: told by name, harmless, or such as nothing can tell."""

from __future__ import annotations

from collections import Counter

import pytest
from faults import watch
from faults.fuzz import FAULTS


@pytest.mark.parametrize(
    ("seed", "mutations"),
    [(1, 2_000), pytest.param(2, 50_000, marks=pytest.mark.slow)],
    ids=["2000", "50000"],
)
def test_damage_never_gives_wrong_slices_without_a_word(seed, mutations):
    """Nor a crash, 2 s of work, 1 GB, an unexpected error or a message without a next step.

    What is true stands in the undamaged file; what no reader could tell, in `faults.undetectable`.
    """
    found = list(watch.watched(seed, range(mutations)))
    broken = [one for one in found if one.outcome in FAULTS]
    assert not broken, "\n".join([watch.table(found), *map(str, broken)])
    assert [one.number for one in found] == list(range(mutations))
    counts = Counter(one.outcome for one in found)
    assert min(counts[told] for told in ("identical", "warned", "refused")) > 0
