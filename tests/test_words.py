"""Numbers in prose come from tables."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hcc_utils.evaluation import agreement, horizon_risks
from hcc_utils.models import clinical, combined, protocol, robustness, shortcuts
from hcc_utils.presentation import words
from hcc_utils.study import cohort, results


@pytest.mark.parametrize(
    ("value", "text"), [(0.0314, "0.031"), (0.0009, "<0.001"), (np.nan, "")], ids=str
)
def test_p_values_as_printed(value, text):
    assert words.p_value(value) == text


def test_an_estimate_that_is_missing_is_said_to_be():
    assert words.interval(np.nan, np.nan, np.nan) == "not estimable"
    assert words.interval(0.5, np.nan, np.nan) == "0.500 (no interval)"
    assert words.interval(0.8, 0.7, 0.9, digits=2) == "0.80 (0.70 to 0.90)"


def test_table_one_reads_in_words():
    """Four with, four without: chi-square 8, one degree of freedom, p = .0047."""
    patients = pd.DataFrame(
        {"progression": [True] * 4 + [False] * 4, "hbv": [True] * 4 + [False] * 4}
    )
    shown = words.tables_one(cohort.tables_one(patients, ["progression"]))["progression"]
    assert list(shown.index) == [
        ("Patients", ""), ("HBV infection", ""), ("", "no"), ("", "yes")
    ]  # fmt: skip
    assert list(shown) == ["without", "with the event", "test", "p", "SMD"]
    assert shown.iloc[1]["p"] == "0.005"
    assert shown.iloc[3]["with the event"] == "4 (100%)"
    assert shown.iloc[0]["SMD"] == ""


GROUPED = pd.DataFrame(
    {
        "capsule": ["absent", "intact", "non_intact", "non_intact"],
        "hbv": [True, False, True, False],
        "centre": "hospital_a",
        "sex": ["male", "female", "male", "female"],
    }
)


def test_each_grouping_has_its_own_table_with_its_name():
    shown = words.tables_one(cohort.tables_one(GROUPED, ["capsule", "hbv", "centre"]))
    page = shown._repr_html_()
    names = ["By Capsule", "By HBV infection", "By Centre"]
    assert [page.count(f"<caption>{name}</caption>") for name in names] == [1, 1, 1]
    assert page.count("<table") == 3


def test_groups_stand_in_their_order_and_empty_columns_are_left_out():
    """Three groups have no SMD, and a capsule's group is nothing to the hepatitis."""
    shown = words.tables_one(cohort.tables_one(GROUPED, ["capsule", "hbv", "centre"]))
    assert list(shown["capsule"]) == ["absent", "non-intact", "intact", "test", "p"]
    assert list(shown["hbv"]) == ["no", "yes", "test", "p", "SMD"]
    assert list(shown["centre"]) == ["Hospital a", "test"]


def test_table_one_reads_alike_from_a_file(tmp_path):
    table = cohort.tables_one(GROUPED, ["capsule", "hbv"])
    results.write_table(table, tmp_path / "table_one.csv")
    again = words.tables_one(results.read_table(tmp_path / "table_one.csv"))
    assert again._repr_html_() == words.tables_one(table)._repr_html_()


def test_agreement_is_said_by_variable_and_statistic():
    table = pd.DataFrame(
        [
            ("recist_mm", 3, 93, "icc2", 0.91, 0.89, 0.9301),
            ("capsule", 2, 40, "kappa", np.nan, np.nan, np.nan),
        ],
        columns=["variable", "readers", "n", "statistic", "estimate", "low", "high"],
    )
    assert words.agreement(table).to_dict("index") == {
        ("RECIST diameter (mm)", "ICC2 (agreement)"): {
            "readers": "3", "patients": "93", "estimate (95 % interval)": "0.910 (0.890 to 0.930)"
        },
        ("Capsule", "kappa"): {
            "readers": "2", "patients": "40", "estimate (95 % interval)": "not estimable"
        },
    }  # fmt: skip


def test_where_nothing_was_read_apart_the_page_says_so():
    nothing = agreement.readers(pd.DataFrame({"patient_id": ["p"]}))
    assert "No variable" in words.agreement(nothing)._repr_html_()


@pytest.fixture
def metrics():
    columns = ["model", "comparator", "origin", "metric", "estimate", "low", "high", "p_value",
               "n", "events", "note"]  # fmt: skip
    rows = [
        ("csd", "", "external", "auc", 0.8, 0.7, 0.9, np.nan, 32, 8, "too_few_events"),
        ("csd", "cs", "external", "auc_difference", 0.1, 0.0, 0.2, 0.04, 32, 8, np.nan),
    ]
    return pd.DataFrame(rows, columns=columns)


def test_models_stand_side_by_side_with_their_origin(metrics):
    shown = words.metrics(metrics)
    assert shown.loc["AUC", "Model CSD (external)"] == "0.800 (0.700 to 0.900)"


def test_differences_stand_apart_with_their_p_value(metrics):
    shown = words.differences(metrics)
    assert list(shown.index) == [("Difference in AUC", "Model CSD - Model CS")]
    assert shown["p"].tolist() == ["0.040"]


def test_a_chi_square_has_no_interval_to_miss(metrics):
    shown = words.differences(metrics.assign(metric="likelihood_ratio", estimate=41.943))
    assert shown["estimate (95 % interval)"].tolist() == ["41.94"]


def test_each_note_is_said_once(metrics):
    assert words.notes(pd.concat([metrics, metrics])) == (
        "- Model CSD: fewer than 10 events: no test, no headline."
    )


def test_a_long_table_is_shown_whole():
    counts = pd.DataFrame({"centre": "a", "variable": "hbv", "missing": 1, "n": range(1, 101)})
    assert words.missing(counts)._repr_html_().count("<tr") == 102  # two rows of headings


def test_coefficients_read_in_words():
    table = pd.DataFrame(
        {
            "term": ["intercept", "capsule[non_intact]", "afp_band[>400]"],
            "coefficient": [-1.0, 0.5, 0.1], "odds_ratio": [0.37, 1.65, 1.1],
            "low": [0.1, 1.2, 0.5], "high": [0.9, 2.3, 2.0], "p_value": [0.01, 0.02, 0.8],
        }
    )  # fmt: skip
    shown = words.wald(table)
    assert list(shown.index) == ["Intercept", "Capsule: non-intact", "AFP (ng/mL): >400"]
    assert shown["odds ratio (95 % interval)"].tolist()[:2] == ["", "1.65 (1.20 to 2.30)"]


def test_coefficients_without_standard_errors_have_no_interval_and_no_p():
    """exp(0.3) = 1.35."""
    model = clinical.ClinicalModel(-1.0, {"log10_afp_ng_ml": 0.3}, note="penalised")
    shown = words.wald(model.wald())
    assert shown.to_dict("index") == {
        "Intercept": {"coefficient": "-1.0000", "odds ratio": ""},
        "AFP (log10 of ng/mL)": {"coefficient": "0.3000", "odds ratio": "1.35"},
    }


def test_the_auc_is_said_with_its_origin_and_its_note(metrics):
    assert words.auc(metrics) == (
        "- **Model CSD**, external: AUC 0.800 (0.700 to 0.900), 32 patients, 8 events "
        "(fewer than 10 events: no test, no headline)."
    )


def test_a_threshold_is_said_in_patients():
    """At .30: 3 + 4 of 10 are high; 3 of 3 + 1 events are among them."""
    counts = pd.DataFrame(
        {
            "model": "csd",
            "threshold": [0.29, 0.30],
            "true_positive": [4, 3],
            "false_positive": [6, 4],
            "false_negative": [0, 1],
            "true_negative": [0, 2],
        }
    )
    assert words.thresholds(counts, {"csd": 0.301}) == (
        "- **Model CSD** at 30%: 7 of 10 would be called high risk, "
        "with 3 of the 4 events among them."
    )


SUMMARY = pd.DataFrame(
    {
        "outcome": ["progression"] * 3 + ["death"],
        "grouping": ["all", "child_pugh", "child_pugh", "all"],
        "group": ["all", "A", "B-C", "all"],
        "n": [10, 4, 6, 10],
        "events": [4, 3, 1, 7],
        "median_months": [9.0, 8.0, np.nan, 12.34],
        "low": [6.0, 5.0, 20.0, 8.0],
        "high": [12.0, 9.0, np.nan, np.nan],
        "p_value": [np.nan, 0.0301, 0.0301, np.nan],
    }
)
CODED = pd.DataFrame(
    {
        "coding": ["censored", "followed_to_death"] * 2,
        "months": [12, 12, 24, 24],
        "estimate": [0.56, 0.35, np.nan, 0.5],
        "low": [0.4, 0.26, np.nan, np.nan],
        "high": [0.68, 0.45, np.nan, np.nan],
        "at_risk": [17, 50, 0, 9],
    }
)


def test_survival_is_said_by_group_and_the_event_by_coding():
    progression, child_pugh, death = words.survival(SUMMARY, CODED).split("\n")
    assert progression == (
        "- **Progression**: 4 of 10 patients; by the way to count deaths, 35% to 56% by 12 months, "
        "50% by 24 months."
    )
    assert child_pugh == "  - Child-Pugh class: A: 3 of 4; B-C: 1 of 6. Log-rank p = 0.030."
    assert (
        death == "- **Death**: 7 of 10 patients; median survival 12.3 (8.0 to not reached) months."
    )


def test_where_every_way_to_count_agrees_one_share_is_said():
    agreed = words.survival(SUMMARY, CODED.assign(estimate=0.5)).split("\n")[0]
    assert agreed.endswith("4 of 10 patients; 50% by 12 months, 50% by 24 months.")


def test_codings_read_side_by_side():
    shown = words.codings(CODED)
    assert shown["by 12 months"].tolist() == [
        "56% (40% to 68%), 17 at risk",
        "35% (26% to 45%), 50 at risk",
    ]
    assert shown["by 24 months"].tolist() == [
        "nobody followed so long",
        "50% (no interval), 9 at risk",
    ]


def test_hazard_ratios_are_read_against_the_first_group():
    table = pd.DataFrame(
        {
            "grouping": ["all", "cirrhosis", "cirrhosis", "bclc", "bclc"],
            "group": ["all", "no", "yes", "A", "B"],
            "n": 6, "events": 3, "hazard_ratio": [1, 1, 2, 1, np.nan],
            "low": [np.nan, np.nan, 0.5, np.nan, np.nan],
            "high": [np.nan, np.nan, 8, np.nan, np.nan],
            "p_value": [np.nan, np.nan, 0.3, np.nan, np.nan],
            "note": ["reference", "reference", "", "reference", "no finite estimate"],
        }
    )  # fmt: skip
    assert words.cox(table)["hazard ratio (95 % interval)"].to_dict() == {
        "Cirrhosis: no": "1 (reference)",
        "Cirrhosis: yes": "2.00 (0.50 to 8.00)",
        "BCLC stage A": "1 (reference)",
        "BCLC stage B": "no finite estimate",
    }
    assert "no two groups to compare" in words.cox(table.iloc[:1])._repr_html_()


def test_groups_are_said_with_those_left_out_and_those_not_recorded():
    patients = pd.DataFrame(
        {"grouping": ["all"] * 3 + ["bclc"] * 2, "group": ["all"] * 3 + ["A", "B-C"]}
    )
    assert words.groups(patients, ["bclc", "child_pugh"]).split("\n") == [
        "- **All patients**: 3.",
        "- **BCLC stage**: A 1, B-C 1; left out without a value: 1.",
        "- **Child-Pugh class**: not recorded here.",
    ]


class TestCensoring:
    COUNTS = pd.DataFrame(
        {"outcome": ["progression"], "n": 105, "without": 60, "died": 53, "median_months": 18.1}
    )

    def test_deaths_after_the_last_visit_are_said(self):
        said = words.censoring(self.COUNTS)
        assert said.startswith("60 of 105 patients had no progression")
        assert "**53** of these 60 died" in said
        assert "18.1 months" in said

    def test_the_study_s_own_words_stand_behind(self):
        assert words.censoring(self.COUNTS, "Switches too.").endswith("\n\nSwitches too.")

    def test_without_such_deaths_nothing_competes(self):
        assert "death competes with nothing here" in words.censoring(self.COUNTS.assign(died=0))

    def test_where_the_event_is_death_there_is_nothing_to_count(self):
        nothing = "nothing competes with it"
        assert nothing in words.censoring(self.COUNTS.iloc[:0])
        assert nothing in words.codings(CODED.iloc[:0])._repr_html_()


def test_each_criterion_is_counted_or_says_why_not():
    table = pd.DataFrame(
        {"rule": ["x", "y"], "reason": ["no CT", "spread (not recorded: not applied)"]}
    )
    table["failing"] = pd.array([2, None], dtype="Int64")
    shown = words.criteria(table, screened=9)["patients"]
    assert shown["No CT"] == "2 of 9"
    assert shown["Spread (not recorded: not applied)"] == ""


def test_those_who_come_back_are_said():
    """Nine screened, three left by a lifted rule and came back; four of nine had the event."""
    study = SimpleNamespace(endpoint="death", endpoint_note="A surrogate.")
    flow = pd.DataFrame(
        {"step": ["screened", "x", "come_back"], "excluded": [0, 3, -3], "remaining": [9, 6, 9]}
    )
    everybody = pd.DataFrame({"death": [True] * 4 + [False] * 5})
    said = words.cohort(everybody, everybody, flow, study)
    assert "3 left by the paper's criteria, 3 of whom come back" in said
    assert "**9** stayed; **4** of them (44%) had the event (death)" in said
    assert said.endswith("A surrogate.")


def test_an_empty_table_says_why():
    empty = pd.DataFrame(columns=["metric", "apparent", "optimism", "corrected", "low", "high"])
    assert "No fit was bootstrapped here" in words.optimism(empty)._repr_html_()


def test_a_selection_s_frequencies_are_read_with_the_model_s_own_factors_marked():
    table = pd.DataFrame(
        {"variable": ["capsule", "hbv"], "frequency": [0.765, 0.125], "selected": [True, False]}
    )
    shown = words.inclusion(table)
    assert shown.loc["Capsule"].tolist() == ["76%", "yes"]
    assert shown.loc["HBV infection"].tolist() == ["12%", ""]
    assert "No selection was repeated here" in words.inclusion(table[:0])._repr_html_()


def test_stability_is_said_from_the_tables():
    """Differences .05 and .15 of ten patients each: 10 points on average; the second is larger."""
    moved = {"n": 10, "risk": [0.2, 0.6], "difference": [0.05, 0.15]}
    tables = SimpleNamespace(
        instability=pd.DataFrame({**moved, "low": [0.1, 0.3], "high": [0.3, 0.8]}),
        inclusion=pd.DataFrame(
            {"variable": ["hbv", "capsule"], "frequency": [0.9, 0.5], "selected": [True, True]}
        ),
        pairs=pd.DataFrame(
            [("hbv", "capsule", 0.5, 0.45), ("capsule", "bclc", 0.05, 0.2)],
            columns=["variable", "other", "together", "by_chance"],
        ),
    )
    said = words.stability(tables)
    assert "by 10 percentage points on average" in said
    assert "where the model says 60%, 95 of 100 resamples lie between 30% and 80%" in said
    assert "holds HBV infection and Capsule; the last of them was selected in 50%" in said
    assert "Capsule and BCLC stage came together least often (5% of the resamples" in said
    assert "HBV infection and Capsule came together most often (50% of the resamples" in said


def test_where_nothing_was_bootstrapped_stability_says_so():
    """The book refuses an empty sentence."""
    said = words.stability(SimpleNamespace(instability=pd.DataFrame()))
    assert said.startswith("No fit was bootstrapped here")


def test_needs_are_read_below_what_is_here():
    row = {"criterion": "here", "patients": 236, "events": 83.0, "parameters": 27}
    shown = words.sample_size(pd.DataFrame([{**row, "events_per_parameter": 83 / 27}]))
    assert shown.loc["this development"].tolist() == ["236", "83", "27", "3.1"]


def test_every_criterion_of_the_sample_size_has_its_words():
    from hcc_utils.models import sample_size

    shown = words.sample_size(sample_size.riley(5, 0.3))
    assert len(set(shown.index)) == 4


def test_coefficients_are_read_beside_each_other():
    row = {"term": "hbv", "odds_ratio": 2.0, "low": 1.0, "high": 4.0, "firth": 1.9, "ridge": 1.5}
    table = pd.DataFrame([{**row, "profile_low": 1.05, "profile_high": 4.125}])
    expected = ["2.00 (1.00 to 4.00)", "1.05 to 4.12", "1.90", "1.50"]
    assert words.coefficients(table).loc["HBV infection"].tolist() == expected
    assert "was not fitted here" in words.coefficients(table[:0])._repr_html_()


def test_optimism_is_taken_off():
    row = {"metric": "auc", "apparent": 0.7, "optimism": 0.05, "corrected": 0.65}
    shown = words.optimism(pd.DataFrame([{**row, "low": 0.5, "high": 0.75}]))
    assert shown.loc["AUC"].tolist() == ["0.700", "0.050", "0.650 (0.500 to 0.750)"]


def test_each_coding_has_its_words():
    rows = [{"coding": c, "auc": 0.6, "low": 0.5, "high": 0.7} for c in words.CODINGS]
    assert list(words.auc_by_coding(pd.DataFrame(rows)).index) == list(words.CODINGS.values())


def test_few_events_are_said_for_a_clinical_model_alone():
    """Two of three with the event within 12 months, one factor; a fourth patient is not scored."""
    frozen = SimpleNamespace(combined=None, clinical=SimpleNamespace(terms={"hbv": 1.0}))
    table = pd.DataFrame({"event": [True, True, False], "horizon_months": [12] * 3})
    patients = pd.DataFrame({"progression": [True, True, False, True]})
    said = words.support(SimpleNamespace(table=table), patients, "progression", frozen)
    assert "Of 4 patients 3 had progression at any time; in 2 of 3" in said
    assert "1 patient(s) are left out" in said
    assert "2 events for 1 factors are 2 a factor" in said


def test_the_published_models_events_are_counted_once():
    table = pd.DataFrame({"event": [True, False, False]})
    scores = SimpleNamespace(only=lambda model: SimpleNamespace(table=table))
    said = words.support(scores, table, "death", SimpleNamespace(combined=1))
    assert said == "1 of the 3 patients scored had the event."


def test_missing_values_are_said_as_shares():
    table = pd.DataFrame({"centre": ["a"], "variable": ["hbv"], "missing": [1], "n": [8]})
    assert words.missing(table).loc[("a", "HBV infection"), "missing"] == "1 of 8 (12%)"


def test_patients_without_slices_are_named_up_to_a_limit():
    table = pd.DataFrame({"patient_id": ["p1", "p2"], "rule": "no_roi", "message": "Add a box."})
    assert words.problems(table, most=1) == (
        "2 patient(s): no roi (2).\n\n- **p1**: Add a box.\n- and 1 more in imaging_problems.csv"
    )
    assert words.problems(table.head(0)) == "Nobody was kept out."


def test_medians_that_are_not_reached_are_said_to_be():
    shown = words.medians(SUMMARY)
    assert shown["median, months (95 % interval)"].tolist() == [
        "9.0 (6.0 to 12.0)",
        "8.0 (5.0 to 9.0)",
        "not reached",
        "12.3 (8.0 to not reached)",
    ]


def test_a_log_rank_test_stands_once_a_grouping():
    shown = words.medians(SUMMARY)["log-rank p"]
    assert shown["Child-Pugh class A"] == "0.030"
    assert shown["Child-Pugh class B-C"] == ""


def test_pooled_figures_read_in_words():
    table = pd.DataFrame(
        {
            "metric": "auc", "model": "d", "centre": ["hospital_c", "next centre"],
            "estimate": [0.8, np.nan], "low": [0.7, np.nan], "high": [0.9, np.nan],
            "n": 32, "events": 8, "weight": [1.0, np.nan], "note": ["", "one_centre_only"],
        }
    )  # fmt: skip
    shown = words.pooled(table)
    assert shown["Model D"].to_dict() == {
        ("AUC", "Hospital c"): "0.800 (0.700 to 0.900)",
        ("AUC", "Next centre"): "not estimable",
    }
    assert words.notes(table) == "- Model D: one centre only: nothing is pooled."


def test_models_are_said_with_their_notes():
    line = combined.Recalibration(0.1, 0.9)
    frozen = protocol.Models(
        clinical=clinical.ClinicalModel(-1.0, {}, note="no factor was selected"),
        combined=combined.CombinedModel(0.5, 1.25, 0.75, line),
        thresholds={"csd": 0.28},
    )
    assert words.models(frozen) == (
        "- Model CS holds: no factor.\n"
        "- Model CSD: log odds = 0.500 + 1.250 x score of Model CS "
        "+ 0.750 x log odds of Model D's risk.\n"
        "- Thresholds (Youden, in development): Model CSD 0.28.\n"
        "- **Note:** no factor was selected."
    )


def test_a_tissue_says_whether_it_is_as_expected():
    row = {"patient_id": "p", "tissue": "liver", "hu": 101.4, "sd_hu": 8.2, "low_hu": 60.0}
    rows = [
        {**row, "high_hu": 150.0, "inside": True, "rescale_intercept": -1024.0, "problem": ""},
        {**row, "high_hu": 90.0, "inside": False, "rescale_intercept": 0.0, "problem": ""},
        {**row, "high_hu": 90.0, "inside": False, "rescale_intercept": 0.0, "problem": "no slice"},
    ]
    shown = words.hounsfield(pd.DataFrame(rows))
    assert shown["HU, mean ± SD"].tolist() == ["101 ± 8", "101 ± 8", "no slice"]
    assert shown[""].tolist() == ["as expected", "outside", ""]
    assert shown["RescaleIntercept"].tolist() == ["-1024", "0", ""]
    assert "caption" not in shown.attrs


def test_of_many_tissues_those_that_are_not_as_expected_are_shown():
    """Two of three are as expected; nothing remains of two sound ones but their count."""
    row = {"patient_id": "p", "tissue": "liver", "hu": 101.0, "sd_hu": 8.0, "low_hu": 60.0}
    table = pd.DataFrame([{**row, "high_hu": 150.0, "rescale_intercept": 0.0, "problem": ""}] * 3)
    shown = words.hounsfield(table.assign(inside=[True, False, True]), most=2)
    assert shown[""].tolist() == ["outside"]
    assert shown.attrs["caption"] == "2 of 3 measurements are as expected (hounsfield.csv)."
    nothing_outside = words.hounsfield(table.assign(inside=True), most=2)
    assert "3 of 3 measurements are as expected" in nothing_outside._repr_html_()


def test_what_must_be_known_of_used_series_is_said():
    table = pd.DataFrame({"patient_id": ["p"], "rule": ["r"], "meaning": ["its name differs"]})
    assert words.imaging_warnings(table).loc["p", "what"] == "its name differs"
    assert "No series" in words.imaging_warnings(table[:0])._repr_html_()


@pytest.mark.parametrize(("low", "useless"), [(0.49, True), (0.51, False)])
def test_model_cs_is_named_where_it_was_bootstrapped(low, useless):
    row = {"model": "cs", "metric": "auc", "corrected": 0.6, "low": low, "high": 0.7}
    said = words.worth(pd.DataFrame([row]))
    assert said.startswith("Corrected for optimism the AUC of Model CS is 0.600")
    assert ("may tell nothing" in said) == useless


@pytest.mark.parametrize(("low", "useless"), [(0.49, True), (0.51, False)])
def test_a_model_that_chance_could_have_made_is_called_so(low, useless):
    row = {
        "model": "clinical",
        "metric": "auc",
        "apparent": 0.7,
        "optimism": 0.1,
        "corrected": 0.6,
        "high": 0.7,
    }
    said = words.worth(pd.DataFrame([{**row, "low": low}]))
    assert "0.600" in said
    assert ("do not tell who will have the event" in said) == useless
    assert words.worth(pd.DataFrame(columns=["metric"])).startswith("Nothing was bootstrapped")


def test_a_stage_that_was_not_recorded_is_not_compared():
    everybody = pd.DataFrame({"bclc": ["A"], "diameter_mm": [30.0]})
    assert words.stages(everybody, everybody[:0]).endswith("Number of lesions.")
    said = words.stages(everybody.assign(lesion_count=1), everybody)
    assert said.startswith("In 1 of 1 patients")


def test_a_rare_gap_is_not_said_to_be_none():
    table = pd.DataFrame({"centre": ["a"], "variable": ["hbv"], "missing": [1], "n": [227]})
    assert words.missing(table)["missing"].item() == "1 of 227 (<1%)"


def judged(*rows):
    """Rows of qc.csv."""
    names = ["patient_id", "centre", "rule", "status", "value", "limit", "meaning"]
    return pd.DataFrame(rows, columns=names)


def test_images_to_look_at_stand_a_patient_a_row_the_refused_first():
    table = judged(
        ("P1", "a", "kvp", "pass", 120.0, "100 to 140", ""),
        ("P2", "a", "slice_spacing_mm", "warn", 10.0, "0 to 5", "slices lie far apart"),
        ("P2", "a", "missing_slices", "warn", 1.0, "none", "slices are missing"),
        ("P3", "b", "no_roi", "refuse", np.nan, "", "has no slices"),
        ("P3", "b", "liver_hu", "not measurable", np.nan, "70 to 220", "nothing tells it"),
    )
    shown = words.quality(table)
    assert shown.index.tolist() == [("b", "P3"), ("a", "P2")]
    assert shown["status"].tolist() == ["refuse", "warn"]
    assert shown["what"].tolist() == [
        "no roi: has no slices",
        "slice spacing (mm) 10 (0 to 5): slices lie far apart; missing slices: slices are missing",
    ]
    assert "No rule warns" in words.quality(table[:1])._repr_html_()


def test_rules_are_counted_by_hospital_and_those_kept_by_all_are_named():
    """Not measurable is no pass: it is counted."""
    names = ["rule", "centre", "pass", "warn", "refuse", "not measurable"]
    rows = [
        *(("kvp", "a", 4, 0, 0, 0), ("kvp", "b", 2, 0, 0, 0)),
        *(("noise_hu", "a", 3, 1, 0, 0), ("noise_hu", "b", 2, 0, 0, 0)),
        *(("liver_hu", "a", 0, 1, 0, 3), ("no_roi", "b", 0, 0, 1, 0)),
    ]
    counts = pd.DataFrame(rows, columns=names)
    shown = words.quality_counts(counts)
    assert shown.loc["noise (HU)"].tolist() == ["warn 1 of 4", "all pass"]
    assert shown.loc["liver (HU)"].tolist() == ["warn 1 of 4, not measurable 3 of 4", ""]
    assert shown.loc["no roi", "b"] == "refuse 1 of 1"
    assert shown.attrs["caption"] == "All images pass: tube voltage (kVp)."
    assert "All images pass: tube voltage (kVp)." in words.quality_counts(counts[:2])._repr_html_()
    assert "No images" in words.quality_counts(counts[:0])._repr_html_()


def test_figures_without_a_note_say_so():
    table = pd.DataFrame({"model": ["cs"], "note": [None]})
    assert words.notes(table) == "There is nothing to add to these figures."


def test_a_problem_is_shown_without_the_machine_s_folders():
    """imaging_problems.csv keeps the whole path."""
    said = "/home/someone/ct/boxes.csv has no row for p1. Add one / more to a/b.csv."
    table = pd.DataFrame({"patient_id": ["p1"], "rule": ["no_roi"], "message": [said]})
    shown = words.problems(table)
    assert "boxes.csv has no row for p1. Add one / more to a/b.csv." in shown
    assert "/home" not in shown


def test_what_is_told_of_hospital_and_scanner_is_said():
    """Two hospitals of ten, told without fail; the kernel was everybody's."""
    settings = pd.DataFrame({"centre": np.repeat(["a", "b"], 10), "kernel": "B30"})
    table = shortcuts.told({"score": np.repeat([0, 1], 10)}, settings, np.zeros(20), seed=1)
    hospital, kernel = words.told(table).reset_index().to_dict("records")
    assert hospital["setting"] == "hospital"
    assert hospital["patients"] == "10 of 20"
    assert hospital["AUC (95 % interval)"] == "1.000 (1.000 to 1.000)"
    assert hospital["p"] == "0.005"
    assert kernel == {
        "setting": "reconstruction kernel", "level": "", "from": "", "patients": "20",
        "AUC (95 % interval)": "not estimable", "by chance": "", "p": "",
        "note": "all alike: nothing to tell",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("centre", "said"),
    [
        pytest.param(["a"] * 40 + ["b"] * 40, r"\*\*part of the pooled AUC only", id="shortcut"),
        pytest.param(["a", "b"] * 40, "these patients do not show", id="none"),
        pytest.param(["a"] * 80, "cannot be compared here", id="one hospital"),
    ],
)
def test_what_pooling_hides_is_said(centre, said):
    """Of 40 with score 1, 30 have the event; of 40 with score 0, 10."""
    event = np.r_[np.arange(40) < 30, np.arange(40) < 10]
    table = shortcuts.within_centres(event, np.repeat([1, 0], 40), centre, seed=1)
    assert re.search(said, words.within_centres(table))


def test_a_score_that_is_only_size_is_called_so():
    diameter = np.arange(10, 70)
    event = np.random.default_rng(1).random(60) < diameter / 80
    table = shortcuts.size(event, diameter / 100, diameter, seed=1)
    assert words.size_verdict(table).startswith("**The score is only size**")
    shown = words.size(table)["estimate (95 % interval)"]
    assert shown["Spearman's correlation of score and diameter"] == "1.000 (1.000 to 1.000)"
    assert len(shown) == 7


def test_how_far_scores_move_is_said():
    columns = ["perturbation", "amount", "n", "mean_change", "p95_change", "icc", "low", "high",
               "reliability", "auc_before", "auc_after"]  # fmt: skip
    row = ("roi_shift_pixels", "5", 36, 0.059, 0.202, 0.653, 0.518, 0.777, "moderate", 0.55, np.nan)
    table = words.robustness(pd.DataFrame([row], columns=columns))
    assert table.loc[("box moved (pixels of the CT)", "5")].tolist() == [
        "36", "0.059", "0.202", "0.653 (0.518 to 0.777)", "moderate", "0.550", ""
    ]  # fmt: skip


def test_every_change_of_the_slices_has_its_words():
    changed = {what for (what, _), _ in robustness._RECUT}
    others = {"window_centre_percent", "window_width_percent", "slices_fewer"}
    assert set(words.PERTURBATIONS) == changed | others


ATTRIBUTED = pd.DataFrame(
    {
        "method": ["grad_cam", "grad_cam", "grad_cam", "integrated_gradients"],
        "check": ["deletion", "share_in_margin", "agreement", "randomisation"],
        "estimate": [0.1, 0.3, np.nan, 0.54],
        "low": [0.05, 0.2, np.nan, 0.5],
        "high": [0.15, 0.4, np.nan, 0.6],
        "passes": pd.array([True, None, None, False], dtype="boolean"),
        "note": "a rule",
    }
)


def test_each_check_of_a_map_is_said_with_its_verdict():
    shown = words.attribution_checks(ATTRIBUTED)
    assert list(shown.index) == ["Grad-CAM"] * 3 + ["Integrated gradients"]
    assert list(shown["verdict"]) == ["passes", "", "", "fails"]
    assert list(shown["estimate (95 % interval)"])[1:3] == ["0.30 (0.20 to 0.40)", "not estimable"]


def test_a_map_that_fails_is_said_to():
    """One of one could be judged for each; the margin and one network's agreement are not."""
    said = words.attribution_verdict(ATTRIBUTED)
    assert "Grad-CAM passes all 1 checks that could be made." in said
    assert "**Integrated gradients fails 1 of 1 checks** (Random weights:" in said


def test_a_gap_reads_in_words():
    table = pd.DataFrame(
        {
            "patients": ["development", "hospital_c", "validation"],
            "model": "d",
            "leak_free_origin": ["out_of_fold", "external", "external"],
            **{f"leak_free{end}": [0.7, 0.6, 0.6] for end in ("", "_low", "_high")},
            "as_published_origin": ["apparent", "tuned", "tuned"],
            **{f"as_published{end}": [0.95, 0.65, 0.65] for end in ("", "_low", "_high")},
            **{f"difference{end}": [0.25, 0.05, 0.05] for end in ("", "_low", "_high")},
            "n": [236, 32, 96],
            "events": [60, 7, 22],
        }
    )
    shown = words.gap(table)
    assert shown.index.get_level_values("patients").tolist() == [
        "Development",
        "Hospital C",
        "All validation centres",
    ]
    assert shown["the paper's model was"].tolist() == ["fitted on them"] + ["chosen on them"] * 2
    said = words.gap_sentences(table)
    assert said.splitlines()[0] == (
        "- **Model D, development**: AUC 0.700 out of fold, 0.950 by the paper's choices "
        "(apparent): +0.250 (+0.250 to +0.250)."
    )
    assert "Hospital C" not in said
    assert words.gap_sentences(table.assign(difference=None)).startswith("No group of patients")


def test_the_index_date_counts_scans_more_than_30_days_from_treatment():
    """Of 0.5, -2 and 1.1 months (15, 61 and 33 days) two are beyond 30 days; one is unknown."""
    patients = pd.DataFrame({"months_scan_to_treatment": [0.5, -2, 1.1, np.nan]})
    said = words.index_date(patients, "ct")
    assert "**ct**" in said
    assert "in 2 of 3 patients" in said
    assert "was not recorded" in words.index_date(pd.DataFrame({"x": [1]}), "ct")


SHORT = pd.DataFrame(
    {
        "centre": ["a", "b"],
        "n": [30, 12],
        "short_event": [3, 1],
        "short_died": [2, 0],
        "short_free": [4, 3],
        "left_out": [4, 2],
        "left_out_free": [4, 2],
    }
)


def test_who_was_left_out_for_a_short_follow_up_is_said_over_all_centres():
    said = words.short_follow_up(SHORT)
    for part in ("Of 42 patients", "**6** were left out", "6 of these were alive", "spared 4 who"):
        assert part in said


def test_where_nobody_was_left_out_the_short_are_counted_all_the_same():
    said = words.short_follow_up(SHORT.assign(left_out=0, left_out_free=0))
    assert said.startswith("Nobody was left out")
    assert "of 42 patients 7 were followed" in said


def test_event_fractions_read_in_words():
    row = {"group": "analysed", "months": 12, "n": 9, "known": 8, "events": 2, "complete": 0.25}
    row |= {"complete_low": 0.1, "complete_high": 0.6, "incidence": 0.2, "incidence_low": 0.1}
    table = pd.DataFrame([row | {"incidence_high": 0.4, "difference": 0.05}])
    shown = words.event_fractions(table).loc[("analysed", 12)]
    assert list(shown) == [
        "8 of 9",
        "2: 0.250 (0.100 to 0.600)",
        "0.200 (0.100 to 0.400)",
        "+0.050",
    ]


def test_follow_up_reads_in_words():
    columns = ["outcome", "centre", "n", "followed", "median_months", "low", "high"]
    table = pd.DataFrame([("death", "all", 9, 4, 30.0, 12.5, np.nan)], columns=columns)
    shown = words.follow_up(table).loc[("Death", "all")]
    assert list(shown) == ["9", "4", "30.0 (12.5 to not reached)"]


MIX = pd.DataFrame(
    [
        ("hospital_c", "age_years", "smd", 60.0, 57.0, -0.3, np.nan, np.nan, 40),
        ("hospital_c", "capsule", "smd", np.nan, np.nan, 0.1, np.nan, np.nan, 39),
        ("hospital_c", "published_cs", "smd", -1.0, 0.0, 0.9, np.nan, np.nan, 39),
        ("hospital_c", "", "mahalanobis", np.nan, np.nan, 1.25, np.nan, np.nan, 39),
        ("hospital_c", "", "mahalanobis_by_chance", np.nan, np.nan, 0.5, np.nan, np.nan, 39),
    ],
    columns=[
        "centre",
        "variable",
        "statistic",
        "development",
        "here",
        "estimate",
        "low",
        "high",
        "n",
    ],
).assign(against="development")


def test_case_mix_reads_from_the_furthest_variable_down():
    shown = words.case_mix(MIX)["hospital_c"]
    assert list(shown.index) == ["Score of the published Model CS", "Age (years)", "Capsule"]
    assert shown.loc["Age (years)"].tolist() == ["60.00", "57.00", "-0.30", "40"]
    assert shown.loc["Capsule", "SMD"] == "0.10"
    assert "<caption>Hospital c against development</caption>" in shown._repr_html_()


def test_case_mix_is_summed_up_a_line_a_centre():
    said = words.case_mix_verdict(MIX)
    for part in ("**Hospital c**", "2 of 3 variables", "lies 1.25 SD", "about 0.50"):
        assert part in said
    assert "AUC" not in said
    told = MIX.iloc[[0]].assign(statistic="membership_auc", estimate=0.7, low=0.6, high=0.8)
    assert "0.700 (0.600 to 0.800) out of fold" in words.case_mix_verdict(pd.concat([MIX, told]))


def test_without_another_hospital_case_mix_says_so():
    assert words.case_mix_verdict(MIX.iloc[:0]).startswith("There is no other hospital")


def test_adjudication_reads_in_words():
    columns = ["variable", "n", "disputed", "third", "open", "differs"]
    table = pd.DataFrame([("capsule", 40, 6, 5, 2, 1)], columns=columns)
    assert words.adjudication(table).loc["Capsule"].tolist() == ["6 of 40", "5", "2", "1"]
    assert "was read by two readers" in words.adjudication(table.iloc[:0])._repr_html_()


def test_a_rank_correlation_reads_in_words():
    found = agreement.RankCorrelation(rho=-0.0764, p_value=0.2431, n=236)
    assert "correlation -0.076 (p = 0.243) in 236 patients" in words.rank_correlation(found)
    assert "(p <0.001)" in words.rank_correlation(agreement.RankCorrelation(0.9, 1e-9, 50))
    assert "does not vary" in words.rank_correlation(agreement.RankCorrelation(np.nan, np.nan, 0))


RECLASSIFIED = pd.DataFrame(
    [
        ("csd", "cs", "nri", 0.5, 0.2, 0.1, 0.9, np.nan, "comparator_miscalibrated"),
        ("csd", "cs", "nri_events", 0.3, 0.15, 0.0, 0.6, np.nan, "comparator_miscalibrated"),
        ("csd", "cs", "nri_non_events", 0.2, 0.1, 0.0, 0.4, np.nan, "comparator_miscalibrated"),
    ],
    columns=["model", "comparator", "metric", "estimate", "se", "low", "high", "p_value", "note"],
).assign(protocol="leak_free", origin="external")


def test_reclassification_stands_in_one_row_with_its_parts_and_its_warning():
    shown = words.reclassification(RECLASSIFIED)
    assert shown.to_dict("index") == {
        ("NRI (continuous)", "Model CSD - Model CS"): {
            "together (95 % interval)": "0.500 (0.100 to 0.900)",
            "SE": "0.200",
            "events": "0.300 (0.000 to 0.600)",
            "non-events": "0.200 (0.000 to 0.400)",
            "warning": "NRI and IDI mean nothing, the comparator is miscalibrated",
        }
    }


def test_reclassification_names_the_models_that_make_it_meaningless():
    said = words.reclassification_verdict(RECLASSIFIED)
    assert "mean nothing where Model CS takes part" in said
    calm = words.reclassification_verdict(RECLASSIFIED.assign(note=np.nan))
    assert calm.startswith("No model of these pairs is shown to be miscalibrated")


def test_p_values_of_reclassification_are_shown_where_there_are_any():
    published = RECLASSIFIED.assign(p_value=[0.04, np.nan, np.nan])
    assert words.reclassification(published)["p"].tolist() == ["0.040"]


def test_one_model_has_nothing_to_reclassify():
    assert "nothing is reclassified" in words.reclassification(RECLASSIFIED[:0])._repr_html_()


FROZEN_CSD = SimpleNamespace(intercept=-1.25, cs=0.5, d=2.0, note="")


def test_a_horizon_s_model_is_said_with_its_note():
    models = [
        SimpleNamespace(horizon_months=12, model=FROZEN_CSD, note="9 events by then"),
        SimpleNamespace(horizon_months=24, model=None, note="nobody was followed so long"),
    ]
    said = words.horizon_models(SimpleNamespace(combined=FROZEN_CSD, horizons=models))
    year, two_years = said.splitlines()
    assert year.startswith("- `risk_12`, by 12 months: log odds = -1.250 + 0.500 x score of Model")
    assert year.endswith("+ 2.000 x log odds of Model D's risk. **Note:** 9 events by then.")
    assert two_years.endswith("no model, since in development nobody was followed so long.")


def test_without_model_d_there_is_no_risk_by_a_horizon_and_it_is_said():
    assert "no Model D" in words.horizon_models(SimpleNamespace(combined=None, horizons=()))
    nothing = pd.DataFrame(columns=list(horizon_risks.COLUMNS))
    assert "No patient has a risk by" in words.horizon_risks(nothing)._repr_html_()


def test_a_horizon_s_figures_read_in_words():
    figures = {
        "auc": (0.8, 0.7, 0.9), "brier": (0.15, 0.1, 0.2), "observed": (0.2, 0.1, 0.3),
        "expected": (0.25, np.nan, np.nan), "observed_expected": (np.nan, np.nan, np.nan),
    }  # fmt: skip
    given = ("csd", 12, "out_of_fold", 40, 30, 8, "too_few_events")
    rows = [(*given[:3], metric, *three, *given[3:]) for metric, three in figures.items()]
    table = pd.DataFrame(rows, columns=list(horizon_risks.COLUMNS))
    assert words.horizon_risks(table)["by 12 months (out of fold)"].to_dict() == {
        "Events by then": "8 of 40",
        "State known then": "30 of 40",
        "AUC": "0.800 (0.700 to 0.900)",
        "Brier score": "0.150 (0.100 to 0.200)",
        "Share with the event, death competing": "0.200 (0.100 to 0.300)",
        "Mean predicted risk": "0.250",
        "Observed / expected events": "not estimable",
        "To be known": "fewer than 10 events: no test, no headline",
    }
