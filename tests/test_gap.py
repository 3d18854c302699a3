"""The gap between the protocols, on patients few enough to count by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcc_utils.evaluation.gap import COLUMNS, gap
from hcc_utils.study.scores import Scores

LEAK_FREE = (0.9, 0.4, 0.5, 0.1)
AS_PUBLISHED = (0.9, 0.8, 0.5, 0.1)


def scores(
    protocol: str,
    risk: tuple[float, ...],
    *,
    event: tuple[bool, ...] = (True, True, False, False),
    names: str = "abcd",
) -> Scores:
    patients = pd.DataFrame({"patient_id": list(names), "centre": "c", "aggressive_pd": event})
    origin = {"leak_free": "external", "as_published": "tuned"}[protocol]
    return Scores.of(patients, model="d", origin=origin, protocol=protocol, score=risk, risk=risk)


def test_a_gap_counted_by_hand():
    """Of four pairs the leak-free risks rank three right, the tuned ones all."""
    table = gap(scores("leak_free", LEAK_FREE) + scores("as_published", AS_PUBLISHED))
    assert list(table.columns) == list(COLUMNS)
    (row,) = table.itertuples()
    assert (row.leak_free, row.as_published, row.difference) == (0.75, 1.0, 0.25)
    assert (row.leak_free_origin, row.as_published_origin) == ("external", "tuned")
    assert (row.n, row.events) == (4, 2)
    assert row.note == "too_few_events; tuned_no_headline"


def test_patients_are_paired_by_name_not_by_row():
    turned = scores("as_published", AS_PUBLISHED[::-1], event=(False, False, True, True),
                    names="dcba")  # fmt: skip
    straight = gap(scores("leak_free", LEAK_FREE) + scores("as_published", AS_PUBLISHED))
    pd.testing.assert_frame_equal(gap(scores("leak_free", LEAK_FREE) + turned), straight)


def test_who_has_one_score_only_is_left_aside():
    """Without b both risks rank all: nothing is between them."""
    less = scores("as_published", (0.9, 0.5, 0.1), event=(True, False, False), names="acd")
    (row,) = gap(scores("leak_free", LEAK_FREE) + less).itertuples()
    assert (row.n, row.leak_free, row.as_published, row.difference) == (3, 1.0, 1.0, 0.0)


def test_one_outcome_alone_has_no_gap():
    event = (False, False, False, False)
    both = [scores("leak_free", LEAK_FREE, event=event),
            scores("as_published", AS_PUBLISHED, event=event)]  # fmt: skip
    (row,) = gap(both[0] + both[1]).itertuples()
    assert np.isnan([row.leak_free, row.as_published, row.difference]).all()
    assert "one_class" in row.note


@pytest.mark.parametrize("protocol", ["leak_free", "as_published"])
def test_a_protocol_alone_has_no_row(protocol):
    assert gap(scores(protocol, LEAK_FREE)).empty
