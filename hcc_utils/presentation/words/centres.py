"""Words of chapters 07 and 08: all centres together, and both protocols side by side."""

from __future__ import annotations

import pandas as pd

from hcc_utils.presentation.words.plain import Whole, estimate, figure, interval
from hcc_utils.study.vocabulary import label

_CHOICE = {"apparent": "fitted on them", "tuned": "chosen on them", "external": "new to them"}


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
        cells.setdefault((figure(row), centre), {})[label(row.model)] = estimate(row)
    text = pd.DataFrame(cells).T.fillna("").rename_axis(["figure", "centre"])
    return Whole(text)


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
    return Whole(pd.DataFrame(text).set_index(["model", "patients"]))


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
