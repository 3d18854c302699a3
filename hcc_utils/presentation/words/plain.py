"""What all rooms of words share: names, intervals, p-values, and tables shown whole."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd

from hcc_utils.study.vocabulary import VARIABLES, label

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
    "slope_difference": "Difference in calibration slope",
    "likelihood_ratio": "Chi-square of what is added",
    "nri_categorical": "NRI (at the threshold)",
    "nri": "NRI (continuous)",
    "idi": "IDI",
}
_CHI_SQUARES = ("likelihood_ratio", "hosmer_lemeshow")
NOTES: dict[str, str] = {
    "below_earlier_horizon": "some risks are below the same patient's by an earlier month: each "
    "horizon is fitted by itself",
    "nobody_followed": "nobody was followed so long: nothing is observed",
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


class Whole(pd.DataFrame):  # type: ignore[misc] # pandas carries no types
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


class Each(dict[str, Whole]):
    """Tables for reading, shown one below the other."""

    def _repr_html_(self) -> str:
        return "\n".join(table._repr_html_() for table in self.values())


NAMES = {"n": "Patients", "afp_band": "AFP (ng/mL)", "lesion_band": "Number of lesions"}


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


def level(name: str) -> str:
    """
    A level as it is read.

    Parameters
    ----------
    name : str
        As tables have it.

    Returns
    -------
    str
        For instance ``yes`` and ``non-intact``.
    """
    return {"True": "yes", "False": "no"}.get(name, name.replace("_", "-"))


def heading(name: str, by: str) -> str:
    """
    What stands above a column of Table 1: a group, or what the test gave.

    Parameters
    ----------
    name : str
        The column's.
    by : str
        What the groups are groups of.

    Returns
    -------
    str
        For instance ``Hospital a``, ``with the event`` or ``p``.
    """
    if name in ("test", "p_value", "smd"):
        return {"p_value": "p", "smd": "SMD"}.get(name, name)
    if by == "centre":
        return name.replace("_", " ").capitalize()
    if VARIABLES[by].room == "outcome":
        return {"True": "with the event", "False": "without"}[name]
    return level(name)


def percent(fraction: float) -> str:
    """
    A percentage that says more than 0 where something is there.

    Parameters
    ----------
    fraction : float
        In [0, 1].

    Returns
    -------
    str
        Without decimals; ``<1%`` below one half.
    """
    return "<1%" if 0 < fraction < 0.005 else f"{fraction:.0%}"


def some_of(some: float, n: int) -> str:
    """
    How many of how many; all, where nobody was told apart.

    Parameters
    ----------
    some : float
        How many, or missing.
    n : int
        Of how many.

    Returns
    -------
    str
        For instance ``3 of 12``.
    """
    return str(n) if pd.isna(some) else f"{some:.0f} of {n}"


def span(low: float, high: float, digits: int = 3) -> str:
    """
    From where to where, or nothing.

    Parameters
    ----------
    low, high : float
        The ends; missing where there is no interval.
    digits : int, default 3
        Decimals.

    Returns
    -------
    str
        For instance ``0.512 to 0.734``.
    """
    return "" if pd.isna(low) else f"{low:.{digits}f} to {high:.{digits}f}"


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
    words = NAMES.get(variable) or label(variable)
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


def median(months: float, low: float, high: float) -> str:
    """
    A median with its limits; "not reached" where the curve stays above one half.

    Parameters
    ----------
    months : float
        The median, or missing.
    low, high : float
        Its limits, or missing.

    Returns
    -------
    str
        For instance ``12.1 (9.8 to not reached)``.
    """
    if pd.isna(months):
        return "not reached"
    ends = ["not reached" if pd.isna(end) else f"{end:.1f}" for end in (low, high)]
    return f"{months:.1f} ({ends[0]} to {ends[1]})"


def figure(row: Any) -> str:
    """
    The name of a row's figure.

    Parameters
    ----------
    row : namedtuple
        With ``metric``.

    Returns
    -------
    str
        As pages have it.
    """
    return METRICS.get(row.metric, str(row.metric))


def estimate(row: Any) -> str:
    """
    A row's estimate with its interval; a chi-square has none.

    Parameters
    ----------
    row : namedtuple
        With ``estimate``, ``low``, ``high``, and ``metric`` where there are several.

    Returns
    -------
    str
        As `interval` writes it.
    """
    if getattr(row, "metric", "") in _CHI_SQUARES and not pd.isna(row.estimate):
        return f"{row.estimate:.2f}"
    return interval(row.estimate, row.low, row.high)
