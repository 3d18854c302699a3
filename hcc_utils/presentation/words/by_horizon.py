"""Words of chapter 04 on the risks by 12 and by 24 months."""

from __future__ import annotations

from typing import Any

import pandas as pd

from hcc_utils.presentation.words.plain import METRICS, Whole, estimate, note, some_of
from hcc_utils.presentation.words.selection import formula

_METRICS = {
    "auc": METRICS["auc"],
    "brier": METRICS["brier"],
    "observed": "Share with the event, death competing",
    "expected": "Mean predicted risk",
    "observed_expected": METRICS["observed_expected"],
}
_NO_MODEL_D = (
    "A risk by 12 or 24 months is made of the scores of Models CS and D. This study has no Model "
    "D, so that none is made."
)


def horizon_models(frozen: Any) -> str:
    """
    How each horizon's risk is made of Models CS and D.

    Parameters
    ----------
    frozen : models.protocol.Models
        With ``horizons``, none where there is no Model D.

    Returns
    -------
    str
        Markdown: an item a horizon, or why there is none.
    """
    if frozen.combined is None:
        return _NO_MODEL_D
    return "\n".join(_horizon_model(one) for one in frozen.horizons)


def _horizon_model(one: Any) -> str:
    """A horizon's model, or why there is none."""
    name = f"- `risk_{one.horizon_months}`, by {one.horizon_months} months:"
    if one.model is None:
        return f"{name} there is no model, since in development {one.note}."
    said = "; ".join(filter(None, (one.note, one.model.note)))
    return f"{name} {formula(one.model)}." + (f" **Note:** {said}." if said else "")


def horizon_risks(table: pd.DataFrame) -> Whole:
    """
    What the risks by each horizon are worth, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``horizon_risks.csv``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a figure, a column a horizon with the origin of its scores. Without rows it
        says that there is no such risk.
    """
    columns = {
        f"by {months} months ({str(origin).replace('_', ' ')})": _column(rows)
        for (months, origin), rows in table.groupby(["horizon_months", "origin"])
    }
    shown = Whole(pd.DataFrame(columns))
    shown.attrs["nothing"] = "No patient has a risk by 12 or 24 months."
    return shown


def _column(rows: pd.DataFrame) -> dict[str, str]:
    """One horizon's figures."""
    any_row = rows.iloc[0]
    figures = {_METRICS[row.metric]: estimate(row) for row in rows.itertuples()}
    mean = rows.loc[rows["metric"] == "expected", "estimate"].item()
    return {
        "Events by then": some_of(any_row["events"], any_row["n"]),
        "State known then": some_of(any_row["known"], any_row["n"]),
        **figures,
        _METRICS["expected"]: f"{mean:.3f}",
        "To be known": note(any_row["note"]),
    }
