"""How a hospital's table says what the vocabulary says: its columns, codes and units."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path

from hcc_utils import checks
from hcc_utils.study import vocabulary
from hcc_utils.study.document import Document, Key

Value = str | bool | float | None

_PARTS = ("columns", "missing", "after_baseline")
_KEYS = ("column", "any_of", "constant", "codes", "multiply_by", "optional")
_SOURCES = ("column", "any_of", "constant")
_PLAIN_FLAG: dict[str, Value] = {"1": True, "0": False, "true": True, "false": False}
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True, kw_only=True)
class Column:
    """
    How one variable of the vocabulary stands in a hospital's table.

    Parameters
    ----------
    variable : vocabulary.Variable
        What is read.
    line : int
        Where the codebook says so.
    columns : tuple of str
        The hospital's column; several for a flag that is true where any of them is; none where
        the value is constant.
    constant : str, bool or float, optional
        The value of every patient, in the vocabulary's words and unit.
    codes : dict
        The hospital's cells and what they mean (None: not known); for numbers in its own unit.
    multiply_by : float, default 1
        From the hospital's unit to the vocabulary's.
    optional : bool, default False
        Whether the table may lack the column: it is then warned of, and what needs it is absent.
    """

    variable: vocabulary.Variable
    line: int
    columns: tuple[str, ...] = ()
    constant: Value = None
    codes: dict[str, Value] = field(default_factory=dict)
    multiply_by: float = 1.0
    optional: bool = False

    def meaning(self, cell: str) -> Value:
        """
        What a cell means, where codes or the vocabulary's own words say it.

        Parameters
        ----------
        cell : str
            As it stands in the table, without spaces around it.

        Returns
        -------
        str, bool, float or None
            None where it means "not known".

        Raises
        ------
        KeyError
            If no code is given for it.
        """
        for word in (cell, plain(cell)):
            if word in self.codes:
                return self.codes[word]
        if not self.codes and self.variable.kind == "flag":
            return _PLAIN_FLAG[plain(cell)]
        if not self.codes and cell in self.variable.levels:
            return cell
        raise KeyError(cell)


@dataclass(frozen=True, kw_only=True)
class Codebook:
    """
    A hospital's table in the vocabulary's words.

    Parameters
    ----------
    path : pathlib.Path
        The file it was read from.
    columns : dict
        A `Column` for each variable that the table holds, by the vocabulary's name.
    missing : frozenset of str
        Cells that mean "not known"; an empty cell always does.
    """

    path: Path
    columns: dict[str, Column]
    missing: frozenset[str]

    @classmethod
    def read(cls, path: Path | str) -> Codebook:
        """
        The codebook that a YAML file holds.

        Parameters
        ----------
        path : pathlib.Path or str
            Such as ``codebook.yaml``.

        Returns
        -------
        Codebook
            One column a variable, in the vocabulary's order.

        Raises
        ------
        Problems
            All that is wrong with it, each with file, line, key and rule.
        """
        document = Document(Path(path))
        for key in document.data:
            if key not in _PARTS:
                document.refuse((key,), _unknown(key, _PARTS))
        given = document.data.get("columns")
        if not isinstance(given, dict) or "patient_id" not in given:
            document.refuse(("columns",), "must say at least which column holds patient_id")
        columns = {
            str(name): column
            for name, said in (given.items() if isinstance(given, dict) else ())
            if (column := _column(document, name, said)) is not None
        }
        missing = _list(document, "missing", '["", "n/a"]')
        _refuse_later(document, columns.values(), _list(document, "after_baseline", '["*_FU"]'))
        document.finish()
        ordered = {name: columns[name] for name in vocabulary.VARIABLES if name in columns}
        words = frozenset(plain(cell) for cell in missing)
        return cls(path=Path(path), columns=ordered, missing=words | {""})

    def is_optional(self, name: str) -> bool:
        """
        Whether the table may lack the column of a variable.

        Parameters
        ----------
        name : str
            A name of the vocabulary.

        Returns
        -------
        bool
            False where the codebook does not say that it may.
        """
        return name in self.columns and self.columns[name].optional


def plain(cell: object) -> str:
    """
    A cell's text, the same for 1, 1.0 and "1.0", and for TRUE and true.

    Parameters
    ----------
    cell : object
        A cell of a table, or a word of a codebook.

    Returns
    -------
    str
        Without spaces around it.
    """
    text = "" if cell is None else str(cell).strip()
    if text.lower() in ("true", "false"):
        return text.lower()
    if is_number(text) and math.isfinite(float(text)) and float(text) == int(float(text)):
        return str(int(float(text)))
    return text


def is_number(text: str) -> bool:
    """
    Whether a cell holds a plain number: a decimal point, no comma, no inf, no nan.

    Parameters
    ----------
    text : str
        A cell's text.

    Returns
    -------
    bool
        True for such as "12", "-1.5" and "1e5".
    """
    return _NUMBER.fullmatch(text) is not None


def _column(document: Document, name: object, said: object) -> Column | None:
    """One variable's column, or None where it cannot be understood (the document knows why)."""
    key: Key = ("columns", name)
    variable = vocabulary.VARIABLES.get(str(name))
    if variable is None:
        document.refuse(
            key, "is not in the vocabulary" + checks.nearest(str(name), vocabulary.VARIABLES)
        )
        return None
    if name == "centre":
        document.refuse(key, "is set by the manifest; leave it out")
        return None
    if not isinstance(said, dict):
        document.refuse(key, "must hold keys and values, such as {column: Age}")
        return None
    for word in said:
        if word not in _KEYS:
            document.refuse((*key, word), _unknown(word, _KEYS))
    codes = _codes(document, key, variable, said.get("codes", {}))
    return Column(
        variable=variable,
        line=document.line(key),
        columns=_columns(document, key, variable, said),
        constant=_constant(document, key, variable, said),
        codes=codes,
        multiply_by=_factor(document, key, variable, said.get("multiply_by", 1.0)),
        optional=_optional(document, key, said.get("optional", False)),
    )


def _list(document: Document, key: str, example: str) -> tuple[object, ...]:
    """A list of the codebook, empty where it has none."""
    given = document.data.get(key, ())
    if isinstance(given, tuple):
        return given
    document.refuse((key,), f"must be a list, such as {example}")
    return ()


def _refuse_later(
    document: Document, columns: Iterable[Column], after_baseline: tuple[object, ...]
) -> None:
    """Refuse what is known at baseline to be read from a column that was measured later."""
    for column in columns:
        if not vocabulary.at_baseline(column.variable.name):
            continue
        for source, pattern in product(column.columns, after_baseline):
            if fnmatchcase(source, str(pattern)):
                rule = f"must be known at baseline; {source!r} was measured later ({pattern})"
                document.refuse(("columns", column.variable.name), rule)


def _optional(document: Document, key: Key, given: object) -> bool:
    """Whether the table may lack the column."""
    if not isinstance(given, bool):
        document.refuse((*key, "optional"), "must be true or false")
    return given is True


def _columns(
    document: Document, key: Key, variable: vocabulary.Variable, said: dict[object, object]
) -> tuple[str, ...]:
    """The hospital's columns that hold a variable."""
    sources = [word for word in _SOURCES if word in said]
    if len(sources) != 1:
        document.refuse(key, "must hold exactly one of column, any_of and constant")
        return ()
    if sources == ["constant"]:
        return ()
    given = said[sources[0]]
    names = given if sources == ["any_of"] else (given,)
    if sources == ["any_of"] and variable.kind != "flag":
        document.refuse((*key, "any_of"), "is for flags alone; name one column")
    if not isinstance(names, tuple) or not names:
        document.refuse((*key, "any_of"), "must be a list of columns")
        return ()
    if not all(isinstance(column, str) and column.strip() for column in names):
        document.refuse((*key, sources[0]), "must be the name of a column; quote a number")
        return ()
    return tuple(str(column).strip() for column in names)


def _constant(
    document: Document, key: Key, variable: vocabulary.Variable, said: dict[object, object]
) -> Value:
    """The value of every patient, where the codebook gives one."""
    if "constant" not in said:
        return None
    for word in ("codes", "multiply_by"):
        if word in said:
            document.refuse((*key, word), "means nothing beside a constant; leave it out")
    value = said["constant"]
    if variable.kind == "text" or value is None:
        document.refuse((*key, "constant"), "must be a value; an id is read from a column")
        return None
    known = _value(document, (*key, "constant"), variable, value)
    if isinstance(known, float) and not variable.low <= known <= variable.high:
        document.refuse((*key, "constant"), f"must lie from {variable.low:g} to {variable.high:g}")
    return known


def _codes(
    document: Document, key: Key, variable: vocabulary.Variable, given: object
) -> dict[str, Value]:
    """What the hospital's cells mean, by their text."""
    way = (*key, "codes")
    if not isinstance(given, dict):
        document.refuse(way, "must hold cells and their meaning, such as {1: male, 2: female}")
        return {}
    if given and variable.kind == "text":
        document.refuse(way, "cannot be given for text")
        return {}
    codes: dict[str, Value] = {}
    for cell, meaning in given.items():
        if plain(cell) in codes:
            document.refuse((*way, cell), "means the same cell as a code above it")
        codes[plain(cell)] = _value(document, (*way, cell), variable, meaning)
    return codes


def _factor(document: Document, key: Key, variable: vocabulary.Variable, given: object) -> float:
    """The factor from the hospital's unit to the vocabulary's."""
    way = (*key, "multiply_by")
    if isinstance(given, bool) or not isinstance(given, (int, float)) or given <= 0:
        document.refuse(way, "must be a number above 0")
        return 1.0
    if given != 1 and variable.kind != "number":
        document.refuse(way, "is for numbers alone")
    return float(given)


def _value(document: Document, key: Key, variable: vocabulary.Variable, given: object) -> Value:
    """A word of the vocabulary, where `given` is one for this variable; None is "not known"."""
    if given is None:
        return None
    if variable.kind == "flag":
        if isinstance(given, bool):
            return given
        document.refuse(key, "must mean true or false (or null: not known)")
    elif variable.kind == "number":
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            return float(given)
        document.refuse(key, "must mean a number (or null: not known)")
    else:
        if str(given) in variable.levels:
            return str(given)
        levels = ", ".join(variable.levels)
        rule = f"must mean one of {levels} (or null: not known); got {given!r}"
        document.refuse(key, rule + checks.nearest(str(given), variable.levels))
    return None


def _unknown(word: object, known: tuple[str, ...]) -> str:
    """The rule for a key that is not known."""
    return "is not a key that is known here" + checks.nearest(str(word), known)
