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


def numbers(name: str, values: npt.ArrayLike, *, missing: bool = False) -> Floats:
    """
    Values as a one-dimensional array of finite numbers.

    Parameters
    ----------
    name : str
        What the values are, for the message.
    values : array_like, shape (n,)
        Numbers; not words or dates, even those that could be read as numbers.
    missing : bool, default False
        Whether some may be missing; never infinite.

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
        _refuse_words(name, np.asarray(values))
        array = np.asarray(pd.Series(values) if missing else values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} must hold numbers; it holds something else ({error}).") from None
    if array.ndim != 1:
        raise InputError(f"{name} must be one-dimensional; its shape is {array.shape}.")
    bad = np.isinf(array) if missing else ~np.isfinite(array)
    _refuse(name, "must hold finite numbers", array, bad)
    return array


def number(name: str, value: object, *, least: float = -np.inf) -> float:
    """
    Value as one finite number.

    Parameters
    ----------
    name : str
        What the value is, for the message.
    value : float
        What was given.
    least : float, optional
        The smallest that is allowed.

    Returns
    -------
    float
        The same value.

    Raises
    ------
    InputError
        If it is no number, missing, infinite, or below the least.
    """
    real = isinstance(value, (int, float, np.number)) and bool(np.isfinite(value))
    if not real or value < least:  # type: ignore[operator]
        bound = "" if least == -np.inf else f" of at least {least:g}"
        raise InputError(f"{name} must be one finite number{bound}; got {value!r}.")
    return float(value)  # type: ignore[arg-type]


def inside(name: str, value: object, below: float = 1.0) -> float:
    """
    Value, where it lies strictly between 0 and a bound.

    Parameters
    ----------
    name : str
        What the value is, for the message.
    value : float
        What was given.
    below : float, default 1
        The bound.

    Returns
    -------
    float
        The same value.

    Raises
    ------
    InputError
        If it does not, or is no number.
    """
    real = isinstance(value, (int, float, np.number))
    if not real or not 0 < value < below:  # type: ignore[operator]
        raise InputError(f"{name} must lie strictly between 0 and {below:.3g}; got {value!r}.")
    return float(value)  # type: ignore[arg-type]


def whole(name: str, value: object, *, least: int) -> int:
    """
    Value as a whole number.

    Parameters
    ----------
    name : str
        What the value is, for the message.
    value : int
        What was given.
    least : int
        The smallest that is allowed.

    Returns
    -------
    int
        The same value.

    Raises
    ------
    InputError
        If it is not whole, or below the least.
    """
    found = number(name, value, least=least)
    if found != int(found):
        raise InputError(f"{name} must be a whole number; got {value!r}.")
    return int(found)


def times(name: str, values: npt.ArrayLike, *, missing: bool = False) -> Floats:
    """
    Values as an array of times since time zero.

    Parameters
    ----------
    name : str
        What the values are, for the message.
    values : array_like, shape (n,)
        Numbers of at least 0.
    missing : bool, default False
        Whether some may be missing.

    Returns
    -------
    numpy.ndarray of float, shape (n,)
        The same values.

    Raises
    ------
    InputError
        If one of them is no number or negative.
    """
    array = numbers(name, values, missing=missing)
    _refuse(name, "must not be negative", array, array < 0, " Check time zero.")
    return array


def counts(name: str, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """
    Values as a table of counts.

    Parameters
    ----------
    name : str
        What is counted, for the message.
    values : array_like of int, shape (n_rows, n_columns)
        Whole numbers of at least 0.

    Returns
    -------
    numpy.ndarray of int, shape (n_rows, n_columns)
        The same values.

    Raises
    ------
    InputError
        If they are no table, or one of them is no such number.
    """
    shape = np.shape(np.array(values, dtype=object))
    if len(shape) != 2:
        raise InputError(f"{name} must be a table of rows and columns; its shape is {shape}.")
    flat = numbers(name, np.ravel(np.asarray(values)))
    _refuse(name, "must hold whole numbers of at least 0", flat, (flat < 0) | (flat % 1 != 0))
    return flat.astype(np.int64).reshape(shape)


def once(patients: pd.DataFrame, needed: Iterable[str], *, name: str = "patients") -> pd.DataFrame:
    """
    Patients, where the columns that are needed are there and nobody stands twice.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient; who is who is known where there is a ``patient_id``.
    needed : iterable of str
        Names of columns.
    name : str, default "patients"
        What the table is, for the message.

    Returns
    -------
    pandas.DataFrame
        The same patients.

    Raises
    ------
    InputError
        If a column is missing or a patient stands twice.
    """
    columns(patients, needed, name=name)
    if "patient_id" in patients:
        ids = patients["patient_id"]
        if ids.duplicated().any():
            raise InputError(
                f"{name} must hold one row a patient; {ids.duplicated().sum()} row(s) repeat a "
                f"patient_id, first {ids[ids.duplicated()].iloc[0]!r}. Leave out the repetition."
            )
    return patients


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
        If it is no table, or columns are missing; the nearest present name is suggested for each.
    """
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"{name} must be a table with named columns; got {type(table).__name__}.")
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
    found = difflib.get_close_matches(str(word), list(known), n=1)
    return f" (nearest: {found[0]!r})" if found else ""


def _refuse_words(name: str, given: npt.NDArray[np.generic]) -> None:
    """Raise where values are words or dates, which numpy would read as numbers where it can."""
    words = given.dtype.kind in "USMm"
    if words or (given.dtype.kind == "O" and any(isinstance(one, str) for one in given.flat)):
        first = next(one for one in given.flat if words or isinstance(one, str))
        raise InputError(f"{name} must hold numbers; it holds something else, such as {first!r}.")


def _refuse(name: str, rule: str, array: Floats, bad: Bools, hint: str = "") -> None:
    """Raise where any value is bad, naming how many and the first."""
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{name} {rule}; {bad.sum()} of {len(array)} do not, "
            f"first at row {row}: {array[row]:g}.{hint}"
        )
