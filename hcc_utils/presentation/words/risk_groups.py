"""Words of chapters 05 and 06: thresholds, risk groups and what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hcc_utils import checks
from hcc_utils.presentation.words.plain import CODINGS, Whole, interval, median, p_value
from hcc_utils.study.vocabulary import VARIABLES, label


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
            median(row.median_months, row.low, row.high) for row in rows
        ],
        "log-rank p": [p_value(value) for value in tested],
    }
    shown = Whole(pd.DataFrame(text, index=_groups_of(rows)))
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
    shown = Whole(pd.DataFrame(text, index=_groups_of(rows)))
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
    shown = Whole(text.rename_axis("deaths without the event"))
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


def _how_soon(outcome: str, row: Any, counted: pd.DataFrame) -> str:
    """Median survival; of the event, which shares it reaches by the ways to count deaths."""
    if outcome == "death":
        reached = median(row.median_months, row.low, row.high)
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
