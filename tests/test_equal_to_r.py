"""Every statistic against R: how far off, and how far off it may be.

R's values lie in oracles/ beside the scripts that wrote them, with R's and the packages' versions.
`python tests/test_equal_to_r.py > book/equal_to_r.md` writes the table of the book's methods page.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rows_of_cohort
import rows_of_comparison
from rows import SAME

PAGE = Path(__file__).parents[1] / "book" / "equal_to_r.md"
FINEST = 1e-12
"""Nearer than this is rounding, which differs between machines."""


def differences() -> pd.DataFrame:
    """A row a statistic and set of patients, with the difference in units of R's value."""
    rows = [*rows_of_cohort.rows(), *rows_of_comparison.rows()]
    table = pd.DataFrame(rows, columns=["statistic", "patients", "ours", "r", "tolerance"])
    pairs = zip(table["ours"], table["r"], strict=True)
    return table.assign(difference=[_difference(ours, theirs) for ours, theirs in pairs])


def _difference(ours: Any, theirs: Any) -> float:
    """The largest difference as a share of R's largest value; itself where that is 0."""
    if pd.api.types.is_string_dtype(np.atleast_1d(theirs)):
        return 0.0 if list(ours) == list(theirs) else np.inf
    a, b = np.atleast_1d(np.asarray(ours, float)), np.atleast_1d(np.asarray(theirs, float))
    assert a.shape == b.shape
    return float(np.abs(a - b).max() / (np.abs(b).max() or 1))


def printed(table: pd.DataFrame) -> str:
    """Statistics with their figures, data, the largest difference and the tolerance."""
    name, _, figure = (table["statistic"] + ",").str.partition(",").to_numpy().T
    families = table.assign(statistic=name, figure=figure).groupby(
        ["statistic", "tolerance"], sort=False
    )
    lines = [
        "| statistic | figures | data | largest difference | tolerance |",
        "|---|---|---|---|---|",
    ]
    for (name, tolerance), rows in families:
        cells = (
            name,
            ", ".join(rows["figure"].str.replace("_", " ").str.strip(" ,").unique()),
            ", ".join(rows["patients"].unique()),
            _bound(rows["difference"].max(), tolerance),
            "none" if tolerance == SAME else f"{tolerance:.0e}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _bound(difference: float, tolerance: float) -> str:
    """The power of ten that is at least twice as large."""
    if tolerance == SAME:
        return "none"
    return f"< {10 ** np.ceil(np.log10(max(2 * difference, FINEST))):.0e}"


ALL = differences()


@pytest.mark.parametrize("statistic", ALL["statistic"].unique())
def test_within_the_tolerance(statistic):
    """In every set of patients."""
    rows = ALL[ALL["statistic"] == statistic]
    off = rows[~(rows["difference"] <= rows["tolerance"])]
    assert off.empty, off.to_string()


def test_the_book_prints_this_table():
    """But for the differences: those printed are bounds, which hold on every machine."""
    ours, theirs = (_cells(text) for text in (printed(ALL), PAGE.read_text("utf-8")))
    bound = "largest difference"
    pd.testing.assert_frame_equal(ours.drop(columns=bound), theirs.drop(columns=bound))
    found, shown = (_number(each[bound]) for each in (ours, theirs))
    assert (found <= shown).all(), theirs[found > shown].to_string()


def _cells(text: str) -> pd.DataFrame:
    head, _, *rows = (line.strip("| ").split(" | ") for line in text.splitlines())
    return pd.DataFrame(rows, columns=head)


def _number(bounds: pd.Series) -> pd.Series:
    return bounds.str.removeprefix("< ").replace("none", "0").astype(float)


if __name__ == "__main__":
    sys.stdout.write(printed(ALL))
