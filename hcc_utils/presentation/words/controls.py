"""Words of chapter 09: what is found where there is nothing to be found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from hcc_utils.presentation.words.plain import METRICS, Whole
from hcc_utils.study.vocabulary import label

CONTROLS: dict[str, str] = {
    "permuted_outcome": "Permuted outcome",
    "noise_score": "Noise in place of Model D",
}
_VERDICTS = {
    "at_null": "null",
    "above": "better than null",
    "below": "worse than null",
    "too_few_draws": "too few draws to tell",
}
_NOTHING = "Fewer than 10 events or non-events: no control was made."


def controls(table: pd.DataFrame) -> pd.DataFrame:
    """
    Each figure of the negative controls beside its null, in a reader's words.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``controls.csv``.

    Returns
    -------
    pandas.DataFrame
        Text: a row a control and figure.
    """
    rows = list(table.itertuples())
    text = {
        "control": [CONTROLS[row.control] for row in rows],
        "figure": [control_figure(row) for row in rows],
        "null": [f"{row.null:.3f}" for row in rows],
        "mean": [f"{row.mean:.3f}" for row in rows],
        "SD of a draw": [f"{row.sd:.3f}" for row in rows],
        "draws": [str(row.draws) for row in rows],
        "from null, in SD of the mean": [f"{row.z:+.1f}" for row in rows],
        "verdict": [_VERDICTS[row.verdict] for row in rows],
        "first draw": [f"{row.first:.3f}" for row in rows],
    }
    shown = Whole(pd.DataFrame(text).set_index(["control", "figure"]))
    shown.attrs["nothing"] = _NOTHING
    return shown


def control_figure(row: Any) -> str:
    """
    The name of a figure of the negative controls.

    Parameters
    ----------
    row : namedtuple
        Of ``controls.csv``.

    Returns
    -------
    str
        Such as "AUC, Model CSD (stacked)".
    """
    beside = f" beside {label(row.comparator)}" if row.comparator else ""
    stacked = " (stacked)" if row.origin == "stacked" else ""
    return f"{METRICS[row.metric]}, {label(row.model)}{beside}{stacked}"


def controls_verdict(table: pd.DataFrame) -> str:
    """
    Which controls came out null, what did not, and what that means.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of ``controls.csv``.

    Returns
    -------
    str
        Markdown.
    """
    if table.empty:
        return _NOTHING
    lines = [_came_out(CONTROLS[name], rows) for name, rows in table.groupby("control", sort=False)]
    if not (table["verdict"] == "too_few_draws").any():
        stacked = table["origin"] == "stacked"
        by_signs = (table["metric"] == "nri") & (table["control"] == "noise_score")
        lines += [*_of_stacked(table[stacked]), *_beyond(table[~stacked & ~by_signs])]
        lines += _of_signs(table[by_signs & (table["verdict"] != "at_null")])
    return "\n".join(f"- {line}" for line in lines)


def _came_out(name: str, rows: pd.DataFrame) -> str:
    """How many figures of a control came out null."""
    honest = rows[rows["origin"] != "stacked"]
    draws = rows["draws"].iloc[0]
    if (rows["verdict"] == "too_few_draws").any():
        return f"**{name}**: {draws} draws are too few to tell; at least 10 are needed."
    null = (honest["verdict"] == "at_null").sum()
    return (
        f"**{name}**, {draws} draws: {null} of {len(honest)} out-of-fold figures are null within "
        f"three simulated SD."
    )


def _of_stacked(rows: pd.DataFrame) -> Iterator[str]:
    """What the stacked Model CSD finds in nothing."""
    for row in rows.itertuples():
        found = f"mean AUC {row.mean:.3f} in place of {row.null:.3f} ({row.z:+.1f} SD)"
        name = _within(row.control)
        if row.verdict == "above":
            yield (
                f"**The stacked Model CSD finds something in nothing** ({name}: {found}). It is "
                f"fitted on the very scores that it is shown on, so no headline uses it."
            )
        else:
            yield (
                f"The stacked Model CSD was not told from null here ({name}: {found}). It is still "
                f"fitted on the very scores that it is shown on, so no headline uses it."
            )


def _beyond(rows: pd.DataFrame) -> Iterator[str]:
    """What of the other figures is not null."""
    above, below = (rows[rows["verdict"] == verdict] for verdict in ("above", "below"))
    if len(above):
        yield (
            f"**Better than null, which no out-of-fold figure may be: {_listed(above)}.** "
            f"An outcome or a fit reaches patients whom it must not reach: find out where before "
            f"any figure of this study is believed."
        )
    if len(below):
        yield (
            f"Worse than null: {_listed(below)}. That is no leak: folds are judged together, and "
            f"a fold with more events leaves fewer to the fit that scores it; what a fit spends "
            f"on noise it loses on other patients."
        )


def _of_signs(rows: pd.DataFrame) -> Iterator[str]:
    """Why the NRI is not null under noise."""
    if len(rows):
        yield (
            f"Not null, and no leak: {_listed(rows)}. The continuous NRI counts moves however "
            f"small; with one score for everybody Model CSD moves each patient towards the "
            f"middle, and noise turns some of these moves round. One more reason why NRI stands "
            f"last."
        )


def _listed(rows: pd.DataFrame) -> str:
    """The figures, each with its control and how far it is from null."""
    return "; ".join(
        f"{_within(row.control)}, {control_figure(row)} {row.mean:.3f} in place of "
        f"{row.null:.3f} ({row.z:+.1f} SD)"
        for row in rows.itertuples()
    )


def _within(control: str) -> str:
    """A control's name within a sentence."""
    name = CONTROLS[control]
    return name[0].lower() + name[1:]
