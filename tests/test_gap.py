"""The gap between the protocols, on patients few enough to count by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcc_utils.evaluation.gap import COLUMNS, METRICS, gap
from hcc_utils.study.scores import Scores

LEAK_FREE = (0.9, 0.4, 0.5, 0.1)
AS_PUBLISHED = (0.9, 0.8, 0.5, 0.1)


CUTS = {"leak_free": {"d": 0.5}, "as_published": {"d": 0.8}}
ORIGINS = {"leak_free": "external", "as_published": "tuned"}


def scores(
    protocol: str,
    risk: tuple[float, ...],
    *,
    event: tuple[bool, ...] = (True, True, False, False),
    names: str = "abcd",
    model: str = "d",
    origin: str = "",
) -> Scores:
    patients = pd.DataFrame({"patient_id": list(names), "centre": "c", "aggressive_pd": event})
    origin = origin or ORIGINS[protocol]
    return Scores.of(patients, model=model, origin=origin, protocol=protocol, score=risk, risk=risk)


BOTH = scores("leak_free", LEAK_FREE) + scores("as_published", AS_PUBLISHED)


def figures(table: pd.DataFrame, model: str = "d", comparator: str = "") -> pd.DataFrame:
    """One model's rows, or one pair's, by metric."""
    rows = table[(table["model"] == model) & (table["comparator"] == comparator)]
    return rows.set_index("metric")


def test_a_gap_counted_by_hand():
    """Of four pairs the leak-free risks rank three right, the tuned ones all."""
    table = gap(BOTH)
    assert list(table.columns) == list(COLUMNS)
    row = figures(table).loc["auc"]
    assert (row["leak_free"], row["as_published"], row["difference"]) == (0.75, 1.0, 0.25)
    assert (row["leak_free_origin"], row["as_published_origin"]) == ("external", "tuned")
    assert (row["n"], row["events"]) == (4, 2)
    assert row["note"] == "too_few_events; tuned_no_headline"


def test_every_headline_figure_has_a_row():
    found = figures(gap(BOTH, CUTS))
    assert found.index.tolist() == [m for m in METRICS if m not in ("auc_difference", "nri", "idi")]
    assert not {"sensitivity", "specificity", "net_benefit"} & set(figures(gap(BOTH)).index)


def test_sensitivity_and_specificity_stand_at_each_protocol_s_own_cut():
    """
    From .5 up: a of a and b, and c of c and d. From .8 up: a and b, and neither c nor d.

    Of the events a gains 0 and b 1: .5 with SD .7071, so .5 -+ 1.96 x .7071 / root 2.
    """
    found = figures(gap(BOTH, CUTS))
    for metric in ("sensitivity", "specificity"):
        row = found.loc[metric]
        assert (row["leak_free_threshold"], row["as_published_threshold"]) == (0.5, 0.8)
        assert (row["leak_free"], row["as_published"], row["difference"]) == (0.5, 1.0, 0.5)
        assert row["difference_low"] == pytest.approx(0.5 - 1.959964 * 0.5, abs=1e-6)
        assert row["difference_high"] == pytest.approx(0.5 + 1.959964 * 0.5, abs=1e-6)


def test_net_benefit_stands_at_one_cut_under_both():
    """At .5: (1 - 1) / 4 leak-free, (2 - 1) / 4 tuned; at its own .8 it would be 2 / 4."""
    row = figures(gap(BOTH, CUTS)).loc["net_benefit"]
    assert (row["leak_free_threshold"], row["as_published_threshold"]) == (0.5, 0.5)
    assert (row["leak_free"], row["as_published"], row["difference"]) == (0.0, 0.25, 0.25)


def test_brier_by_hand():
    """b's error falls from .36 to .04: -.08 of four, the SD is .16: -.08 -+ 1.96 x .16 / 2."""
    row = figures(gap(BOTH)).loc["brier"]
    assert row["leak_free"] == pytest.approx(0.1575)
    ends = [row["difference"], row["difference_low"], row["difference_high"]]
    expected = [-0.08, -0.08 - 1.959964 * 0.08, -0.08 + 1.959964 * 0.08]
    assert ends == pytest.approx(expected, abs=1e-6)


def test_what_csd_adds_by_hand():
    """
    CSD over CS, whose risks are .5 throughout: the gains by patient are their distances from it.

    Leak-free .4, -.1, 0, .4: .15 + .2 (IDI) and (1 - 1) / 2 + (0 + 1) / 2 (NRI).
    Tuned .4, .3, 0, .4: .35 + .2 and 1 + .5. AUC .75 and 1 over one half.
    """
    csd = scores("leak_free", LEAK_FREE, model="csd")
    csd += scores("as_published", AS_PUBLISHED, model="csd")
    cs = scores("leak_free", (0.5,) * 4, model="cs")
    cs += scores("as_published", (0.5,) * 4, model="cs", origin="external")
    found = figures(gap(cs + csd), "csd", "cs")
    assert found.index.tolist() == ["auc_difference", "nri", "idi"]
    leak_free, published, more = (found[c] for c in ("leak_free", "as_published", "difference"))
    assert leak_free.tolist() == pytest.approx([0.25, 0.5, 0.35])
    assert published.tolist() == pytest.approx([0.5, 1.5, 0.55])
    assert more.tolist() == pytest.approx([0.25, 1.0, 0.2])
    assert set(found["as_published_origin"]) == {"tuned"}


def test_what_cs_has_over_nothing_and_d_over_cs_is_no_headline():
    cs = scores("leak_free", LEAK_FREE, model="cs")
    cs += scores("as_published", AS_PUBLISHED, model="cs", origin="external")
    assert set(gap(cs + BOTH)["comparator"]) == {""}


def test_stacked_scores_are_not_held_against_out_of_fold_ones():
    """The published side compares them; the leak-free one is left empty, and says so."""
    csd = scores("leak_free", LEAK_FREE, model="csd", origin="stacked")
    csd += scores("as_published", AS_PUBLISHED, model="csd", origin="apparent")
    d = scores("leak_free", LEAK_FREE, origin="out_of_fold")
    d += scores("as_published", LEAK_FREE, origin="apparent")
    row = figures(gap(d + csd), "csd", "d").loc["auc_difference"]
    assert row["as_published"] == 0.25
    assert np.isnan([row["leak_free"], row["difference"], row["difference_low"]]).all()
    assert row["note"].endswith("leak_free_not_compared")


def test_hosmer_and_lemeshow_are_the_paper_s_alone():
    row = figures(gap(BOTH)).loc["hosmer_lemeshow"]
    assert np.isfinite(row["as_published"])
    assert np.isnan([row["leak_free"], row["difference"]]).all()


@pytest.mark.parametrize(
    ("model", "origin", "metric", "choices"),
    [
        ("cs", "external", "auc", "complete_cases"),
        ("cs", "apparent", "brier", "complete_cases; judged_on_the_fit"),
        ("d", "tuned", "auc", "noisy_copies; epoch_chosen_on_them"),
        ("d", "tuned", "brier", "noisy_copies; epoch_chosen_on_them; score_taken_as_risk"),
        ("csd", "tuned", "auc", "fitted_on_apparent_scores; epoch_chosen_on_them"),
        (
            "csd",
            "apparent",
            "sensitivity",
            "fitted_on_apparent_scores; judged_on_the_fit; threshold_from_the_fit",
        ),
    ],
)
def test_each_figure_names_what_was_chosen_otherwise(model, origin, metric, choices):
    """By the table of the two protocols."""
    both = scores("leak_free", LEAK_FREE, model=model)
    both += scores("as_published", AS_PUBLISHED, model=model, origin=origin)
    cuts = {"leak_free": {model: 0.5}, "as_published": {model: 0.8}}
    assert figures(gap(both, cuts), model).loc[metric, "choices"] == choices


def test_patients_are_paired_by_name_not_by_row():
    turned = scores("as_published", AS_PUBLISHED[::-1], event=(False, False, True, True),
                    names="dcba")  # fmt: skip
    straight = gap(BOTH, CUTS)
    again = gap(scores("leak_free", LEAK_FREE) + turned, CUTS)
    pd.testing.assert_frame_equal(again, straight)


def test_who_has_one_score_only_is_left_aside():
    """Without b both risks rank all: nothing is between them."""
    less = scores("as_published", (0.9, 0.5, 0.1), event=(True, False, False), names="acd")
    row = figures(gap(scores("leak_free", LEAK_FREE) + less)).loc["auc"]
    assert (row["n"], row["leak_free"], row["as_published"], row["difference"]) == (3, 1.0, 1.0, 0)


def test_one_outcome_alone_has_no_gap():
    event = (False, False, False, False)
    table = gap(
        scores("leak_free", LEAK_FREE, event=event)
        + scores("as_published", AS_PUBLISHED, event=event),
        CUTS,
    )
    assert table[["leak_free", "as_published", "difference"]].isna().all(axis=None)
    assert table["note"].str.contains("one_class").all()
    assert len(table) == 8


@pytest.mark.parametrize("protocol", ["leak_free", "as_published"])
def test_a_protocol_alone_has_no_row(protocol):
    assert gap(scores(protocol, LEAK_FREE), CUTS).empty
