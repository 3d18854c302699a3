"""Words of chapter 04 on Model CS: what was selected, and how firmly it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from hcc_utils.presentation.words.plain import Whole, interval, p_value, percent, span, term
from hcc_utils.study.vocabulary import label

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
            f"- Model CSD: {formula(csd)}.",
        ]
        said = (frozen.clinical.note, csd.note, csd.recalibration.note)
    lines += [
        f"- Thresholds (Youden, in development): {cuts}.",
        *(f"- **Note:** {words}." for words in said if words),
    ]
    return "\n".join(lines)


def formula(csd: Any) -> str:
    """
    How a combined model is made of Models CS and D.

    Parameters
    ----------
    csd : models.combined.CombinedModel
        Frozen.

    Returns
    -------
    str
        Its log odds, each term with its sign.
    """
    cs, d = (f"{'-' if value < 0 else '+'} {abs(value):.3f}" for value in (csd.cs, csd.d))
    return (
        f"log odds = {csd.intercept:.3f} {cs} x score of Model CS {d} x log odds of Model D's risk"
    )


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
    shown = Whole(pd.DataFrame(text, index=index))
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
        "selected in": [percent(share) for share in table["frequency"]],
        "in the model": ["yes" if own else "" for own in table["selected"]],
    }
    shown = Whole(pd.DataFrame(text, index=pd.Index(map(term, table["variable"]), name="factor")))
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
    shown = Whole(pd.DataFrame(text, index=index))
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
    return Whole(pd.DataFrame(text).set_index(pd.Index(map(term, table["term"]), name="factor")))


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
        "95 % by profile": [span(r.profile_low, r.profile_high, 2) for r in rows],
        "Firth": [f"{r.firth:.2f}" for r in rows],
        "ridge": [f"{r.ridge:.2f}" for r in rows],
    }
    index = pd.Index([term(row.term) for row in rows], name="factor")
    shown = Whole(pd.DataFrame(text, index=index))
    shown.attrs["nothing"] = "Model CS was not fitted here, or holds no factor."
    return shown
