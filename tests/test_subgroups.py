"""Subgroups: the same figures in parts of the patients, and what tells two parts apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import logit
from test_comparison import LARGE, large, scores_of

from hcc_utils import checks
from hcc_utils.evaluation import comparison, discrimination, subgroups
from hcc_utils.presentation import figures, words
from hcc_utils.study.scores import Scores

N = len(LARGE["event"])
PATIENTS = pd.DataFrame(
    {
        "patient_id": [f"p{k}" for k in range(N)],
        "treatment": np.where(np.arange(N) % 3, "tace", "resection"),
        "bclc": np.resize(["0", "A", "AB", "B", None], N),
    }
)


def one(table, subgroup, metric, model="d"):
    chosen = table[["subgroup", "metric", "model"]] == [subgroup, metric, model]
    assert chosen.all(axis=1).sum() == 1
    return table[chosen.all(axis=1)].iloc[0]


def test_a_subgroups_figures_are_those_of_its_patients_alone():
    table = subgroups.subgroups(large(), PATIENTS)
    own = PATIENTS["patient_id"][PATIENTS["bclc"].isin(["AB", "B"])]
    rows = large().table
    alone = comparison.compare(Scores(rows[rows["patient_id"].isin(own)].reset_index(drop=True)))
    for metric in ("auc", "calibration_intercept", "calibration_slope", "observed_expected"):
        found = one(table, "bclc: moderate", metric)
        there = alone[(alone["metric"] == metric) & (alone["model"] == "d")].iloc[0]
        names = ["estimate", "low", "high", "n", "events"]
        assert found[names].tolist() == there[names].tolist()
    assert one(table, "bclc: moderate", "auc")["n"] == 132  # two of five among 332, each 66 times


def test_two_subgroups_differ_by_unpaired_delong():
    """`delong_unpaired` is held against pROC in test_equal_to_r.py."""
    table = subgroups.subgroups(large(), PATIENTS)
    event, risk = np.asarray(LARGE["event"], dtype=bool), np.asarray(LARGE["risk_b"])
    first = np.arange(N) % 3 == 0
    d = discrimination.delong_unpaired(event[first], risk[first], event[~first], risk[~first])
    row = one(table, "treatment: resection - tace", "auc_difference")
    assert row[["estimate", "low", "high", "p_value"]].tolist() == [
        d.difference, d.low, d.high, d.p_value,
    ]  # fmt: skip


def test_the_difference_of_slopes_is_the_interaction_of_one_logistic_model():
    table = subgroups.subgroups(large(), PATIENTS)
    event, line = np.asarray(LARGE["event"], dtype=float), logit(LARGE["risk_b"])
    resection = (np.arange(N) % 3 == 0).astype(float)
    design = np.column_stack([np.ones(N), line, resection, line * resection])
    fit = sm.GLM(event, design, family=sm.families.Binomial()).fit(tol=1e-13)
    row = one(table, "treatment: resection - tace", "slope_difference")
    assert row["estimate"] == pytest.approx(fit.params[3], rel=1e-7)
    assert row["p_value"] == pytest.approx(fit.pvalues[3], rel=1e-6)
    assert [row["low"], row["high"]] == pytest.approx(fit.conf_int()[3].tolist(), rel=1e-6)


def test_p_values_are_adjusted_for_all_that_the_table_tests():
    """Holm: the smallest of k p-values times k, the next times k - 1, never falling."""
    table = subgroups.subgroups(large(), PATIENTS)
    tested = table.dropna(subset="p_value").sort_values("p_value")
    assert len(tested) == 8  # two groupings, two models, AUC and slope
    by_hand = np.maximum.accumulate(tested["p_value"] * np.arange(8, 0, -1)).clip(upper=1)
    assert tested["p_value_holm"].tolist() == pytest.approx(by_hand.tolist(), rel=1e-12)
    assert table.loc[table["p_value"].isna(), "p_value_holm"].isna().all()


def test_few_events_in_one_subgroup_are_not_tested():
    draw = np.random.default_rng(1)
    event = np.arange(80) < 29
    risk = np.clip(draw.normal(0.4 + 0.1 * event, 0.15), 0.01, 0.99)
    known = pd.DataFrame({"patient_id": [f"p{k}" for k in range(80)]})
    known["treatment"] = np.where((np.arange(80) < 9) | (np.arange(80) >= 60), "resection", "tace")
    table = subgroups.subgroups(scores_of(risk, event=event), known)
    few = one(table, "treatment: resection - tace", "auc_difference", "cs")
    assert np.isnan(few["p_value"])
    assert few["low"] < few["estimate"] < few["high"]
    assert few["note"] == "too_few_events"
    assert (few["n"], few["events"]) == (80, 29)


def test_a_subgroup_of_one_outcome_has_no_figure():
    event = np.arange(40) < 20
    known = pd.DataFrame({"patient_id": [f"p{k}" for k in range(40)]})
    known["treatment"] = np.where(event, "resection", "tace")
    table = subgroups.subgroups(scores_of(np.linspace(0.1, 0.9, 40), event=event), known)
    assert table["estimate"].isna().all()
    assert set(table["note"]) == {"one_class"}


def test_one_subgroup_alone_is_held_against_nothing():
    known = PATIENTS.assign(treatment="tace")
    table = subgroups.subgroups(large(), known[["patient_id", "treatment"]])
    assert set(table["subgroup"]) == {"treatment: tace"}


def test_without_the_variables_there_are_no_subgroups():
    assert subgroups.subgroups(large(), PATIENTS[["patient_id"]]).empty


def test_stacked_scores_are_not_tested():
    table = subgroups.subgroups(large(origin="stacked"), PATIENTS)
    assert table["p_value"].isna().all()
    assert one(table, "treatment: resection - tace", "auc_difference")["estimate"] != 0


def test_a_scored_patient_must_be_known():
    with pytest.raises(checks.InputError, match=r"2 scored patient\(s\).*'p330'"):
        subgroups.subgroups(large(), PATIENTS.iloc[: N - 2])


def test_what_is_read_of_subgroups():
    table = subgroups.subgroups(large(), PATIENTS)
    shown = words.subgroups(table)
    assert shown.loc[("Initial treatment: TACE", "Model D"), "patients"] == "221"
    assert len(words.subgroup_differences(table)) == 8
    assert words.subgroups_verdict(table).startswith("8 difference(s) between subgroups were")
    figure = figures.forest(table[table["metric"] == "auc"])
    assert "BCLC stage: early · Model CS" in figure.layout.meta["alt"]


def test_where_nothing_can_be_parted_the_page_says_so():
    table = subgroups.subgroups(large(), PATIENTS[["patient_id"]])
    assert "neither treatments nor stages" in words.subgroups(table)._repr_html_()
    assert "no two subgroups" in words.subgroup_differences(table)._repr_html_()
    assert words.subgroups_verdict(table).startswith("No difference")
    assert figures.forest(table[table["metric"] == "auc"]).layout.meta["alt"]
