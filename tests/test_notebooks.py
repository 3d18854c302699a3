"""House rules of the notebooks."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import papermill
import pytest

from hcc_utils.study import results

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
TOOLS = ("outline_lesion",)
"""Notebooks for somebody's hands: no stage of the study runs them, no chapter shows them."""
LONGEST_CELL = 12


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def tree(path):
    return ast.parse("\n".join(cell.source for cell in code_cells(path)))


def header(path):
    return read(path).cells[0].source


def test_every_stage_has_its_notebook():
    assert [path.stem for path in NOTEBOOKS] == [*results.STAGES, "_template", *TOOLS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestHouseRules:
    def test_defines_nothing(self, path):
        """Functions and classes belong in hcc_utils, where they are tested."""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        found = [type(node).__name__ for node in ast.walk(tree(path)) if isinstance(node, kinds)]
        assert not found, f"move {found} to hcc_utils"

    def test_loops_over_nothing(self, path):
        found = [node for node in ast.walk(tree(path)) if isinstance(node, (ast.For, ast.While))]
        assert not found, f"line {[node.lineno for node in found]}: a loop belongs in hcc_utils"

    def test_holds_no_output(self, path):
        assert not [c for c in code_cells(path) if c.outputs or c.execution_count]

    def test_cells_are_short(self, path):
        long = [c.source for c in code_cells(path) if len(c.source.splitlines()) > LONGEST_CELL]
        assert not long

    def test_parameters_are_one_tagged_cell_of_literals(self, path):
        tagged = [c for c in code_cells(path) if "parameters" in c.metadata.get("tags", [])]
        assert len(tagged) == 1
        for node in ast.parse(tagged[0].source).body:
            assert isinstance(node, ast.Assign)
            ast.literal_eval(node.value)

    def test_imports_stand_in_one_cell(self, path):
        cells = [c for c in code_cells(path) if re.search(r"^(from|import) ", c.source, re.M)]
        assert len(cells) == 1

    def test_begins_with_its_question(self, path):
        assert re.match(r"# .+\?\n", header(path)), "the title is a question"
        for word in ("**Reads**", "**Writes**", "**Takes**"):
            assert word in header(path)

    def test_says_what_must_hold(self, path):
        assert [node for node in ast.walk(tree(path)) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize("stage", results.STAGES)
def test_the_header_names_what_is_written(stage):
    written = re.search(r"\*\*Writes\*\* (.*?) · \*\*Takes\*\*", header(FOLDER / f"{stage}.ipynb"))
    assert written
    named = set(re.findall(r"[a-z_]+\.(?:csv|npy|json|safetensors)", written[1]))
    both = results.files(stage, "development") + results.files(stage, "hospital_c")
    assert named == set(both)


@pytest.mark.parametrize("stage", results.STAGES)
def test_papermill_sees_the_parameters(stage):
    declared = set(papermill.inspect_notebook(str(FOLDER / f"{stage}.ipynb")))
    assert declared >= {"manifest", "results_root"}
    assert ("centre" in declared) == (stage not in results.TOGETHER)


def test_every_file_has_one_writer():
    written = [name for stage in results.STAGES for name in results.files(stage, "development")]
    assert len(written) == len(set(written))
