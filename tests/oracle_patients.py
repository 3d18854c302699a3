"""The patients of oracles/evaluation.R, and what R finds in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

ORACLES = Path(__file__).parent / "oracles"
R = json.loads((ORACLES / "evaluation.json").read_text("utf-8"))


def twenty_thousand() -> pd.DataFrame:
    """The rule of the same name in evaluation.R: whole numbers, so that both have the same."""
    state, drawn = 20240503, np.empty(80_000, dtype=np.int64)
    for k in range(len(drawn)):
        drawn[k] = state = 16807 * state % 2147483647
    x = drawn.reshape(-1, 4)
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
