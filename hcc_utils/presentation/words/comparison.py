"""Words of chapter 04 on how well the models do, and what one adds to another."""

from __future__ import annotations

from typing import Any

import pandas as pd

from hcc_utils.presentation.words.plain import (
    CODINGS,
    METRICS,
    Each,
    Whole,
    estimate,
    figure,
    heading,
    interval,
    note,
    p_value,
    some_of,
)
from hcc_utils.study.vocabulary import MODELS, label


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
    return Each({centre: _case_mix(rows) for centre, rows in smds.groupby("centre", sort=False)})


def _case_mix(rows: pd.DataFrame) -> Whole:
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
    shown = Whole(pd.DataFrame(text, index=pd.Index(names, name="mean or share")))
    shown.attrs["caption"] = f"{heading(str(rows['centre'].iloc[0]), 'centre')} against {against}"
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
        lines.append(f"- **{heading(str(centre), 'centre')}**: {'; '.join(said)}.")
    return "\n".join(lines)


def _apart(rows: pd.DataFrame) -> list[str]:
    """What is said of one centre as a whole."""
    smd = rows[rows.index == "smd"]["estimate"].abs()
    said = [f"{some_of((smd > 0.2).sum(), len(smd))} variables differ by more than 0.2 SD"]
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
    shown = Whole(pd.DataFrame({"AUC (95 % interval)": text}, index=index))
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
        columns.setdefault(_model(row), {})[figure(row)] = estimate(row)
    return Whole(pd.DataFrame(columns).fillna(""))


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
        "figure": [figure(row) for row in rows],
        "models": [f"{label(row.model)} - {label(row.comparator)}" for row in rows],
        "estimate (95 % interval)": [estimate(row) for row in rows],
        "p": [p_value(row.p_value) for row in rows],
    }
    shown = Whole(pd.DataFrame(text).set_index(["figure", "models"]))
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
            figure(row),
            f"{label(row.model)} - {label(row.comparator)}",
            estimate(row),
            "" if pd.isna(row.se) else f"{row.se:.3f}",
            *(interval(part["estimate"], part["low"], part["high"]) for part in said),
            p_value(row.p_value),
            "; ".join(known),
        )
        for name, cell in zip(text, cells, strict=True):
            text[name].append(cell)
    if not any(text["p"]):
        del text["p"]
    shown = Whole(pd.DataFrame(text).set_index(["figure", "models"]))
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


def subgroups(table: pd.DataFrame) -> pd.DataFrame:
    """
    Each model's figures in each subgroup, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``subgroups.csv``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a subgroup and model.
    """
    alone = table[~table["metric"].str.endswith("_difference")]
    key = ["subgroup", "model"]
    text = {}
    for (subgroup, model), rows in alone.groupby(key, sort=False):
        counted = rows.iloc[0]
        cells = {figure(row): estimate(row) for row in rows.itertuples()}
        text[subgroup_name(subgroup), label(model)] = {
            "patients": str(counted["n"]),
            "events": str(counted["events"]),
            **cells,
        }
    shown = Whole(pd.DataFrame.from_dict(text, orient="index"))
    shown.index = pd.MultiIndex.from_tuples(text, names=key) if text else shown.index
    shown.attrs["nothing"] = _NO_SUBGROUPS
    return shown


def subgroup_differences(table: pd.DataFrame) -> pd.DataFrame:
    """
    What two subgroups differ by, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``subgroups.csv``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a figure, pair of subgroups and model; p as it is and by Holm.
    """
    rows = list(table[table["metric"].str.endswith("_difference")].itertuples())
    text = {
        "figure": [figure(row) for row in rows],
        "subgroups": [subgroup_name(row.subgroup) for row in rows],
        "model": [label(row.model) for row in rows],
        "difference (95 % interval)": [estimate(row) for row in rows],
        "p": [p_value(row.p_value) for row in rows],
        "p (Holm)": [p_value(row.p_value_holm) for row in rows],
        "note": ["few events" if "too_few" in row.note else "" for row in rows],
    }
    shown = Whole(pd.DataFrame(text).set_index(["figure", "subgroups", "model"]))
    shown.attrs["nothing"] = "There are no two subgroups to compare."
    return shown


def subgroups_verdict(table: pd.DataFrame) -> str:
    """
    Whether subgroups differ, and how many differences were tested.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``subgroups.csv``.

    Returns
    -------
    str
        Markdown.
    """
    tested = table.dropna(subset="p_value")
    if tested.empty:
        return "No difference between subgroups can be tested on these patients and scores."
    below, left = ((tested[name] < 0.05).sum() for name in ("p_value", "p_value_holm"))
    return (
        f"{len(tested)} difference(s) between subgroups were tested; {below} had p below .05 "
        f"(where nothing differs, one in twenty does by chance), {left} after Holm's adjustment "
        f"for their number. A difference that is not shown is not shown to be absent: see how "
        f"wide the intervals are."
    )


def subgroup_name(name: str) -> str:
    """
    A subgroup as a reader knows it.

    Parameters
    ----------
    name : str
        As ``subgroups.csv`` has it.

    Returns
    -------
    str
        For instance ``Initial treatment: TACE``.
    """
    variable, levels = name.split(": ")
    return f"{label(variable)}: {levels.replace('tace', 'TACE')}"


_NO_SUBGROUPS = "These patients have neither treatments nor stages to part them by."


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


def _model(row: Any) -> str:
    return f"{label(row.model)} ({row.origin.replace('_', ' ')})"
