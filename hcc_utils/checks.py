"""Every check of an argument: each returns the cleaned value or raises InputError."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class InputError(ValueError):
    """What was given cannot be used; the message says what, where, the rule and the next step."""


@dataclass(frozen=True)
class Problem:
    """
    One thing that is wrong with what was given.

    Parameters
    ----------
    where : str
        File, line and key or column.
    rule : str
        What must hold there.
    found : str, default ""
        What stands there instead; it may quote a patient's value or id.
    remedy : str, default ""
        The next step, as a sentence.
    """

    where: str
    rule: str
    found: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        found = f"; got {self.found}" if self.found else ""
        return f"{self.where}: {self.rule}{found}.{self.remedy and ' ' + self.remedy}"

    @property
    def redacted(self) -> str:
        """The same line without what was found: no patient's value or id is quoted."""
        return str(Problem(self.where, self.rule, remedy=self.remedy))


class Problems(InputError):  # noqa: N818 - the name says that there are several
    """
    Everything that is wrong with what was given, not only the first.

    Parameters
    ----------
    problems : iterable of Problem
        At least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__("\n  ".join([f"{head}:", *self.lines]))

    @property
    def lines(self) -> list[str]:
        """One line a problem; they may quote values and ids, so they stay in the hospital."""
        return [str(problem) for problem in self.problems]


def numbers(name: str, values: npt.ArrayLike) -> Floats:
    """
    Values as a one-dimensional array of finite numbers.

    Parameters
    ----------
    name : str
        What the values are, for the message.
    values : array_like, shape (n,)
        Numbers.

    Returns
    -------
    numpy.ndarray of float, shape (n,)
        The same values.

    Raises
    ------
    InputError
        If they are not numbers, not one-dimensional, or one of them is missing or infinite.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must hold numbers; it holds something else ({error}).") from None
    if array.ndim != 1:
        raise InputError(f"{name} must be one-dimensional; its shape is {array.shape}.")
    _refuse(name, "must hold finite numbers", array, ~np.isfinite(array))
    return array


def probabilities(name: str, values: npt.ArrayLike) -> Floats:
    """
    Values as an array of probabilities.

    Parameters
    ----------
    name : str
        What the values are, for the message.
    values : array_like, shape (n,)
        Numbers in [0, 1].

    Returns
    -------
    numpy.ndarray of float, shape (n,)
        The same values.

    Raises
    ------
    InputError
        If one of them is not a number in [0, 1].
    """
    array = numbers(name, values)
    outside = (array < 0) | (array > 1)
    hint = " If these are scores, turn them into risks first."
    _refuse(name, "must hold probabilities in [0, 1]", array, outside, hint)
    return array


def outcomes(name: str, values: npt.ArrayLike, *, both: bool = False) -> Bools:
    """
    Values as an array of True (the event happened) and False.

    Parameters
    ----------
    name : str
        What the values are, for the message.
    values : array_like, shape (n,)
        True and False, or 1 and 0.
    both : bool, default False
        Whether events and non-events must both be present.

    Returns
    -------
    numpy.ndarray of bool, shape (n,)
        True where the event happened.

    Raises
    ------
    InputError
        If a value is neither, or only one class is present where both are needed.
    """
    array = numbers(name, values)
    _refuse(name, "must hold True and False (or 1 and 0)", array, ~np.isin(array, (0.0, 1.0)))
    event: Bools = array == 1
    if both and (event.all() or not event.any()):
        found = "events" if event.any() else "non-events"
        raise InputError(
            f"{name} must hold both events and non-events; all {len(event)} are {found}."
        )
    return event


def causes(name: str, values: npt.ArrayLike) -> Floats:
    """
    Values as an array of 0 (censored), 1 (the event) and 2 (a competing event).

    Parameters
    ----------
    name : str
        What the values are, for the message.
    values : array_like, shape (n,)
        0, 1 and 2.

    Returns
    -------
    numpy.ndarray of float, shape (n,)
        The same values.

    Raises
    ------
    InputError
        If a value is none of the three.
    """
    array = numbers(name, values)
    rule = "must hold 0 (censored), 1 (event) or 2 (competing)"
    _refuse(name, rule, array, ~np.isin(array, (0.0, 1.0, 2.0)))
    return array


def same_length(**arrays: Sequence[object] | npt.NDArray[np.generic]) -> None:
    """
    Nothing, where all arrays have one length.

    Parameters
    ----------
    **arrays : array_like
        The arrays by name.

    Raises
    ------
    InputError
        If their lengths differ.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise InputError(f"one value a patient is needed in each; {said}.")


def columns(table: pd.DataFrame, needed: Iterable[str], *, name: str = "table") -> pd.DataFrame:
    """
    Table, where it has the columns that are needed.

    Parameters
    ----------
    table : pandas.DataFrame
        Any table.
    needed : iterable of str
        Names of columns.
    name : str, default "table"
        What the table is, for the message.

    Returns
    -------
    pandas.DataFrame
        The same table.

    Raises
    ------
    InputError
        If columns are missing; the nearest present name is suggested for each.
    """
    missing = [column for column in needed if column not in table.columns]
    if missing:
        present = [str(column) for column in table.columns]
        said = "; ".join(f"{column!r}{nearest(column, present)}" for column in missing)
        raise InputError(f"{name} lacks {len(missing)} column(s): {said}. Add or rename them.")
    return table


def one_of(name: str, value: str, allowed: Iterable[str]) -> str:
    """
    Value, where it is one of those allowed.

    Parameters
    ----------
    name : str
        What the value is, for the message.
    value : str
        What was given.
    allowed : iterable of str
        What may be given.

    Returns
    -------
    str
        The same value.

    Raises
    ------
    InputError
        If it is not; the nearest allowed value is suggested.
    """
    known = list(allowed)
    if value not in known:
        raise InputError(
            f"{name} must be one of {', '.join(known)}; got {value!r}{nearest(value, known)}."
        )
    return value


def nearest(word: str, known: Iterable[str]) -> str:
    """
    A suggestion like " (nearest: 'diameter_mm')", or nothing where no word is near.

    Parameters
    ----------
    word : str
        What was written.
    known : iterable of str
        What could have been meant.

    Returns
    -------
    str
        The suggestion, to be appended to a message.
    """
    found = difflib.get_close_matches(word, list(known), n=1)
    return f" (nearest: {found[0]!r})" if found else ""


def _refuse(name: str, rule: str, array: Floats, bad: Bools, hint: str = "") -> None:
    """Raise where any value is bad, naming how many and the first."""
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{name} {rule}; {bad.sum()} of {len(array)} do not, "
            f"first at row {row}: {array[row]:g}.{hint}"
        )
