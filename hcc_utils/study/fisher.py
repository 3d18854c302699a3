"""Fisher's exact test of a table of any shape, by counting the tables with the same margins."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from hcc_utils import checks
from hcc_utils.checks import Floats

_MOST = 2_000_000  # partial tables that are kept apart: beyond, the test is not for this table
_TIE = 1e-7  # tables whose probabilities differ by less are equally likely, as in R

Counts = npt.NDArray[np.int64]
_Partial = tuple[Floats, Floats]  # log weights of partial tables, and how many have each


def p_value(counts: npt.ArrayLike) -> float:
    """
    The probability of all tables with these margins that are no likelier than this one.

    Parameters
    ----------
    counts : array_like of int, shape (n_levels, n_groups)
        How many patients of each group have each level; at least one.

    Returns
    -------
    float
        Two-sided, as R's ``fisher.test``. Not a number where the tables are too many to count.

    Raises
    ------
    InputError
        If they are no table of whole numbers of at least 0.

    Notes
    -----
    Tables are built a row at a time. Of partial tables that leave the same margins to fill, those
    of equal weight are counted together (the network of Mehta and Patel, without its bounds).

    References
    ----------
    .. [1] Mehta and Patel (1983), Journal of the American Statistical Association 78:427-434.
    """
    table = checks.counts("counts", counts)
    if table.shape[1] > table.shape[0]:
        table = table.T  # fewer margins to keep in mind
    nodes: dict[tuple[int, ...], _Partial] = {
        tuple(table.sum(axis=0).tolist()): (np.zeros(1), np.ones(1))
    }
    for total in table.sum(axis=1).tolist():
        nodes = _with_a_row(nodes, total)
        if sum(len(weights) for weights, _ in nodes.values()) > _MOST:
            return float("nan")
    (weights, many), *_ = nodes.values()
    margins = sum(gammaln(table.sum(axis=axis) + 1).sum() for axis in (0, 1))
    probability = many * np.exp(weights + margins - gammaln(table.sum() + 1))
    unlikely = weights <= _weight(table) + _TIE
    return float(min(1.0, probability[unlikely].sum()))


def _with_a_row(
    nodes: dict[tuple[int, ...], _Partial], total: int
) -> dict[tuple[int, ...], _Partial]:
    """The partial tables with one more row, by the margins that they leave."""
    longer: dict[tuple[int, ...], list[_Partial]] = defaultdict(list)
    for left, (weights, many) in nodes.items():
        for row in _rows(total, left):
            rest = tuple(have - taken for have, taken in zip(left, row, strict=True))
            longer[rest].append((weights + _weight(np.array(row)), many))
    return {rest: _merged(parts) for rest, parts in longer.items()}


def _rows(total: int, left: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every way to spread a row's total over what the columns have left."""
    if len(left) == 1:
        yield (total,)
        return
    least = max(0, total - sum(left[1:]))
    for first in range(least, min(left[0], total) + 1):
        for others in _rows(total - first, left[1:]):
            yield (first, *others)


def _merged(parts: list[_Partial]) -> _Partial:
    """Partial tables of equal weight as one, with how many they are."""
    weights, many = (np.concatenate(each) for each in zip(*parts, strict=True))
    _, first, group = np.unique(weights.round(9), return_index=True, return_inverse=True)
    return weights[first], np.bincount(group, many).astype(float)


def _weight(cells: Counts) -> float:
    """The logarithm of 1 / (a! b! ...)."""
    return -float(gammaln(cells + 1).sum())
