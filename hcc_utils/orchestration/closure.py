"""What a notebook depends on in the package: its imports, and what those import."""

from __future__ import annotations

import ast
import json
from functools import cache
from pathlib import Path
from typing import Any

import grimp


@cache
def modules(notebook: Path) -> list[Path]:
    """
    The package's files that a notebook really uses.

    Parameters
    ----------
    notebook : pathlib.Path
        A notebook that imports from ``hcc_utils``.

    Returns
    -------
    list of pathlib.Path
        The files of those modules and of all that they import, sorted.
    """
    graph = _graph()
    used: set[str] = set()
    for name in _imported(notebook):
        if name in graph.modules:
            used |= {name} | graph.find_upstream_modules(name)
    return sorted(_file(name) for name in used)


def module_files(name: str) -> list[Path]:
    """
    The files of one module and of all that it imports.

    Parameters
    ----------
    name : str
        A module's full name, such as ``hcc_utils.orchestration.book``.

    Returns
    -------
    list of pathlib.Path
        Sorted.
    """
    return sorted(_file(found) for found in {name} | _graph().find_upstream_modules(name))


def scripts() -> list[Path]:
    """
    The scripts that the book's pages carry.

    Returns
    -------
    list of pathlib.Path
        Sorted.
    """
    return sorted(_file("hcc_utils.presentation").parent.glob("*.js"))


def _imported(notebook: Path) -> set[str]:
    """Full names that the notebook's code cells import from the package."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    tree = ast.parse("\n".join(code))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hcc_utils"):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("hcc_utils")}
    return found


@cache
def _graph() -> Any:
    return grimp.build_graph("hcc_utils", cache_dir=None)


def _file(module: str) -> Path:
    """The file of a module of the package."""
    root = Path(__file__).resolve().parents[1]
    path = root.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
