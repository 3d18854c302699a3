"""What a row of the table against R is, and how far from R it may be."""

from __future__ import annotations

from typing import Any, TypeAlias

EXACT, ITERATED, SAME = 1e-9, 1e-6, 0.0
"""Relative. The second where R stops by its own rule; the last for what is chosen or counted."""

Row: TypeAlias = tuple[str, str, Any, Any, float]
"""Statistic and figure, data, our value, R's and the tolerance."""
