"""Tables and sentences for reading: every number in them is read from a table."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from hcc_utils import checks
from hcc_utils.models import shortcuts
from hcc_utils.study.vocabulary import MODELS, VARIABLES, label

METRICS: dict[str, str] = {
    "auc": "AUC",
    "brier": "Brier score",
    "scaled_brier": "Scaled Brier score",
    "calibration_intercept": "Calibration intercept",
    "calibration_slope": "Calibration slope",
    "observed_expected": "Observed / expected events",
    "ici": "Distance of the curve: mean (ICI)",
    "e50": "Distance of the curve: median (E50)",
    "e90": "Distance of the curve: 90th percentile (E90)",
    "hosmer_lemeshow": "Hosmer-Lemeshow chi-square",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "Positive predictive value",
    "npv": "Negative predictive value",
    "net_benefit": "Net benefit at the threshold",
    "auc_difference": "Difference in AUC",
    "brier_difference": "Difference in Brier score",
    "scaled_brier_difference": "Difference in scaled Brier score",
    "net_benefit_difference": "Difference in net benefit",
    "likelihood_ratio": "Chi-square of what is added",
    "nri_categorical": "NRI (at the threshold)",
    "nri": "NRI (continuous)",
    "idi": "IDI",
}
_CHI_SQUARES = ("likelihood_ratio", "hosmer_lemeshow")
"""Figures that are held against chance and have no interval."""
_CHOICE = {"apparent": "fitted on them", "tuned": "chosen on them", "external": "new to them"}
"""What a model has to do with the patients whom it scores, by the origin of its scores."""
NOTES: dict[str, str] = {
    "one_class": "only events or only non-events: nothing can be estimated",
    "too_few_events": "fewer than 10 events: no test, no headline",
    "stacked_no_headline": "fitted on these patients' own scores: no headline",
    "apparent_no_headline": "fitted on these very patients: no headline",
    "tuned_no_headline": "chosen on these very patients: no headline",
    "interval_ignores_refitting": "the interval leaves out the spread between folds: too narrow",
    "model_miscalibrated": "NRI and IDI mean nothing, the model is miscalibrated",
    "comparator_miscalibrated": "NRI and IDI mean nothing, the comparator is miscalibrated",
    "threshold_may_be_chosen_here": "the threshold was chosen on these patients",
    "not_pooled": "without a standard error: not in the mean",
    "one_centre_only": "one centre only: nothing is pooled",
    "no_centre": "no centre has an estimate",
    "fewer_than_3_centres": "fewer than 3 centres: nothing is said of the next one",
}


CODINGS: dict[str, str] = {
    "censored": "no event: follow-up ends at the last visit",
    "death_at_last_visit": "competing, placed at the last visit",
    "followed_to_death": "competing, in the month of death; the living to their last contact",
}


ATTRIBUTIONS: dict[str, str] = {
    "grad_cam": "Grad-CAM",
    "integrated_gradients": "Integrated gradients",
}


ATTRIBUTION_CHECKS: dict[str, str] = {
    "completeness": "Completeness: what the sum lacks",
    "randomisation": "Random weights: similarity of the map",
    "deletion": "Deletion: area below chance",
    "share_in_lesion_box": "Share in the lesion's box",
    "share_in_margin": "Share in the margin",
    "agreement": "Agreement between networks",
}


STATISTICS: dict[str, str] = {
    "icc2": "ICC2 (agreement)",
    "icc3": "ICC3 (consistency)",
    "kappa": "kappa",
    "weighted_kappa": "kappa, quadratic weights",
    "fleiss_kappa": "Fleiss' kappa",
}


TOLD: dict[str, str] = {
    "centre": "hospital",
    "kvp": "tube voltage (kVp)",
    "slice_thickness_mm": "slice thickness (mm)",
    "kernel": "reconstruction kernel",
    "one_level": "all alike: nothing to tell",
    "few_patients": "no level has 10 patients with and 10 without it",
    "same_as_centre": "the same question as the hospital",
}


SIZE: dict[str, str] = {
    "spearman": "Spearman's correlation of score and diameter",
    "auc_score": "AUC of the score",
    "auc_diameter": "AUC of the diameter alone",
    "auc_score_third_1": "AUC of the score, smallest third of lesions",
    "auc_score_third_2": "AUC of the score, middle third",
    "auc_score_third_3": "AUC of the score, largest third",
    "added": "What the score adds to diameter (signed root of the chi-square)",
}


SIZE_VERDICTS: dict[str, str] = {
    "adds_to_size": "The score tells more than size: it adds to log diameter and its square",
    "only_size": "**The score is only size**: it follows the diameter and adds nothing to it",
    "nothing_shown": "Neither is shown: that the score is only size, or that it adds to size",
}


PERTURBATIONS: dict[str, str] = {
    "roi_shift_pixels": "box moved (pixels of the CT)",
    "resize_kernel": "resized by another kernel (linear before)",
    "noise_hu": "noise added (SD, HU)",
    "window_centre_percent": "window's centre lower and higher (%)",
    "window_width_percent": "window narrower and wider (%)",
    "slices_fewer": "first or last slice left out",
}


SPREAD: dict[str, str] = {
    "out_of_fold": "development, out of fold",
    "external": "these patients, external",
}


SEEDS: dict[str, str] = {
    "sd_between_seeds": "SD of a patient's log odds between trainings",
    "sd_between_seeds_p95": "the same, 95th percentile of patients",
    "sd_between_patients": "SD of the log odds between patients",
}


class _Whole(pd.DataFrame):  # type: ignore[misc] # pandas carries no types
    """A table for reading, shown with all its rows, all their words and its caption."""

    def _repr_html_(self) -> str:
        if self.empty:
            return f"<p>{self.attrs.get('nothing', 'Nothing to show.')}</p>"
        with pd.option_context("display.max_colwidth", None):
            html: str = self.to_html(max_rows=None)
        if "caption" in self.attrs:
            caption = f"<caption>{escape(self.attrs['caption'])}</caption>"
            return html.replace("<thead>", f"{caption}\n  <thead>", 1)
        return html


class _Each(dict[str, _Whole]):
    """Tables for reading, shown one below the other."""

    def _repr_html_(self) -> str:
        return "\n".join(table._repr_html_() for table in self.values())


_VARIABLES = {"n": "Patients", "afp_band": "AFP (ng/mL)", "lesion_band": "Number of lesions"}


def p_value(value: float) -> str:
    """
    A p-value as it is printed.

    Parameters
    ----------
    value : float
        In [0, 1], or missing.

    Returns
    -------
    str
        Such as "0.031", "<0.001", or nothing where it is missing.
    """
    if pd.isna(value):
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def interval(estimate: float, low: float, high: float, digits: int = 3) -> str:
    """
    An estimate with its interval as it is printed.

    Parameters
    ----------
    estimate, low, high : float
        The estimate and its limits, or missing.
    digits : int, default 3
        After the point.

    Returns
    -------
    str
        Such as "0.812 (0.744 to 0.866)"; "not estimable" where it is missing.
    """
    if pd.isna(estimate):
        return "not estimable"
    if pd.isna(low) or pd.isna(high):
        return f"{estimate:.{digits}f} (no interval)"
    return f"{estimate:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def tables_one(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """
    Table 1 in a reader's words, a table for each grouping.

    Parameters
    ----------
    table : pandas.DataFrame
        As `study.cohort.tables_one` gives it.

    Returns
    -------
    dict of str to pandas.DataFrame
        Text by grouping, indexed by variable and level; shown one below the other, each under
        the grouping's name. What a grouping leaves empty, such as the SMD of three groups, is
        left out.
    """
    return _Each({by: _table_one(rows, by) for by, rows in table.groupby("by", sort=False)})


def _table_one(table: pd.DataFrame, by: str) -> _Whole:
    """Table 1 by one grouping."""
    again = table["variable"].duplicated()
    text = table.drop(columns=["by", "statistic"]).astype(object)
    text["variable"] = table["variable"].map(lambda name: _VARIABLES.get(name) or label(name))
    text["variable"] = text["variable"].mask(again, "")
    text["level"] = table["level"].fillna("").map(_level)
    text["p_value"] = table["p_value"].map(p_value)
    text["smd"] = table["smd"].map(lambda smd: "" if pd.isna(smd) else f"{smd:.2f}")
    text = text.where(text.notna(), "").set_index(["variable", "level"])
    text = text.loc[:, text.ne("").any()]
    order = [*VARIABLES[by].levels, *text]  # groups in the vocabulary's order, the rest behind
    text = text[sorted(text, key=order.index)].rename(columns=lambda name: _head(name, by))
    shown = _Whole(text)
    shown.attrs["caption"] = f"By {label(by)}"
    return shown


def _level(name: str) -> str:
    return {"True": "yes", "False": "no"}.get(name, name.replace("_", "-"))


def _head(name: str, by: str) -> str:
    """What stands above a column of Table 1: a group, or what the test gave."""
    if name in ("test", "p_value", "smd"):
        return {"p_value": "p", "smd": "SMD"}.get(name, name)
    if by == "centre":
        return name.replace("_", " ").capitalize()
    if VARIABLES[by].room == "outcome":
        return {"True": "with the event", "False": "without"}[name]
    return _level(name)


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """
    How far readers agree, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``agreement.csv``.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by variable and statistic. Without rows it says that nothing was read apart.
    """
    rows = list(table.itertuples())
    text = {
        "readers": [str(row.readers) for row in rows],
        "patients": [str(row.n) for row in rows],
        "estimate (95 % interval)": [_estimate(row) for row in rows],
    }
    index = pd.MultiIndex.from_arrays(
        [table["variable"].map(label), table["statistic"].map(STATISTICS)],
        names=["variable", "statistic"],
    )
    shown = _Whole(pd.DataFrame(text, index=index))
    shown.attrs["nothing"] = "No variable of this study was read by several readers apart."
    return shown


def adjudication(table: pd.DataFrame) -> pd.DataFrame:
    """
    What became of the readings that two readers did not share, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``adjudication.csv``.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by variable.
    """
    rows = list(table.itertuples())
    text = {
        "disputed": [_of(row.disputed, row.n) for row in rows],
        "read by the third": [str(row.third) for row in rows],
        "no two agree": [str(row.open) for row in rows],
        "other value in the table": [str(row.differs) for row in rows],
    }
    shown = _Whole(pd.DataFrame(text, index=table["variable"].map(label)))
    shown.attrs["nothing"] = "No factor of this study was read by two readers."
    return shown


def rank_correlation(found: Any) -> str:
    """
    How Child-Pugh class and BCLC stage go together, in a sentence.

    Parameters
    ----------
    found : evaluation.agreement.RankCorrelation
        Of the two.

    Returns
    -------
    str
        Markdown.
    """
    if pd.isna(found.rho):
        return (
            "Child-Pugh class and BCLC stage are not correlated here: one was not recorded or "
            "does not vary."
        )
    p = p_value(found.p_value)
    p = f"p {p}" if p.startswith("<") else f"p = {p}"
    return (
        f"Child-Pugh class and BCLC stage: Spearman's correlation {found.rho:.3f} ({p}) in "
        f"{found.n} patients."
    )


def criteria(table: pd.DataFrame, screened: int) -> pd.DataFrame:
    """
    How many patients fail each criterion by itself, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``criteria.csv``.
    screened : int
        How many patients were screened.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by criterion; the words in brackets say why one was not applied.
    """
    failing = ["" if pd.isna(count) else f"{count} of {screened}" for count in table["failing"]]
    reasons = [str(reason)[:1].upper() + str(reason)[1:] for reason in table["reason"]]
    return _Whole({"patients": failing}, index=pd.Index(reasons, name="left out for"))


def cohort(screened: pd.DataFrame, patients: pd.DataFrame, flow: pd.DataFrame, study: Any) -> str:
    """
    Who was screened, who stayed, and how many had the event, in sentences.

    Parameters
    ----------
    screened, patients : pandas.DataFrame
        One row a patient: everybody, and those who stay.
    flow : pandas.DataFrame
        Rows of ``flow.csv``.
    study : study.manifest.Manifest
        Its endpoint, and what is to be known of it.

    Returns
    -------
    str
        Markdown.
    """
    left = int(flow.loc[flow["excluded"] > 0, "excluded"].sum())
    back = -int(flow.loc[flow["step"] == "come_back", "excluded"].sum())
    events, n = int(patients[study.endpoint].sum()), len(patients)
    moved = f"{left} left"
    if back:
        moved += f" by the paper's criteria, {back} of whom come back for this study's question"
    said = (
        f"Of {len(screened)} patients screened, {moved}, and **{n}** stayed; **{events}** of them "
        f"({events / n:.0%}) had the event ({label(study.endpoint).lower()})."
    )
    return f"{said}\n\n{study.endpoint_note}" if study.endpoint_note else said


def stages(patients: pd.DataFrame, disagreements: pd.DataFrame) -> str:
    """
    How often the recorded stage differs from the one that size and number give.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.
    disagreements : pandas.DataFrame
        As `study.cohort.stage_disagreements` gives them.

    Returns
    -------
    str
        A sentence; where stage, size or number was not recorded it says so.
    """
    lacking = [name for name in ("bclc", "diameter_mm", "lesion_count") if name not in patients]
    if lacking:
        return f"Not recorded, so that nothing is compared: {', '.join(map(label, lacking))}."
    return (
        f"In {len(disagreements)} of {len(patients)} patients the recorded stage differs "
        "from the one that size and number give."
    )


def index_date(patients: pd.DataFrame, time_zero: str) -> str:
    """
    From when time is counted, and how many scans lie far from the first treatment.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient.
    time_zero : str
        The manifest's word.

    Returns
    -------
    str
        Markdown.
    """
    said = f"Time is counted from: **{time_zero}**."
    if "months_scan_to_treatment" not in patients:
        return f"{said} The time between CT and treatment was not recorded."
    days = patients["months_scan_to_treatment"].abs() * _DAYS_A_MONTH
    far, known = int((days > _FAR_DAYS).sum()), int(days.notna().sum())
    return (
        f"{said} CT and first treatment lie more than {_FAR_DAYS} days apart in {far} of {known} "
        "patients in whom both dates are known."
    )


_DAYS_A_MONTH, _FAR_DAYS = 30.4375, 30


def follow_up(table: pd.DataFrame) -> pd.DataFrame:
    """
    How long patients were followed, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``follow_up.csv``.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by outcome and centre.
    """
    rows = list(table.itertuples())
    text = {
        "patients": [str(row.n) for row in rows],
        "followed to the end without it": [str(row.followed) for row in rows],
        "median months (95 % interval)": [
            _median(row.median_months, row.low, row.high) for row in rows
        ],
    }
    index = [table["outcome"].map(label), table["centre"]]
    return _Whole(pd.DataFrame(text).set_index(index))


def short_follow_up(table: pd.DataFrame) -> str:
    """
    Who was left out for a short follow-up, and what happened to those who were not.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``short_follow_up.csv``.

    Returns
    -------
    str
        Markdown.
    """
    sums = table.drop(columns="centre").sum()
    stayed = (
        f"{sums.short_event} who had the event within a year and {sums.short_died} who died within "
        "it without the event"
    )
    if not sums.left_out:
        return (
            f"Nobody was left out for a short follow-up; of {sums.n} patients {sums.short_free} "
            f"were followed for less than a year, alive and without the event, beside {stayed}."
        )
    return (
        f"Of {sums.n} patients who pass every other criterion, **{sums.left_out}** were left out "
        f"because they were followed for less than a year; {sums.left_out_free} of these were "
        f"alive and without the event. The same year spared {stayed}. Leaving out by what is known "
        "only later takes away patients without the event alone, and so raises the share with it."
    )


def event_fractions(table: pd.DataFrame) -> pd.DataFrame:
    """
    The share with the event by complete outcomes only and by Aalen-Johansen, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``event_fraction.csv``.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by patients and month.
    """
    rows = list(table.itertuples())
    text = {
        "outcome known": [f"{row.known} of {row.n}" for row in rows],
        "complete outcomes only": [
            f"{row.events}: {interval(row.complete, row.complete_low, row.complete_high)}"
            for row in rows
        ],
        "Aalen-Johansen": [
            interval(row.incidence, row.incidence_low, row.incidence_high) for row in rows
        ],
        "difference": ["" if pd.isna(row.difference) else f"{row.difference:+.3f}" for row in rows],
    }
    index = [table["group"].rename("patients"), table["months"].rename("by month")]
    return _Whole(pd.DataFrame(text).set_index(index))


def _percent(fraction: float) -> str:
    """A percentage that says more than 0 where something is there."""
    return "<1%" if 0 < fraction < 0.005 else f"{fraction:.0%}"


def missing(table: pd.DataFrame) -> pd.DataFrame:
    """
    How many values are missing, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``missing.csv``.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by centre and variable.
    """
    shares = [
        f"{row.missing} of {row.n} ({_percent(row.missing / row.n)})" for row in table.itertuples()
    ]
    text = pd.DataFrame({"missing": shares})
    return _Whole(text.set_index([table["centre"], table["variable"].map(label)]))


def problems(table: pd.DataFrame, most: int = 10) -> str:
    """
    The patients without slices, each with the rule and the next step.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``imaging_problems.csv``; it names patients, so that this belongs to the internal
        edition.
    most : int, default 10
        How many are written out.

    Returns
    -------
    str
        Markdown.
    """
    if table.empty:
        return "Nobody was kept out."
    counts = table["rule"].value_counts()
    said = ", ".join(f"{_rule(rule)} ({count})" for rule, count in counts.items())
    lines = [
        f"- **{r.patient_id}**: {_placeless(r.message)}" for r in table.head(most).itertuples()
    ]
    rest = len(table) - most
    more = [f"- and {rest} more in imaging_problems.csv"] if rest > 0 else []
    return "\n".join([f"{len(table)} patient(s): {said}.", "", *lines, *more])


def slices(patients: pd.DataFrame, table: pd.DataFrame, qc: pd.DataFrame) -> str:
    """
    How many slices came out, of how many patients, and how many a reader must look at.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient of the study, with ``has_ct`` where it was recorded.
    table : pandas.DataFrame
        Rows of ``slices.csv``.
    qc : pandas.DataFrame
        Rows of ``qc.csv``.

    Returns
    -------
    str
        Markdown.
    """
    at_hand = int(patients["has_ct"].sum()) if "has_ct" in patients else len(patients)
    counts = table.groupby("patient_id").size()
    said = f"Of {len(patients)} patients {at_hand} have images at hand. "
    if counts.empty:
        return f"{said}**None** has slices: the rules above say why."
    warned = qc.loc[qc["status"] == "warn", "patient_id"].nunique()
    return (
        f"{said}**{len(counts)}** have slices, {len(table)} in all, {counts.median():.0f} a "
        f"patient in the median ({counts.min()} to {counts.max()}). Quality control warns of "
        f"{warned} of them; {at_hand - len(counts)} patient(s) without slices are named above."
    )


def _placeless(message: str) -> str:
    """A message whose files are named without the folders of the machine they lie on."""
    return re.sub(r"(?<!\S)/(?:[^\s/]+/)+([^\s/]+)", r"\1", message)


def imaging_warnings(table: pd.DataFrame) -> pd.DataFrame:
    """
    What must be known of series that are used; it names patients: for the internal edition.

    Parameters
    ----------
    table : pandas.DataFrame
        As `imaging.study_slices.warnings_of` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by patient. Without rows it says that there is nothing to know.
    """
    shown = _Whole(
        {"what": table["meaning"].to_list()}, index=table["patient_id"].rename("patient")
    )
    shown.attrs["nothing"] = "No series that is used breaks a rule."
    return shown


def hounsfield(table: pd.DataFrame, most: int = 40) -> pd.DataFrame:
    """
    Tissues where they are known, with what they measure, a row a patient and tissue.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``hounsfield.csv``; it names patients: for the internal edition.
    most : int, default 40
        Of more rows those that are not as expected are shown; the caption counts the others.

    Returns
    -------
    pandas.DataFrame
        Text. Without rows it says that nothing names a tissue.
    """
    expected = table["inside"].fillna(value=False)
    said = f"{expected.sum()} of {len(table)} measurements are as expected (hounsfield.csv)."
    is_long = len(table) > most
    table = table[~expected] if is_long else table
    rows = list(table.itertuples())
    text = {
        "HU, mean ± SD": [r.problem or f"{r.hu:.0f} ± {r.sd_hu:.0f}" for r in rows],
        "expected": [f"{r.low_hu:.0f} to {r.high_hu:.0f}" for r in rows],
        "": ["" if r.problem else "as expected" if r.inside else "outside" for r in rows],
        "RescaleIntercept": ["" if r.problem else f"{r.rescale_intercept:.0f}" for r in rows],
    }
    shown = _Whole(pd.DataFrame(text))
    shown.index = pd.MultiIndex.from_frame(
        table[["patient_id", "tissue"]], names=["patient", "tissue"]
    )
    shown.attrs["nothing"] = said if is_long else "No landmark and no outline names a tissue."
    if is_long:
        shown.attrs["caption"] = said
    return shown


def quality(table: pd.DataFrame) -> pd.DataFrame:
    """
    The patients whose images a reader must look at, and why; it names patients: internal edition.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``qc.csv``.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by hospital and patient, the refused first. Without rows it says that nothing
        was found.
    """
    found = table[table["status"].isin(["warn", "refuse"])]
    said = found.assign(
        what=[
            f"{_rule(r.rule)}{_beyond(r.value, r.limit)}: {r.meaning}" for r in found.itertuples()
        ]
    )
    patients = said.groupby(["centre", "patient_id"], sort=False)
    text = patients.agg(status=("status", "min"), what=("what", "; ".join))  # refuse before warn
    shown = _Whole(text.sort_values("status", kind="stable").rename_axis(["hospital", "patient"]))
    shown.attrs["nothing"] = "No rule warns of any image."
    return shown


def quality_counts(counts: pd.DataFrame) -> pd.DataFrame:
    """
    What each rule says of the images, hospital by hospital; no patient's row.

    Parameters
    ----------
    counts : pandas.DataFrame
        As `imaging.quality.counts` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by rule, one column a hospital: how many do not pass, of how many. Rules that
        everybody passes are named in the caption.
    """
    counts = counts.assign(
        said=[_not_passed(row) for row in counts.to_dict("records")],
        rule=counts["rule"].map(_rule),
    )
    text = counts.pivot_table("said", "rule", "centre", aggfunc="first", sort=False).fillna("")
    kept = text.replace("all pass", "").eq("").all(axis=1)
    shown = _Whole(text[~kept].rename_axis(columns=None))
    passed = f"All images pass: {', '.join(text.index[kept])}." if kept.any() else ""
    shown.attrs["nothing"] = passed or "No images were judged."
    if passed:
        shown.attrs["caption"] = passed
    return shown


def _rule(name: str) -> str:
    """A rule's name in words, its unit in brackets."""
    words = name.replace("kvp", "tube voltage_kVp").replace("_hu", "_HU").replace("_", " ")
    return re.sub(r" (mm|HU|kVp)$", r" (\1)", words)


def _beyond(value: float, limit: str) -> str:
    """A value beside its limit; nothing where a rule is either kept or broken."""
    return "" if pd.isna(value) or limit == "none" else f" {value:.3g} ({limit})"


def _not_passed(row: dict[Hashable, Any]) -> str:
    """How many do not pass a rule in one hospital."""
    statuses = ("refuse", "warn", "not measurable")
    of = row["pass"] + sum(row[status] for status in statuses)
    said = [f"{status} {row[status]} of {of}" for status in statuses if row[status]]
    return ", ".join(said) or "all pass"


def groups(patients: pd.DataFrame, named: Sequence[str]) -> str:
    """
    Which groups are compared and how many patients each has, a line a grouping.

    Parameters
    ----------
    patients : pandas.DataFrame
        As `models.protocol.risk_groups` gives them.
    named : sequence of str
        The groupings that the study names; those that its table lacks are said.

    Returns
    -------
    str
        Markdown.
    """
    everyone = int((patients["grouping"] == "all").sum())
    lines = [f"- **All patients**: {everyone}."]
    for grouping, rows in patients.groupby("grouping", sort=False):
        if grouping != "all":
            counts = rows["group"].value_counts(sort=False)
            sizes = ", ".join(f"{group} {n}" for group, n in counts.items())
            left = everyone - len(rows)
            without = f"; left out without a value: {left}" if left else ""
            lines.append(f"- **{grouping_name(str(grouping))}**: {sizes}{without}.")
    absent = [name for name in named if name not in set(patients["grouping"])]
    lines += [f"- **{grouping_name(name)}**: not recorded here." for name in absent]
    return "\n".join(lines)


def grouping_name(grouping: str) -> str:
    """
    A grouping in a reader's words.

    Parameters
    ----------
    grouping : str
        ``all``, ``risk`` or a column.

    Returns
    -------
    str
        Such as "Child-Pugh class".
    """
    return {"all": "All patients", "risk": "Risk"}.get(grouping) or label(grouping)


def group_name(grouping: str, group: str) -> str:
    """
    A group in a reader's words, which say what it is a group of.

    Parameters
    ----------
    grouping : str
        ``all``, ``risk`` or a column.
    group : str
        One of its groups.

    Returns
    -------
    str
        Such as "High risk", "Child-Pugh class A" or "Cirrhosis: yes".
    """
    if grouping == "all":
        return "All patients"
    if grouping == "risk":
        return f"{group.capitalize()} risk"
    between = " " if VARIABLES[grouping].kind == "ordinal" else ": "
    return f"{label(grouping)}{between}{group}"


def medians(summary: pd.DataFrame) -> pd.DataFrame:
    """
    Median times by group, in a reader's words.

    Parameters
    ----------
    summary : pandas.DataFrame
        Rows of ``survival_summary.csv`` of one outcome.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by group; the test between a grouping's groups stands at its first.
    """
    rows = list(summary.itertuples())
    tested = summary["p_value"].mask(summary["grouping"].duplicated())
    text = {
        "patients (events)": [f"{row.n} ({row.events})" for row in rows],
        "median, months (95 % interval)": [
            _median(row.median_months, row.low, row.high) for row in rows
        ],
        "log-rank p": [p_value(value) for value in tested],
    }
    shown = _Whole(pd.DataFrame(text, index=_groups_of(rows)))
    shown.attrs["nothing"] = _DEATH_ITSELF
    return shown


def cox(table: pd.DataFrame) -> pd.DataFrame:
    """
    Hazard ratios by group, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``cox.csv`` of one outcome.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by group; the first of each grouping is the reference. Groupings with one
        group are left out.
    """
    several = table.groupby("grouping")["group"].transform("size") > 1
    rows = list(table[several].itertuples())
    text = {
        "patients (events)": [f"{row.n} ({row.events})" for row in rows],
        "hazard ratio (95 % interval)": [_hazard(row) for row in rows],
        "p": [p_value(row.p_value) for row in rows],
    }
    shown = _Whole(pd.DataFrame(text, index=_groups_of(rows)))
    shown.attrs["nothing"] = "There are no two groups to compare."
    return shown


def codings(table: pd.DataFrame) -> pd.DataFrame:
    """
    The incidence under each way to count deaths without the event, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``codings.csv``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a coding, a column a month.
    """
    cells: dict[str, dict[str, str]] = {}
    for row in table.itertuples():
        cell = "nobody followed so long" if pd.isna(row.estimate) else _share(row)
        cells.setdefault(CODINGS[row.coding], {})[f"by {row.months:g} months"] = cell
    text = pd.DataFrame.from_dict(cells, orient="index")
    shown = _Whole(text.rename_axis("deaths without the event"))
    shown.attrs["nothing"] = _DEATH_ITSELF
    return shown


def censoring(counts: pd.DataFrame, said: str | None = None) -> str:
    """
    How many ended without the event, how many of these died how much later, in sentences.

    Parameters
    ----------
    counts : pandas.DataFrame
        As `evaluation.time_course.censoring` gives them.
    said : str, optional
        The study's own words on how follow-up of the event ends.

    Returns
    -------
    str
        Markdown.
    """
    if counts.empty:
        return _DEATH_ITSELF
    row = next(counts.itertuples())
    event = label(row.outcome).lower()
    lines = [f"{row.without} of {row.n} patients had no {event} up to their last visit for it."]
    if row.died:
        lines.append(
            f"**{row.died}** of these {row.without} died without it, half of them more than "
            f"{row.median_months:.1f} months after that visit. To censor them there takes them to "
            f"be like those who were followed on. If visits end because a patient does worse, "
            f"they are not: the censoring is informative."
        )
    else:
        lines.append("None of these died: death competes with nothing here.")
    return "\n\n".join([" ".join(lines), *([said] if said else [])])


_DEATH_ITSELF = "The event is death itself: nothing competes with it."


def pooled(table: pd.DataFrame) -> pd.DataFrame:
    """
    Each centre's figures, the pooled ones and the next centre's, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``pooled.csv``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a figure and centre, a column a model. `notes` says what must be known.
    """
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in table.itertuples():
        centre = row.centre.replace("_", " ").capitalize()
        cells.setdefault((_figure(row), centre), {})[label(row.model)] = _estimate(row)
    text = pd.DataFrame(cells).T.fillna("").rename_axis(["figure", "centre"])
    return _Whole(text)


_SELECTED = (
    "The intervals and p-values above ignore that its factors were selected on the same patients: "
    "the intervals are too narrow, the p-values too small."
)


def models(frozen: Any) -> str:
    """
    What the models hold and how they came about.

    Parameters
    ----------
    frozen : models.protocol.Models
        Models CS and CSD, or a clinical model alone, with their thresholds.

    Returns
    -------
    str
        Markdown.
    """
    csd = frozen.combined
    factors = ", ".join(term(name) for name in frozen.clinical.terms) or "no factor"
    cuts = ", ".join(f"{label(model)} {cut:.2f}" for model, cut in frozen.thresholds.items())
    if csd is None:
        lines = [f"- The clinical model holds the factors named before any fit: {factors}."]
        said: tuple[str, ...] = (frozen.clinical.note,)
    else:
        lines = [
            f"- Model CS holds: {factors}." + (f" {_SELECTED}" if frozen.clinical.terms else ""),
            f"- Model CSD: log odds = {csd.intercept:.3f} + {_csd_terms(csd)}.",
        ]
        said = (frozen.clinical.note, csd.note, csd.recalibration.note)
    lines += [
        f"- Thresholds (Youden, in development): {cuts}.",
        *(f"- **Note:** {words}." for words in said if words),
    ]
    return "\n".join(lines)


def support(scores: Any, patients: pd.DataFrame, endpoint: str, frozen: Any) -> str:
    """
    How many events the models were built on, and what so many can and cannot support.

    Parameters
    ----------
    scores : study.scores.Scores
        Of development's patients.
    patients : pandas.DataFrame
        Rows of ``patients.csv``.
    endpoint : str
        The outcome's column.
    frozen : models.protocol.Models
        The models.

    Returns
    -------
    str
        Markdown; for the published models the counts alone.
    """
    if frozen.combined is not None:
        one = scores.only(model="csd").table
        return f"{int(one['event'].sum())} of the {len(one)} patients scored had the event."
    table, terms = scores.table, len(frozen.clinical.terms)
    events, months = int(table["event"].sum()), int(table["horizon_months"].iloc[0])
    left = len(patients) - len(table)
    name = label(endpoint).lower()
    unknown = (
        f" {left} patient(s) are left out: their last contact came before {months} months."
        if left
        else ""
    )
    return (
        f"Of {len(patients)} patients {int(patients[endpoint].sum())} had {name} at any time; in "
        f"{events} of {len(table)} it was recorded within {months} months, and that is what the "
        f"model predicts. Who died, or was followed no further for it, without a record counts as "
        f"without.{unknown}\n\n"
        f"{events} events for {terms} factors are {events / terms:.0f} a factor. **That can "
        f"support** a model whose factors were named beforehand and whose coefficients are drawn "
        f"towards 0, and an AUC with a wide interval. **It cannot support** a choice among more "
        f"factors, curved effects or interactions, a threshold to act upon, or a claim for another "
        f"hospital: there was none to try it in."
    )


OPTIMISM: dict[str, str] = {
    "auc": "AUC",
    "calibration_slope": "Calibration slope",
    "brier": "Brier score",
    "scaled_brier": "Scaled Brier score",
}


def told(table: pd.DataFrame) -> pd.DataFrame:
    """
    What score and features tell of hospital and scanner, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.shortcuts.told` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by setting and level.
    """
    rows = list(table.itertuples())
    text = {
        "from": table["source"].fillna("").tolist(),
        "patients": [_of(row.with_level, row.n) for row in rows],
        "AUC (95 % interval)": [interval(row.auc, row.low, row.high) for row in rows],
        "by chance": [_span(row.chance_low, row.chance_high) for row in rows],
        "p": table["p_value"].map(p_value).tolist(),
        "note": table["note"].replace(TOLD).tolist(),
    }
    index = [table["setting"].replace(TOLD), table["level"].fillna("")]
    return _Whole(pd.DataFrame(text, index=pd.MultiIndex.from_arrays(index)))


_NOT_JUDGED = "By a borrowed network nothing may be judged."


def within_centres(table: pd.DataFrame) -> str:
    """
    Whether a score looks better pooled than within hospitals.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.shortcuts.within_centres` gives it.

    Returns
    -------
    str
        A sentence; another one where all patients are of one hospital or one class, or nothing
        may be judged.
    """
    if table.empty:
        return _NOT_JUDGED
    row = {one.pairs: one for one in table.itertuples()}
    if not (row["same_centre"].n_pairs and row["other_centre"].n_pairs):
        return "Pairs within and between hospitals cannot be compared here: there is one kind only."
    all_, same, gain = (
        interval(one.auc, one.low, one.high)
        for one in (row["all"], row["same_centre"], row["all_less_same_centre"])
    )
    return (
        f"Over all pairs of a patient with and one without the event the AUC is {all_}; over the "
        f"{row['same_centre'].n_pairs} pairs of one hospital it is {same}. Pooling adds {gain}: "
        f"{_pooling(row['all_less_same_centre'].low)}"
    )


def _pooling(low: float) -> str:
    """What the gain's lower limit says."""
    if low > 0:
        return "**part of the pooled AUC only tells hospitals apart.**"
    return (
        "these patients do not show that the pooled AUC owes anything to telling hospitals apart."
    )


def case_mix(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """
    How a centre's patients differ from those the models were made of, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``case_mix.csv``.

    Returns
    -------
    dict of str to pandas.DataFrame
        Text by centre, indexed by variable, the furthest first.
    """
    smds = table[table["statistic"] == "smd"]
    return _Each({centre: _case_mix(rows) for centre, rows in smds.groupby("centre", sort=False)})


def _case_mix(rows: pd.DataFrame) -> _Whole:
    """One centre's standardised differences."""
    rows = rows.iloc[rows["estimate"].abs().fillna(-1).argsort()[::-1]]
    against = rows["against"].iloc[0]
    text = {
        against: ["" if pd.isna(mean) else f"{mean:.2f}" for mean in rows["development"]],
        "here": ["" if pd.isna(mean) else f"{mean:.2f}" for mean in rows["here"]],
        "SMD": ["" if pd.isna(smd) else f"{smd:.2f}" for smd in rows["estimate"]],
        "patients here": rows["n"].astype(int).astype(str).tolist(),
    }
    names = [_PUBLISHED_CS if name == "published_cs" else label(name) for name in rows["variable"]]
    shown = _Whole(pd.DataFrame(text, index=pd.Index(names, name="mean or share")))
    shown.attrs["caption"] = f"{_head(str(rows['centre'].iloc[0]), 'centre')} against {against}"
    return shown


_PUBLISHED_CS = "Score of the published Model CS"


def case_mix_verdict(table: pd.DataFrame) -> str:
    """
    How far centres lie apart as a whole, in sentences.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``case_mix.csv``.

    Returns
    -------
    str
        Markdown, a line a centre.
    """
    if table.empty:
        return "There is no other hospital to compare with, or nothing was frozen of one."
    lines = []
    for centre, rows in table.groupby("centre", sort=False):
        said = _apart(rows.set_index("statistic"))
        lines.append(f"- **{_head(str(centre), 'centre')}**: {'; '.join(said)}.")
    return "\n".join(lines)


def _apart(rows: pd.DataFrame) -> list[str]:
    """What is said of one centre as a whole."""
    smd = rows[rows.index == "smd"]["estimate"].abs()
    said = [f"{_of((smd > 0.2).sum(), len(smd))} variables differ by more than 0.2 SD"]
    if "mahalanobis" in rows.index:
        away, chance = rows["estimate"][["mahalanobis", "mahalanobis_by_chance"]]
        said.append(
            f"the mean patient lies {away:.2f} SD (Mahalanobis) from theirs in Model CS's "
            f"predictors, where chance alone gives about {chance:.2f}"
        )
    if "membership_auc" in rows.index:
        told = rows.loc["membership_auc"]
        said.append(
            "a model that is to tell them apart by baseline factors has the AUC "
            f"{interval(told.estimate, told.low, told.high)} out of fold, 0.5 being chance"
        )
    return said


def size(table: pd.DataFrame) -> pd.DataFrame:
    """
    A score against the lesion's size, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.shortcuts.size` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by what is compared.
    """
    text = {
        "patients": table["n"].astype(str).tolist(),
        "estimate (95 % interval)": [
            interval(row.estimate, row.low, row.high) for row in table.itertuples()
        ],
        "p": table["p_value"].map(p_value).tolist(),
    }
    return _Whole(pd.DataFrame(text, index=pd.Index(table["figure"].map(SIZE), name="")))


def size_verdict(table: pd.DataFrame) -> str:
    """
    Whether the score is only size, and by which rule.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.shortcuts.size` gives it.

    Returns
    -------
    str
        A sentence, also where nothing may be judged.
    """
    if table.empty:
        return _NOT_JUDGED
    p = p_value(table["p_value"].iloc[-1]) or "not estimable"
    return (
        f"{SIZE_VERDICTS[shortcuts.size_verdict(table)]} (p {p}). The rule: it adds where p, "
        f"one-sided and by permutation, is below 0.05; else it is only size where the whole "
        f"interval of the correlation is above {shortcuts.LIKE_SIZE}."
    )


def robustness(table: pd.DataFrame) -> pd.DataFrame:
    """
    How far scores move under each change of the slices, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.robustness.robustness` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by change and amount.
    """
    rows = list(table.itertuples())
    text = {
        "patients": table["n"].astype(str).tolist(),
        "mean change of the score": [_number(row.mean_change) for row in rows],
        "95th percentile": [_number(row.p95_change) for row in rows],
        "ICC (95 % interval)": [interval(row.icc, row.low, row.high) for row in rows],
        "agreement": table["reliability"].tolist(),
        "AUC before": [_number(row.auc_before) for row in rows],
        "after": [_number(row.auc_after) for row in rows],
    }
    index = [table["perturbation"].map(PERTURBATIONS), table["amount"]]
    return _Whole(pd.DataFrame(text, index=pd.MultiIndex.from_arrays(index)))


def spread(table: pd.DataFrame) -> pd.DataFrame:
    """
    How far patients' scores lie apart, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.spread.between_patients` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by whose scores they are.
    """
    rows = list(table.itertuples())
    text = {
        "patients": [f"{row.n:.0f}" for row in rows],
        "log odds: mean": [_number(row.mean_logit) for row in rows],
        "SD (95 % interval)": [interval(row.sd_logit, row.low, row.high) for row in rows],
        "scores one SD to either side": [_around(row.mean_logit, row.sd_logit) for row in rows],
    }
    return _Whole(pd.DataFrame(text, index=pd.Index(table["origin"].map(SPREAD), name="")))


def spread_verdict(table: pd.DataFrame) -> str:
    """
    Whether the final network is as sure of itself as the folds' networks, and by which rule.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.spread.between_patients` gives it.

    Returns
    -------
    str
        A sentence, also where nothing may be judged.
    """
    if table.empty:
        return _NOT_JUDGED
    row = table.iloc[-1]
    if len(table) == 1:
        return (
            f"Out of fold the log odds of {row['n']} patients have an SD of "
            f"{interval(row['sd_logit'], row['low'], row['high'], 2)}. At each validation hospital "
            f"the spread of the final network's scores is held against it."
        )
    if pd.isna(row["ratio"]):
        return "Too few patients, or scores all alike: the two spreads cannot be compared."
    moved = row["mean_logit"] - table["mean_logit"].iloc[0]
    ratio = interval(row["ratio"], row["ratio_low"], row["ratio_high"], 2)
    return (
        f"The final network's log odds spread {ratio} times as wide here as development's out of "
        f"fold: {_dispersed(row)}. Their mean is {abs(moved):.2f} "
        f"{'higher' if moved > 0 else 'lower'}. The rule: wider or narrower where the whole "
        f"interval is above or below 1. Patients may differ too, not the networks alone: the "
        f"calibration slope in chapter 04 judges the risks."
    )


def _dispersed(row: Any) -> str:
    """What the interval of the ratio of two spreads says."""
    if row["ratio_low"] > 1:
        return "**wider**, as if it were too sure of itself (over-dispersed)"
    if row["ratio_high"] < 1:
        return "**narrower**, as if it were not sure enough (under-dispersed)"
    return "no difference is shown"


def seeds(table: pd.DataFrame) -> pd.DataFrame:
    """
    What trainings under other seeds say, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.spread.between_seeds` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by figure.
    """
    rows = list(table.itertuples())
    text = {
        "patients": [f"{row.n:.0f}" for row in rows],
        "estimate (95 % interval)": [interval(row.estimate, row.low, row.high) for row in rows],
    }
    names = [SEEDS.get(row.figure) or f"AUC of {_training(row.member)}" for row in rows]
    shown = _Whole(pd.DataFrame(text, index=pd.Index(names, name="")))
    shown.attrs["nothing"] = "No second training to compare with."
    return shown


def _training(member: str) -> str:
    """One of the trainings, or their mean."""
    return "the mean of all, which is the score" if member == "mean" else f"training {member} alone"


def seeds_verdict(table: pd.DataFrame) -> str:
    """
    How much of a score is the chance of one training.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.spread.between_seeds` gives it.

    Returns
    -------
    str
        A sentence, also where there is one training only.
    """
    if table.empty:
        return (
            "How far another training would move these scores is not known. A study whose "
            "manifest says `network: {members: 3}` trains each network three times."
        )
    estimate = table.set_index("figure")["estimate"]
    seed, patients = estimate["sd_between_seeds"], estimate["sd_between_patients"]
    than = "**more than patients differ**" if seed >= patients else "less than patients differ"
    return (
        f"From one training to another a patient's log odds move by an SD of {seed:.2f}, {than} "
        f"({patients:.2f}). Where the trainings say 0.50 on average, one alone says "
        f"{_around(0, seed)} (one SD to either side)."
    )


def _around(logit: float, sd: float) -> str:
    """The probabilities one SD below and above, of log odds."""
    low, high = (1 / (1 + math.exp(-value)) for value in (logit - sd, logit + sd))
    return "" if pd.isna(sd) else f"{low:.2f} to {high:.2f}"


def _number(value: float) -> str:
    """With three digits, or nothing."""
    return "" if pd.isna(value) else f"{value:.3f}"


def _of(some: float, n: int) -> str:
    """How many of how many; all, where nobody was told apart."""
    return str(n) if pd.isna(some) else f"{some:.0f} of {n}"


def _span(low: float, high: float, digits: int = 3) -> str:
    """From where to where, or nothing."""
    return "" if pd.isna(low) else f"{low:.{digits}f} to {high:.{digits}f}"


def optimism(table: pd.DataFrame) -> pd.DataFrame:
    """
    What a bootstrap takes off the figures of a fit, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``optimism.csv``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a figure. Without rows it says that no fit was bootstrapped here.
    """
    text = {
        "on the patients of the fit": [f"{value:.3f}" for value in table["apparent"]],
        "optimism": [f"{value:.3f}" for value in table["optimism"]],
        "corrected (interval, too narrow)": [
            interval(row.corrected, row.low, row.high) for row in table.itertuples()
        ],
    }
    index = pd.Index([OPTIMISM.get(name, name) for name in table["metric"]], name="figure")
    shown = _Whole(pd.DataFrame(text, index=index))
    shown.attrs["nothing"] = (
        "No fit was bootstrapped here: nothing was fitted, or there are fewer than 10 events or "
        "non-events."
    )
    return shown


def inclusion(table: pd.DataFrame) -> pd.DataFrame:
    """
    How often a bootstrap selected each factor, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``inclusion.csv``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a candidate.
    """
    text = {
        "selected in": [_percent(share) for share in table["frequency"]],
        "in the model": ["yes" if own else "" for own in table["selected"]],
    }
    shown = _Whole(pd.DataFrame(text, index=pd.Index(map(term, table["variable"]), name="factor")))
    shown.attrs["nothing"] = "No selection was repeated here."
    return shown


def stability(bootstrap: Any) -> str:
    """
    How firmly a model stands on its patients, in sentences.

    Parameters
    ----------
    bootstrap : models.optimism.Bootstrapped
        Its tables.

    Returns
    -------
    str
        Markdown; that nothing was bootstrapped, where no fit was.
    """
    moved = bootstrap.instability
    if moved.empty:
        return "No fit was bootstrapped here, so nothing is said of how firmly it stands."
    far = (moved["difference"] * moved["n"]).sum() / moved["n"].sum()
    most = moved.loc[moved["difference"].idxmax()]
    lines = (
        f"From resample to resample a patient's risk differs from the model's by {far * 100:.0f} "
        f"percentage points on average; where the model says {most['risk']:.0%}, 95 of 100 "
        f"resamples lie between {most['low']:.0%} and {most['high']:.0%}."
    )
    said = [lines]
    own = bootstrap.inclusion[bootstrap.inclusion["selected"]]
    if len(own):
        rarest = own.iloc[-1]
        said.append(
            f"The model holds {_listed(own['variable'])}; the last of them was selected in "
            f"{rarest['frequency']:.0%} of the resamples."
        )
    said += _substitutes(bootstrap.pairs)
    return " ".join(said)


def _substitutes(pairs: pd.DataFrame) -> list[str]:
    """The two factors that stand in for each other most, and the two that come together."""
    apart = pairs["together"] - pairs["by_chance"]
    said = []
    for words, place in (("least", apart.argmin), ("most", apart.argmax)) if len(pairs) else ():
        row = pairs.iloc[int(place())]
        said.append(
            f"Against chance, {_listed(row[['variable', 'other']])} came together {words} often "
            f"({row['together']:.0%} of the resamples, by chance {row['by_chance']:.0%})."
        )
    return said


def _listed(names: Sequence[str] | pd.Series) -> str:
    """Factors by their names, in a row."""
    *others, last = map(term, names)
    return f"{', '.join(others)} and {last}" if others else last


_CRITERIA: dict[str, str] = {
    "here": "this development",
    "shrinkage": "a calibration slope of 0.9 in new patients",
    "optimism": "R-squared too large by at most 0.05",
    "overall_risk": "the overall risk known to 5 percentage points",
    "all": "all three",
}


def sample_size(table: pd.DataFrame) -> pd.DataFrame:
    """
    How many patients there are, and how many the candidates would need, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``sample_size.csv``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a criterion.
    """
    text = {
        "patients": [f"{row.patients:.0f}" for row in table.itertuples()],
        "events": [f"{row.events:.0f}" for row in table.itertuples()],
        "candidate parameters": [f"{row.parameters:.0f}" for row in table.itertuples()],
        "events a parameter": [f"{row.events_per_parameter:.1f}" for row in table.itertuples()],
    }
    index = pd.Index([_CRITERIA[name] for name in table["criterion"]], name="for")
    shown = _Whole(pd.DataFrame(text, index=index))
    shown.attrs["nothing"] = "Nothing was fitted here: these patients only try the frozen models."
    return shown


def worth(table: pd.DataFrame) -> str:
    """
    Whether a bootstrapped model tells events from non-events at all, in a sentence.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``optimism.csv``.

    Returns
    -------
    str
        Markdown; that nothing was corrected, where no fit was bootstrapped.
    """
    rows = list(table[table["metric"] == "auc"].itertuples())
    if not rows:
        return "Nothing was bootstrapped, so nothing is corrected for optimism."
    row = rows[0]
    figure = interval(row.corrected, row.low, row.high)
    said = f"Corrected for optimism the AUC of {_the(row.model)} is {figure}."
    if row.low > 0.5:
        return said
    if row.model != "clinical":
        return f"{said} Chance (0.5) lies within that interval: **its factors may tell nothing.**"
    return (
        f"{said} Chance (0.5) lies within that interval: **these factors do not tell who will have "
        f"the event.** An AUC out of fold below 0.5 says the same: what one part of a small sample "
        f"seems to show, the rest does not. The nomogram, the decision curve and the thresholds of "
        f"this model show how such a model would be read; it is not one to use."
    )


def _the(model: str) -> str:
    """A model within a sentence."""
    return "the clinical model" if model == "clinical" else label(model)


def auc_by_coding(table: pd.DataFrame) -> pd.DataFrame:
    """
    The AUC at the horizon under each way to count deaths, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``horizon.csv``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a coding. Without rows it says that the event has no horizon.
    """
    text = [interval(row.auc, row.low, row.high) for row in table.itertuples()]
    index = pd.Index([CODINGS[name] for name in table["coding"]], name="deaths without the event")
    shown = _Whole(pd.DataFrame({"AUC (95 % interval)": text}, index=index))
    shown.attrs["nothing"] = (
        "The event of this study's models has no horizon: it counts whenever it came."
    )
    return shown


def metrics(table: pd.DataFrame) -> pd.DataFrame:
    """
    The models' figures side by side, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``metrics.csv``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a figure, a column a model with the origin of its scores.
    """
    rows = table[table["comparator"].fillna("").eq("")]
    columns: dict[str, dict[str, str]] = {}
    for row in rows.itertuples():
        columns.setdefault(_model(row), {})[_figure(row)] = _estimate(row)
    return _Whole(pd.DataFrame(columns).fillna(""))


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """
    The differences between models, in a reader's words and in the order of evidence.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``metrics.csv``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a figure and pair of models.
    """
    rows = list(table[table["comparator"].isin(MODELS)].itertuples())
    text = {
        "figure": [_figure(row) for row in rows],
        "models": [f"{label(row.model)} - {label(row.comparator)}" for row in rows],
        "estimate (95 % interval)": [_estimate(row) for row in rows],
        "p": [p_value(row.p_value) for row in rows],
    }
    shown = _Whole(pd.DataFrame(text).set_index(["figure", "models"]))
    shown.attrs["nothing"] = "There is one model: nothing to compare it with."
    return shown


def reclassification(table: pd.DataFrame) -> pd.DataFrame:
    """
    NRI and IDI in a reader's words, with a warning beside those that mean nothing.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``reclassification.csv``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a figure and pair of models; ``p`` only where there is one.
    """
    parts = table.set_index(["model", "comparator", "protocol", "origin", "metric"])
    whole = table[table["metric"].isin(METRICS)]
    text: dict[str, list[str]] = {"figure": [], "models": [], "together (95 % interval)": []}
    text |= {"SE": [], "events": [], "non-events": [], "p": [], "warning": []}
    for row in whole.itertuples():
        key = (row.model, row.comparator, row.protocol, row.origin)
        said = [parts.loc[(*key, f"{row.metric}_{part}")] for part in ("events", "non_events")]
        known = [note(word) for word in str(row.note).split("; ") if "miscalibrated" in word]
        cells = (
            _figure(row),
            f"{label(row.model)} - {label(row.comparator)}",
            _estimate(row),
            "" if pd.isna(row.se) else f"{row.se:.3f}",
            *(interval(part["estimate"], part["low"], part["high"]) for part in said),
            p_value(row.p_value),
            "; ".join(known),
        )
        for name, cell in zip(text, cells, strict=True):
            text[name].append(cell)
    if not any(text["p"]):
        del text["p"]
    shown = _Whole(pd.DataFrame(text).set_index(["figure", "models"]))
    shown.attrs["nothing"] = "There is one model: nothing is reclassified."
    return shown


def reclassification_verdict(table: pd.DataFrame) -> str:
    """
    Which pairs' NRI and IDI may not be read, in a sentence each.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``reclassification.csv``.

    Returns
    -------
    str
        Markdown.
    """
    off: dict[str, None] = {}
    for row in table.itertuples():
        for which in ("model", "comparator"):
            if f"{which}_miscalibrated" in str(row.note):
                off[label(getattr(row, which))] = None
    if not off:
        return "No model of these pairs is shown to be miscalibrated on these patients."
    return (
        f"**NRI and IDI mean nothing where {' or '.join(off)} takes part**: the interval of its "
        f"calibration intercept excludes 0, or that of its slope excludes 1. Risks that are too "
        f"high, too low or too extreme move patients up and down without knowing more of them."
    )


def gap(table: pd.DataFrame) -> pd.DataFrame:
    """
    The same patients under both protocols, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``gap.csv``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a model and group of patients, with what the paper's model was to them.
    """
    rows = list(table.itertuples())
    leak_free = [interval(r.leak_free, r.leak_free_low, r.leak_free_high) for r in rows]
    published = [interval(r.as_published, r.as_published_low, r.as_published_high) for r in rows]
    more = [interval(r.difference, r.difference_low, r.difference_high) for r in rows]
    text = {
        "model": [label(r.model) for r in rows],
        "patients": [group_of_centres(r.patients) for r in rows],
        "leak-free": leak_free,
        "by the paper's choices": published,
        "difference": more,
        "the paper's model was": [_CHOICE[r.as_published_origin] for r in rows],
        "events": [f"{r.events} of {r.n}" for r in rows],
    }
    return _Whole(pd.DataFrame(text).set_index(["model", "patients"]))


def gap_sentences(table: pd.DataFrame) -> str:
    """
    What the paper's choices add, where all patients of a kind stand together.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``gap.csv``.

    Returns
    -------
    str
        Markdown.
    """
    rows = table[table["patients"].isin(["development", "validation"])].dropna(subset="difference")
    lines = [
        f"- **{label(row.model)}, {group_of_centres(row.patients).lower()}**: AUC "
        f"{row.leak_free:.3f} {row.leak_free_origin.replace('_', ' ')}, {row.as_published:.3f} "
        f"by the paper's choices ({row.as_published_origin}): {row.difference:+.3f} "
        f"({row.difference_low:+.3f} to {row.difference_high:+.3f})."
        for row in rows.itertuples()
    ]
    return "\n".join(lines) or "No group of patients has both outcomes: there is no gap to tell."


def group_of_centres(group: str) -> str:
    """
    The patients of a row of ``gap.csv`` in a reader's words.

    Parameters
    ----------
    group : str
        ``development``, a validation centre, or ``validation``.

    Returns
    -------
    str
        Such as "Hospital C" or "All validation centres".
    """
    return {"validation": "All validation centres"}.get(group, group.replace("_", " ").title())


def notes(table: pd.DataFrame) -> str:
    """
    What must be known of a table's figures, each note once.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``metrics.csv``.

    Returns
    -------
    str
        Markdown.
    """
    known = table.assign(note=table["note"].fillna("").str.split("; ")).explode("note")
    known = known[known["note"] != ""]
    lines = [
        f"- {', '.join(map(label, rows['model'].unique()))}: {note(word)}."
        for word, rows in known.groupby("note", sort=False)
    ]
    return "\n".join(lines) or "There is nothing to add to these figures."


def wald(table: pd.DataFrame) -> pd.DataFrame:
    """
    A clinical model's coefficients in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        As `models.clinical.ClinicalModel.wald` gives it.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by factor; without intervals and p-values where the model has no standard
        errors.
    """
    rows = list(table.itertuples())
    text = {"coefficient": [f"{row.coefficient:.4f}" for row in rows]}
    if table["low"].isna().all():
        text["odds ratio"] = [
            "" if row.term == "intercept" else f"{row.odds_ratio:.2f}" for row in rows
        ]
    else:
        text["odds ratio (95 % interval)"] = [
            "" if row.term == "intercept" else interval(row.odds_ratio, row.low, row.high, 2)
            for row in rows
        ]
        text["p"] = [p_value(row.p_value) for row in rows]
    return _Whole(pd.DataFrame(text).set_index(pd.Index(map(term, table["term"]), name="factor")))


def coefficients(table: pd.DataFrame) -> pd.DataFrame:
    """
    Model CS's odds ratios by every way to estimate them, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``coefficients.csv``.

    Returns
    -------
    pandas.DataFrame
        Text, indexed by factor.
    """
    rows = [row for row in table.itertuples() if row.term != "intercept"]
    text = {
        "odds ratio (95 % by Wald)": [interval(r.odds_ratio, r.low, r.high, 2) for r in rows],
        "95 % by profile": [_span(r.profile_low, r.profile_high, 2) for r in rows],
        "Firth": [f"{r.firth:.2f}" for r in rows],
        "ridge": [f"{r.ridge:.2f}" for r in rows],
    }
    index = pd.Index([term(row.term) for row in rows], name="factor")
    shown = _Whole(pd.DataFrame(text, index=index))
    shown.attrs["nothing"] = "Model CS was not fitted here, or holds no factor."
    return shown


def term(name: str) -> str:
    """
    A model's term in a reader's words.

    Parameters
    ----------
    name : str
        Such as ``diameter_mm`` or ``capsule[intact]``.

    Returns
    -------
    str
        Such as "Largest diameter (mm)" or "Capsule: intact".
    """
    variable, _, level = name.removesuffix("]").partition("[")
    words = _VARIABLES.get(variable) or label(variable)
    return f"{words}: {level.replace('_', '-')}" if level else words[:1].upper() + words[1:]


def note(words: object) -> str:
    """
    The notes of ``metrics.csv`` in a reader's words.

    Parameters
    ----------
    words : str or missing
        Words of `evaluation.comparison`, joined by "; ".

    Returns
    -------
    str
        The same in sentences, joined by "; ".
    """
    known = str(words).split("; ") if isinstance(words, str) and words else []
    return "; ".join(NOTES.get(word, word.replace("_", " ")) for word in known)


def auc(table: pd.DataFrame) -> str:
    """
    What the models' AUCs are, in a sentence each.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``metrics.csv``.

    Returns
    -------
    str
        Markdown.
    """
    rows = table[table["metric"] == "auc"]
    lines = [
        f"- **{label(row.model)}**, {row.origin.replace('_', ' ')}: AUC "
        f"{interval(row.estimate, row.low, row.high)}, {row.n} patients, {row.events} events"
        f"{f' ({note(row.note)})' if note(row.note) else ''}."
        for row in rows.itertuples()
    ]
    return "\n".join(lines)


def thresholds(counts: pd.DataFrame, frozen: Mapping[str, float]) -> str:
    """
    What each model's frozen threshold would do here, in a sentence each.

    Parameters
    ----------
    counts : pandas.DataFrame
        Rows of ``threshold_counts.csv``.
    frozen : Mapping of str to float
        Each model's threshold; the nearest one of the table is read.

    Returns
    -------
    str
        Markdown.
    """
    return "\n".join(_at_threshold(counts, model, cut) for model, cut in frozen.items())


def survival(summary: pd.DataFrame, counted: pd.DataFrame) -> str:
    """
    How many events there were, by group with the test between them, in a line each.

    Parameters
    ----------
    summary : pandas.DataFrame
        Rows of ``survival_summary.csv``.
    counted : pandas.DataFrame
        Rows of ``codings.csv``: how far the ways to count deaths are apart is said.

    Returns
    -------
    str
        Markdown.
    """
    lines = []
    for (outcome, grouping), rows in summary.groupby(["outcome", "grouping"], sort=False):
        first = rows.iloc[0]
        if grouping == "all":
            how_soon = _how_soon(outcome, first, counted)
            lines.append(f"- **{label(outcome)}**: {first.events} of {first.n} patients{how_soon}.")
        else:
            counts = "; ".join(f"{row.group}: {row.events} of {row.n}" for row in rows.itertuples())
            tested = p_value(first.p_value)
            test = f". Log-rank p {tested if tested.startswith('<') else f'= {tested}'}"
            lines.append(f"  - {grouping_name(grouping)}: {counts}{test if tested else ''}.")
    return "\n".join(lines)


def _csd_terms(csd: Any) -> str:
    return f"{csd.cs:.3f} x score of Model CS + {csd.d:.3f} x log odds of Model D's risk"


def _how_soon(outcome: str, row: Any, counted: pd.DataFrame) -> str:
    """Median survival; of the event, which shares it reaches by the ways to count deaths."""
    if outcome == "death":
        reached = _median(row.median_months, row.low, row.high)
        return f"; median survival {reached}" + ("" if pd.isna(row.median_months) else " months")
    known = counted.dropna(subset=["estimate"]).groupby("months")["estimate"].agg(["min", "max"])
    ends = {month: (f"{few:.0%}", f"{many:.0%}") for month, few, many in known.itertuples()}
    shares = [f"{' to '.join(dict.fromkeys(e))} by {month:g} months" for month, e in ends.items()]
    ways = "by the way to count deaths, " if any(few != many for few, many in ends.values()) else ""
    return f"; {ways}{', '.join(shares)}" if shares else ""


def _groups_of(rows: list[Any]) -> pd.Index:
    """The rows' groups in a reader's words."""
    return pd.Index([group_name(row.grouping, row.group) for row in rows], name="group")


def _hazard(row: Any) -> str:
    """A hazard ratio with its limits, or why there is none."""
    if row.note:
        return "1 (reference)" if row.note == "reference" else str(row.note)
    return interval(row.hazard_ratio, row.low, row.high, digits=2)


def _share(row: Any) -> str:
    """A share of patients with its limits and those at risk."""
    limits = "no interval" if pd.isna(row.low) else f"{row.low:.0%} to {row.high:.0%}"
    return f"{row.estimate:.0%} ({limits}), {row.at_risk} at risk"


def _median(months: float, low: float, high: float) -> str:
    """A median with its limits; "not reached" where the curve stays above one half."""
    if pd.isna(months):
        return "not reached"
    ends = ["not reached" if pd.isna(end) else f"{end:.1f}" for end in (low, high)]
    return f"{months:.1f} ({ends[0]} to {ends[1]})"


def _figure(row: Any) -> str:
    return METRICS.get(row.metric, str(row.metric))


def _model(row: Any) -> str:
    return f"{label(row.model)} ({row.origin.replace('_', ' ')})"


def _estimate(row: Any) -> str:
    if getattr(row, "metric", "") in _CHI_SQUARES and not pd.isna(row.estimate):
        return f"{row.estimate:.2f}"
    return interval(row.estimate, row.low, row.high)


def _at_threshold(counts: pd.DataFrame, model: str, cut: float) -> str:
    """One model's sentence."""
    rows = checks.columns(counts, ["model", "threshold"], name="counts")
    rows = rows[rows["model"] == model]
    row = rows.loc[(rows["threshold"] - cut).abs().idxmin()]
    high = int(row["true_positive"] + row["false_positive"])
    events = int(row["true_positive"] + row["false_negative"])
    everybody = high + int(row["false_negative"] + row["true_negative"])
    return (
        f"- **{label(model)}** at {row['threshold']:.0%}: {high} of {everybody} would be called "
        f"high risk, with {int(row['true_positive'])} of the {events} events among them."
    )


def attribution_checks(table: pd.DataFrame) -> pd.DataFrame:
    """
    Whether attribution maps earn trust, check by check, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        ``method``, ``check``, ``estimate``, ``low``, ``high``, ``passes``, ``note``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a method and check.
    """
    verdicts = [
        "" if pd.isna(passes) else "passes" if passes else "fails" for passes in table["passes"]
    ]
    text = {
        "check": [ATTRIBUTION_CHECKS.get(name, name) for name in table["check"]],
        "estimate (95 % interval)": [
            interval(row.estimate, row.low, row.high, 2) for row in table.itertuples()
        ],
        "verdict": verdicts,
        "rule": list(table["note"]),
    }
    names = [ATTRIBUTIONS.get(name, name) for name in table["method"]]
    return _Whole(pd.DataFrame(text, index=pd.Index(names, name="map")))


def attribution_verdict(table: pd.DataFrame) -> str:
    """
    How far each kind of attribution map may be trusted, in a sentence each.

    Parameters
    ----------
    table : pandas.DataFrame
        ``method``, ``check``, ``passes``.

    Returns
    -------
    str
        Markdown.
    """
    said = []
    for method, rows in table.groupby("method", sort=False):
        judged = rows[rows["passes"].notna()]
        failed = judged.loc[~judged["passes"].astype(bool), "check"]
        name = ATTRIBUTIONS.get(str(method), str(method))
        if failed.empty:
            said.append(f"{name} passes all {len(judged)} checks that could be made.")
            continue
        which = "; ".join(ATTRIBUTION_CHECKS.get(check, check) for check in failed)
        said.append(
            f"**{name} fails {len(failed)} of {len(judged)} checks** ({which}): its pictures "
            f"must not be read as what the network sees."
        )
    return " ".join(said) or "No map was checked: nothing may be judged here."
