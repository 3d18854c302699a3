"""The patients of oracles/evaluation.R, and what R finds in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ORACLES = Path(__file__).parent / "oracles"


def read(name: str) -> Any:
    """What an R script wrote."""
    return json.loads((ORACLES / name).read_text("utf-8"))


R = read("evaluation.json")


def whole_numbers(n: int, columns: int, seed: int) -> np.ndarray:
    """A congruential rule that R has too, so that both draw the same; shape (n, columns)."""
    state, drawn = seed, np.empty(n * columns, dtype=np.int64)
    for k in range(len(drawn)):
        drawn[k] = state = 16807 * state % 2147483647
    return drawn.reshape(n, columns)


def twenty_thousand() -> pd.DataFrame:
    """The rule of the same name in evaluation.R."""
    x = whole_numbers(20_000, 4, 20240503)
    percent = x[:, 0] % 98 + 1
    return pd.DataFrame(
        {
            "event": x[:, 1] % 150 < percent,
            "risk_a": np.clip(percent + x[:, 2] % 81 - 40, 1, 99) / 100,
            "risk_b": np.clip(10 * percent + x[:, 3] % 401 - 200, 1, 999) / 1000,
        }
    )


DATA = {
    n: pd.read_csv(ORACLES / f"evaluation_{n}.csv").dropna()
    for n in ("40", "332", "300", "separated")
} | {"20000": twenty_thousand()}
