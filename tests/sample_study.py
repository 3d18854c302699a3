"""A study small enough for a test: results as the notebooks leave them, with two real figures."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path

import nbformat
import pandas as pd
from nbclient import NotebookClient
from nbformat import v4

from hcc_utils.orchestration import book
from hcc_utils.study import results
from hcc_utils.study.manifest import Manifest

COUNTS = pd.DataFrame(
    {
        "model": "csd",
        "threshold": [0.1, 0.2, 0.3, 0.4, 0.5],
        "true_positive": [22, 21, 20, 12, 5],
        "false_positive": [50, 30, 17, 8, 2],
        "false_negative": [0, 1, 2, 10, 17],
        "true_negative": [24, 44, 57, 66, 72],
    }
)
"""96 invented patients, 22 of them with the event."""

DECISION_CURVE = pd.DataFrame(
    {
        "model": "csd",
        "threshold": [0.1, 0.2, 0.3] * 3,
        "strategy": ["model"] * 3 + ["all"] * 3 + ["none"] * 3,
        "net_benefit": [0.17, 0.14, 0.13, 0.14, 0.04, -0.1, 0.0, 0.0, 0.0],
    }
)

_FIGURES = [
    """
import pandas as pd
from hcc_utils.presentation import figures
from hcc_utils.presentation.explorer import explorer
""",
    'figures.decision_curve(pd.read_csv("decision_curve.csv"))',
    'explorer(pd.read_csv("threshold_counts.csv"), {"csd": 0.28})',
    'pd.read_csv("threshold_counts.csv").head(3)',
]


def manifest(folder: Path, **changes: object) -> Manifest:
    """A study of a development hospital and two others."""
    hospital = {"table": "patients.csv", "codebook": "codebook.yaml"}
    content = {
        "study": "sample",
        "title": "A sample of three hospitals",
        "synthetic": True,
        "endpoint": "aggressive_pd",
        "time_zero": "initial treatment",
        "seed": 1,
        "ethics": "not needed: nobody's data",
        "funding": "none",
        "data_root": ".",
        "centres": {
            "hospital_a": {"title": "Hospital A", "role": "development", **hospital},
            "hospital_c": {"title": "Hospital C", "role": "validation", **hospital},
            "hospital_d": {"title": "Hospital D", "role": "validation", **hospital},
        },
    }
    return Manifest.model_validate(content | changes, context={"folder": str(folder)})


@functools.cache
def with_book() -> Path:
    """The sample's results with its book, made once for all tests; none may change them."""
    folder = Path(tempfile.mkdtemp(prefix="hcc-sample-")) / "sample"
    atexit.register(shutil.rmtree, folder.parent, ignore_errors=True)
    write(folder)
    book.build(folder, manifest(folder))
    return folder


def write(folder: Path, *, run: bool = True) -> None:
    """Executed notebooks and tables of development and hospital C; hospital D is refused."""
    verdicts = {
        "accepted": ["hospital_c"],
        "refused": {"hospital_d": ["patients.csv, line 7: age_years must be a number; got 'x'"]},
    }
    results.write_json(verdicts, folder / "accepted.json")
    for centre, origin in (("development", "out_of_fold"), ("hospital_c", "external")):
        tables = folder / centre
        results.write_table(COUNTS, tables / "threshold_counts.csv")
        results.write_table(DECISION_CURVE, tables / "decision_curve.csv")
        results.write_table(_metrics(origin), tables / "metrics.csv")
        results.write_table(_flow(centre), tables / "flow.csv")
        for stage in results.STAGES[:6]:
            chapter(tables, stage, ["print('one sentence')"], run=False)
        chapter(tables, "05_nomogram_dca", _FIGURES, run=run and centre == "hospital_c")
    results.write_table(_pooled(), folder / "pooled" / "pooled.csv")
    for folder_once, stage in (("pooled", "07_pooled"), ("controls", "09_controls")):
        chapter(folder / folder_once, stage, ["print('one sentence')"], run=False)


def chapter(tables: Path, stage: str, cells: list[str], *, run: bool) -> None:
    """A chapter's executed notebook; one that is not run has no figure in it."""
    code = [v4.new_code_cell(cell.strip()) for cell in (cells if run else cells[:1])]
    given = v4.new_code_cell("centre = 'hospital_c'", metadata={"tags": ["parameters"]})
    words = v4.new_markdown_cell(f"# {stage[1]} · What is in {stage[3:]}?\n\n**Question.** One.")
    python = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    python |= {"language_info": {"name": "python"}}
    notebook = v4.new_notebook(cells=[words, given, *code], metadata=python)
    if run:
        NotebookClient(notebook, resources={"metadata": {"path": str(tables)}}).execute()
    else:
        for cell in notebook.cells[1:]:
            cell["execution_count"] = 1
    path = tables / "notebooks" / f"{stage}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def stored(tables: Path, stage: str) -> dict[str, object]:
    """A chapter's notebook as it lies on the disk."""
    path = tables / "notebooks" / f"{stage}.ipynb"
    content: dict[str, object] = json.loads(path.read_text("utf-8"))
    return content


def _metrics(origin: str) -> pd.DataFrame:
    rows = [("cs", 0.71, 0.6, 0.8), ("d", 0.75, 0.64, 0.83), ("csd", 0.79, 0.7, 0.86)]
    table = pd.DataFrame(rows, columns=["model", "estimate", "low", "high"])
    same = {"comparator": None, "protocol": "leak_free", "origin": origin, "subgroup": None}
    return table.assign(**same, metric="auc", p_value=None, n=96, events=22, note=None)


def _pooled() -> pd.DataFrame:
    return _metrics("external").assign(centre="pooled", weight=None)


def _flow(centre: str) -> pd.DataFrame:
    rows = [("screened", "screened", 0, 101), ("has_ct", "no CT at the time of diagnosis", 5, 96)]
    table = pd.DataFrame(rows, columns=["step", "reason", "excluded", "remaining"])
    return table.assign(centre=centre)
