"""A YAML document as plain data, with the line of every key."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from hcc_utils.checks import Problem, Problems

Key = tuple[object, ...]


class _Loader(yaml.SafeLoader):
    """YAML 1.2's few plain words: `no` is text (Norway too), and 007 stays what it is."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A node; an alias is refused, since one can hold itself."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                problem="an alias (*) is not read: write it out", problem_mark=self.get_mark()
            )
        return super().compose_node(parent, index)


for _tag, _pattern, _first in (
    ("bool", r"true|false|True|False|TRUE|FALSE", "tfTF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(0|[1-9][0-9]*)?\.[0-9]+([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
    )


class Document:
    """
    What a YAML file holds, with the line of every key.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Raises
    ------
    Problems
        If the file is missing, is no UTF-8, is no YAML or does not hold keys and values.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._problems: list[tuple[int, Problem]] = []
        self._lines: dict[Key, int] = {}
        loader, node = self._parse(self._text())
        if not isinstance(node, yaml.MappingNode):
            raise Problems([Problem(f"{path}:1", "must hold keys and values (key: value)")])
        self.data: dict[object, object] = self._mapping(loader, node, ())

    def line(self, key: Key) -> int:
        """
        The line on which a key stands, or the nearest key above it.

        Parameters
        ----------
        key : tuple
            The way from the top, such as ``("centres", "hospital_a", "role")``.

        Returns
        -------
        int
            Counted from 1.
        """
        while key and key not in self._lines:
            key = key[:-1]
        return self._lines.get(key, 1)

    def refuse(self, key: Key, rule: str) -> None:
        """
        Nothing; the problem is kept with its file and line.

        Parameters
        ----------
        key : tuple
            The way from the top.
        rule : str
            What must hold.
        """
        name = ".".join(str(part) for part in key)
        line = self.line(key)
        where = f"{self.path}:{line}" + (f": {name}" if name else "")
        self._problems.append((line, Problem(where, rule)))

    def finish(self) -> None:
        """
        Nothing, where no problem was kept.

        Raises
        ------
        Problems
            All that were kept, in the order of their lines.
        """
        if self._problems:
            raise Problems(
                dict.fromkeys(p for _, p in sorted(self._problems, key=lambda kept: kept[0]))
            )

    def _text(self) -> str:
        """The file's text."""
        if not self.path.is_file():
            raise Problems([Problem(str(self.path), "there is no such file")])
        try:
            return self.path.read_text("utf-8-sig")
        except UnicodeDecodeError:
            rule = "must be UTF-8 text"
            remedy = "Save it again as UTF-8."
            raise Problems([Problem(str(self.path), rule, remedy=remedy)]) from None

    def _parse(self, text: str) -> tuple[_Loader, yaml.Node | None]:
        """The document as nodes, and the loader that turns a node into a value."""
        try:
            loader = _Loader(text)
            return loader, loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            rule = f"is not YAML from here on ({error.problem})"
            raise Problems([Problem(f"{self.path}:{line}", rule)]) from None
        except yaml.reader.ReaderError:
            rule = "holds a character that YAML does not allow"
            raise Problems([Problem(str(self.path), rule)]) from None

    def _mapping(self, loader: _Loader, node: yaml.MappingNode, above: Key) -> dict[object, object]:
        """The keys and values of one mapping; a key that stands twice is refused."""
        found: dict[object, object] = {}
        for key_node, value_node in node.value:
            key = self._value(loader, key_node, above)
            if isinstance(key, (dict, tuple)):
                key = "?"
            way = (*above, key)
            if key in found:
                first = self._lines[way]
                self._lines[way] = key_node.start_mark.line + 1
                self.refuse(way, f"stands already in line {first}; a key may stand once")
            self._lines[way] = key_node.start_mark.line + 1
            found[key] = self._value(loader, value_node, way)
        return found

    def _value(self, loader: _Loader, node: yaml.Node, way: Key) -> object:
        """What a node means: a mapping, a tuple or a plain value."""
        if isinstance(node, yaml.MappingNode):
            return self._mapping(loader, node, way)
        if isinstance(node, yaml.SequenceNode):
            return tuple(
                self._value(loader, item, (*way, place)) for place, item in enumerate(node.value)
            )
        try:
            value: object = loader.construct_object(node)
        except (yaml.MarkedYAMLError, ValueError):
            self.refuse(way, f"the tag {node.tag} cannot be read; write plain text")
            return None
        return value
