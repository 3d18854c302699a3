"""The rows of metrics.csv: what they hold, whom they refuse, and what their notes say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from oracle_patients import DATA, R

from hcc_utils import checks
from hcc_utils.evaluation import comparison, discrimination
from hcc_utils.study import results
from hcc_utils.study.scores import Scores

LARGE = DATA["332"]


def scores_of(risk, model="cs", origin="external", event=None, protocol="leak_free"):
    """One model's scores of patients p0, p1, ... whose first half had the event."""
    event = np.arange(len(risk)) < len(risk) // 2 if event is None else event
    patients = pd.DataFrame(
        {
            "patient_id": [f"p{k}" for k in range(len(risk))],
            "centre": "c",
            "aggressive_pd": np.asarray(event, dtype=bool),
        }
    )
    return Scores.of(patients, model=model, origin=origin, score=risk, risk=risk, protocol=protocol)


def large(**origin):
    """The invented 332 patients of the oracle, `risk_a` as Model CS and `risk_b` as Model D."""
    cs = scores_of(LARGE["risk_a"], "cs", event=LARGE["event"], **origin)
    return cs + scores_of(LARGE["risk_b"], "d", event=LARGE["event"], **origin)


def small(events=12, n=40, **given):
    """Two models on overlapping risks, so many events among so many patients."""
    generator = np.random.default_rng(7)
    event = np.arange(n) < events
    cs, d = (np.clip(generator.normal(0.4 + 0.1 * event, 0.15), 0.01, 0.99) for _ in range(2))
    return scores_of(cs, "cs", event=event, **given) + scores_of(d, "d", event=event, **given)


def one(table, metric, model="d"):
    row = table[(table["metric"] == metric) & (table["model"] == model)]
    assert len(row) == 1
    return row.iloc[0]


def test_columns_are_those_of_metrics_csv():
    assert list(comparison.compare(small()).columns) == list(comparison.COLUMNS)


def test_rows_of_one_model_with_its_threshold():
    table = comparison.compare(small().only(model="cs"), {"cs": 0.4})
    assert table["metric"].tolist() == [
        "auc",
        "brier",
        "scaled_brier",
        "calibration_intercept",
        "calibration_slope",
        "observed_expected",
        "ici",
        "e50",
        "e90",
        "sensitivity",
        "specificity",
        "ppv",
        "npv",
        "net_benefit",
    ]


def test_differences_stand_in_the_order_of_evidence():
    both = small() + small(origin="out_of_fold")
    table = comparison.compare(both, {"cs": 0.3, "d": 0.4})
    assert table.loc[table["comparator"] != "", "metric"].tolist() == [
        *["auc_difference"] * 2,
        *["brier_difference", "scaled_brier_difference"] * 2,
        *["net_benefit_difference"] * 2,
        *["nri", "idi"] * 2,
    ]


def test_every_pair_is_compared_once():
    csd = scores_of(np.linspace(0.2, 0.8, 40), "csd", event=np.arange(40) < 12)
    table = comparison.compare(small() + csd)
    pairs = table.loc[table["metric"] == "auc_difference", ["model", "comparator"]]
    assert pairs.to_numpy().tolist() == [["d", "cs"], ["csd", "cs"], ["csd", "d"]]


def test_auc_has_the_logit_interval():
    row = one(comparison.compare(large()), "auc")
    ours = discrimination.auc(LARGE["event"], LARGE["risk_b"])
    assert (row["low"], row["high"]) == (ours.logit_low, ours.logit_high)
    assert row["estimate"] == pytest.approx(R["332"]["b"]["auc"], abs=1e-12)


def test_difference_is_model_less_comparator_as_proc():
    """pROC was given (cs, d), the row is d less cs: the signs turn."""
    row, theirs = one(comparison.compare(large()), "auc_difference"), R["332"]["paired"]
    assert row["p_value"] == pytest.approx(theirs["p_value"], abs=1e-12)
    assert [row["low"], row["high"]] == pytest.approx([-theirs["high"], -theirs["low"]], abs=1e-12)


def test_nri_and_idi_are_of_the_model_over_the_comparator():
    table, theirs = comparison.compare(large()), R["332"]["continuous"]
    assert one(table, "nri")["estimate"] == pytest.approx(theirs["nri"], abs=1e-12)
    assert one(table, "idi")["estimate"] == pytest.approx(theirs["idi"], abs=1e-12)


def test_brier_and_its_interval_by_hand():
    """Errors .04, .36, .16, .04: mean .15, sd .1510: .15 -+ 1.96 * .1510 / 2."""
    table = comparison.compare(scores_of([0.8, 0.4, 0.4, 0.2]))
    row = one(table, "brier", "cs")
    sd = np.sqrt((0.11**2 * 2 + 0.21**2 + 0.01**2) / 3)
    assert row["estimate"] == pytest.approx(0.15, abs=1e-15)
    assert row["low"] == pytest.approx(0.15 - 1.959964 * sd / 2, abs=1e-6)
    assert row["high"] == pytest.approx(0.15 + 1.959964 * sd / 2, abs=1e-6)


def test_scaled_brier_by_hand():
    """Errors as above, mean .15; the prevalence 1/2 alone has .25: 1 - .15 / .25 = .4."""
    table = comparison.compare(scores_of([0.8, 0.4, 0.4, 0.2]))
    assert one(table, "scaled_brier", "cs")["estimate"] == pytest.approx(0.4, abs=1e-12)


def test_the_scaled_brier_scores_interval_is_as_a_bootstraps():
    """2000 samples of the 332 patients, prevalence and all; ends differ by their own chance."""
    event, risk = LARGE["event"].to_numpy(), LARGE["risk_b"].to_numpy()
    drawn = np.random.default_rng(1).integers(332, size=(2000, 332))
    prevalence = event[drawn].mean(axis=1)
    error = ((risk - event) ** 2)[drawn].mean(axis=1)
    ends = np.quantile(1 - error / (prevalence * (1 - prevalence)), [0.025, 0.975])
    row = one(comparison.compare(large()), "scaled_brier")
    assert [row["low"], row["high"]] == pytest.approx(ends.tolist(), abs=0.02)


def test_brier_difference_is_negative_where_the_model_is_better():
    """CS errs by .25 each; D by .04, .36, .16, .04: .15 - .25, over .25 with the sign turned."""
    both = scores_of([0.5] * 4, "cs") + scores_of([0.8, 0.4, 0.4, 0.2], "d")
    table = comparison.compare(both)
    assert one(table, "brier_difference")["estimate"] == pytest.approx(-0.1, abs=1e-12)
    assert one(table, "scaled_brier_difference")["estimate"] == pytest.approx(0.4, abs=1e-12)


def test_net_benefit_at_the_models_own_threshold():
    """At .2 risks .8, .4 of two events and .3 of one of two non-events: 2/4 - 1/4 * 1/4."""
    table = comparison.compare(scores_of([0.8, 0.4, 0.3, 0.1]), {"cs": 0.2})
    row = one(table, "net_benefit", "cs")
    assert row["estimate"] == pytest.approx(0.4375, abs=1e-15)
    sd = np.std([1, 1, -0.25, 0], ddof=1)
    assert row["high"] - row["estimate"] == pytest.approx(1.959964 * sd / 2, abs=1e-6)


def test_net_benefit_differs_at_the_models_cut_for_both():
    """At D's .5 D calls one event high, CS one of each: 1/4 - (1/4 - 1/4); CS's .2 is not used."""
    both = scores_of([0.8, 0.4, 0.6, 0.1], "cs") + scores_of([0.8, 0.4, 0.3, 0.1], "d")
    row = one(comparison.compare(both, {"cs": 0.2, "d": 0.5}), "net_benefit_difference")
    assert row["estimate"] == pytest.approx(0.25, abs=1e-15)


@pytest.mark.parametrize("cut", [0.0, 1.0])
@pytest.mark.parametrize("events", [0, 12])
def test_a_cut_without_odds_has_no_net_benefit(cut, events):
    cuts = {"cs": cut, "d": cut}
    table = comparison.compare(small(events=events), cuts)
    assert not table["metric"].str.startswith("net_benefit").any()
    assert "nri" in set(comparison.reclassification_table(small(events=events), cuts)["metric"])


def test_calibration_distances_have_an_interval_where_it_is_asked_for():
    row = one(comparison.compare(large(), resamples=50), "ici")
    assert row["estimate"] == pytest.approx(R["332"]["smooth_b"]["ici"], abs=1e-12)
    assert row["low"] < row["high"]


def test_as_published_alone_has_hosmer_and_lemeshows_test():
    table = comparison.compare(large() + large(protocol="as_published"))
    rows = table[table["metric"] == "hosmer_lemeshow"]
    assert rows["protocol"].tolist() == ["as_published"] * 2
    theirs = R["332"]["hosmer_lemeshow"]["p_value"]
    assert rows["p_value"].iloc[1] == pytest.approx(theirs, rel=1e-9)


def calibrated(shift, n=400):
    """Two models whose risks are true; `shift` is added to the log odds of the second."""
    logit = np.linspace(-3, 3, n)
    event = np.random.default_rng(3).random(n) < 1 / (1 + np.exp(-logit))
    risk = [1 / (1 + np.exp(-logit - by)) for by in (0, shift)]
    return scores_of(risk[0], "cs", event=event) + scores_of(risk[1], "d", event=event)


@pytest.mark.parametrize(("shift", "note"), [(0, ""), (1, "model_miscalibrated")])
def test_nri_and_idi_say_where_a_model_is_miscalibrated(shift, note):
    """A shift of 1 is 9 standard errors of the intercept (1 / sqrt(sum of p (1 - p)) = .12)."""
    table = comparison.reclassification_table(calibrated(shift), {"d": 0.5})
    assert set(table["note"]) == {note}
    assert one(comparison.compare(calibrated(shift)), "nri")["note"] == note


def test_a_certain_comparator_is_no_calibrated_one():
    both = scores_of([1.0, 0.4, 0.6, 0.2], "cs") + scores_of([0.8, 0.4, 0.6, 0.2], "d")
    notes = comparison.reclassification_table(both)["note"]
    assert notes.str.contains("comparator_miscalibrated").all()


def test_reclassification_has_standard_errors_as_hmisc():
    table = comparison.reclassification_table(large(), {"d": 0.4}).set_index("metric")
    theirs = R["332"]["continuous"]
    assert table.loc["nri", "se"] == pytest.approx(theirs["se"], rel=1e-9)
    assert table.loc["idi", "se"] == pytest.approx(theirs["idi_se"], rel=1e-9)
    assert table.index[0] == "nri_categorical"
    assert table["p_value"].isna().all()


def test_one_class_has_the_same_rows_of_reclassification():
    full, empty = (
        comparison.reclassification_table(small(events=k), {"d": 0.4})["metric"] for k in (12, 0)
    )
    assert full.tolist() == empty.tolist()


def test_the_smooth_curve_has_a_band_for_each_model():
    table = comparison.smooth_table(small(), resamples=20)
    assert table["model"].unique().tolist() == ["cs", "d"]
    assert (table["low"] <= table["high"]).all()
    assert comparison.smooth_table(small(events=0)).empty


def test_sensitivity_at_the_models_own_threshold():
    """Risks .8, .4 of the events: 1 of 2 reach .5."""
    table = comparison.compare(scores_of([0.8, 0.4, 0.3, 0.6]), {"cs": 0.5})
    assert one(table, "sensitivity", "cs")["estimate"] == 0.5


def test_sensitivity_has_wilsons_interval():
    """1 of 2: z**2 = 3.841459, middle 1/2, reach sqrt(z**2 / (2 + z**2)) / 2 = 0.405469."""
    row = one(comparison.compare(scores_of([0.8, 0.4, 0.3, 0.6]), {"cs": 0.5}), "sensitivity", "cs")
    assert [row["low"], row["high"]] == pytest.approx([0.094531, 0.905469], abs=1e-6)


def test_identical_models_have_p_one():
    risk = LARGE["risk_a"]
    both = scores_of(risk, "cs", event=LARGE["event"])
    both += scores_of(risk, "d", event=LARGE["event"])
    row = one(comparison.compare(both), "auc_difference")
    assert (row["estimate"], row["p_value"]) == (0, 1)


@pytest.mark.parametrize("origin", ["apparent", "tuned"])
@pytest.mark.parametrize(
    "function",
    [
        comparison.compare,
        comparison.reclassification_table,
        comparison.smooth_table,
        comparison.roc_table,
        comparison.calibration_table,
        comparison.decision_table,
        comparison.threshold_table,
    ],
)
def test_leak_free_refuses_scores_that_have_seen_the_patients(function, origin):
    with pytest.raises(checks.InputError, match=f"origin '{origin}' cannot be used to"):
        function(small() + small(origin=origin))


@pytest.mark.parametrize("origin", ["apparent", "tuned"])
def test_as_published_takes_them_and_says_so(origin):
    table = comparison.compare(small(origin=origin, protocol="as_published"))
    assert set(table["note"]) == {f"{origin}_no_headline"}


def test_as_published_alone_has_p_values_for_nri_and_idi():
    both = small() + small(protocol="as_published")
    table = comparison.compare(both)
    tested = table[table["metric"].isin(["nri", "idi"]) & table["p_value"].notna()]
    assert tested["protocol"].tolist() == ["as_published"] * 2


def test_stacked_scores_are_no_headline_and_have_no_p_value():
    table = comparison.compare(small(origin="stacked"))
    assert set(table["origin"]) == {"stacked"}
    assert set(table["note"]) == {"stacked_no_headline"}
    assert table["p_value"].isna().all()
    assert table.loc[~table["metric"].isin(["ici", "e50", "e90"]), "low"].notna().all()


def test_out_of_fold_intervals_say_what_they_leave_out():
    table = comparison.compare(small(origin="out_of_fold"), {"cs": 0.4})
    assert one(table, "auc")["note"] == "interval_ignores_refitting"
    assert one(table, "ppv", "cs")["note"].endswith("; threshold_may_be_chosen_here")


def test_a_frozen_threshold_at_a_new_centre_has_no_note():
    assert one(comparison.compare(small(), {"cs": 0.4}), "ppv", "cs")["note"] == ""


@pytest.mark.parametrize(("events", "few"), [(9, True), (10, False)])
def test_below_ten_events_there_is_no_p_value(events, few):
    table = comparison.compare(small(events=events, protocol="as_published"))
    tested = table[table["metric"].isin(["auc_difference", "nri", "idi", "hosmer_lemeshow"])]
    assert (tested["p_value"].isna() == few).all()
    assert (table["note"].str.startswith("too_few_events") == few).all()
    assert table["estimate"].notna().all()


@pytest.mark.parametrize("events", [0, 40])
def test_one_class_gives_rows_without_estimates(events):
    table = comparison.compare(small(events=events), {"cs": 0.4})
    assert set(table["note"]) == {"one_class"}
    assert table[["estimate", "low", "high", "p_value"]].isna().all(axis=None)
    assert set(table["n"]) == {40}
    assert set(table["events"]) == {events}


def test_one_class_has_the_same_rows_as_two():
    cut = {"cs": 0.4}
    full, empty = (comparison.compare(small(events=k), cut)["metric"] for k in (12, 0))
    assert full.tolist() == empty.tolist()


def test_one_event_is_no_exception():
    """The intervals that need two events are missing; nothing warns."""
    table = comparison.compare(small(events=1), {"cs": 0.4, "d": 0.4})
    assert np.isnan(one(table, "auc")["low"])
    assert set(table["note"]) >= {"too_few_events"}


def test_a_certain_risk_leaves_calibration_missing_and_says_so():
    table = comparison.compare(scores_of([1.0, 0.4, 0.6, 0.2]))
    row = one(table, "calibration_slope", "cs")
    assert np.isnan(row["estimate"])
    assert row["note"] == "too_few_events; risk_exactly_0_or_1"
    assert np.isfinite(one(table, "brier", "cs")["estimate"])


def test_separation_leaves_the_slope_missing_and_says_so():
    table = comparison.compare(scores_of([0.9, 0.8, 0.2, 0.1]))
    assert one(table, "calibration_slope", "cs")["note"] == "too_few_events; separated"
    assert np.isfinite(one(table, "calibration_intercept", "cs")["estimate"])


def test_a_pair_is_compared_on_the_patients_of_both():
    both = small()
    fewer = Scores(both.table[(both.table["model"] == "cs") | (both.table.index % 2 == 0)])
    table = comparison.compare(fewer)
    assert one(table, "auc", "cs")["n"] == 40
    assert one(table, "auc_difference")["n"] == 20


def test_patients_are_matched_by_identifier_not_by_row():
    both = small().table
    shuffled = Scores(both.sample(frac=1, random_state=1))
    ours, theirs = (comparison.compare(s) for s in (shuffled, Scores(both)))
    numbers = ["estimate", "low", "high", "p_value"]
    assert np.allclose(ours[numbers], theirs[numbers], atol=1e-12, equal_nan=True)


def test_models_that_disagree_on_an_outcome_are_named():
    table = small().table
    table.loc[table.index[-1], "event"] = True
    with pytest.raises(checks.InputError, match="disagree on 1, first 'p39'"):
        comparison.compare(Scores(table))


def test_mixed_horizons_are_refused():
    ever, year = small().table, small().table
    year["horizon_months"] = 12
    mixed = Scores(pd.concat([ever, year], ignore_index=True))
    with pytest.raises(checks.InputError, match=r"one horizon .* ever, 12"):
        comparison.compare(mixed)


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        pytest.param({"dsc": 0.3}, "radiomics_combat, cs, d, csd, clinical; got 'dsc'", id="model"),
        pytest.param({"cs": 28}, "thresholds must hold probabilities", id="percent"),
        pytest.param({"cs": np.nan}, "finite numbers", id="missing"),
    ],
)
def test_a_wrong_threshold_is_named(thresholds, message):
    with pytest.raises(checks.InputError, match=message):
        comparison.compare(small(), thresholds)


def test_no_score_is_refused():
    with pytest.raises(checks.InputError, match="no score at hand to compare models"):
        comparison.compare(Scores(small().table.iloc[:0]))


@pytest.mark.parametrize(
    ("function", "columns"),
    [
        (
            comparison.roc_table,
            ["model", "origin", "threshold", "false_positive_rate", "true_positive_rate"],
        ),
        (comparison.calibration_table, ["model", "risk", "observed", "low", "high"]),
        (comparison.decision_table, ["model", "threshold", "strategy", "net_benefit"]),
        (
            comparison.threshold_table,
            [
                "model",
                "threshold",
                "true_positive",
                "false_positive",
                "false_negative",
                "true_negative",
            ],
        ),
    ],
)
@pytest.mark.parametrize("events", [0, 12])
def test_tables_have_their_columns(function, columns, events):
    assert list(function(small(events=events)).columns) == columns


@pytest.mark.parametrize(
    "function",
    [comparison.calibration_table, comparison.decision_table, comparison.threshold_table],
)
def test_tables_hold_each_model(function):
    assert function(small())["model"].unique().tolist() == ["cs", "d"]


def test_one_class_has_no_roc_curve():
    assert comparison.roc_table(small(events=0)).empty


def test_tables_take_one_origin_a_model():
    with pytest.raises(checks.InputError, match="one protocol and origin a model"):
        comparison.decision_table(small() + small(origin="out_of_fold"))


def test_metrics_survive_the_file(tmp_path):
    table = comparison.compare(small(), {"cs": 0.4})
    results.write_table(table, tmp_path / "metrics.csv")
    read = results.read_table(tmp_path / "metrics.csv")
    pd.testing.assert_frame_equal(
        read[["metric", "estimate", "low"]], table[["metric", "estimate", "low"]]
    )
