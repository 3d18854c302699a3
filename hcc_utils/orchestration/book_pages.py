"""What the book says of one study, in MyST: every number is read from a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pandas as pd

from hcc_utils.orchestration.plan import DEVELOPMENT, left_out
from hcc_utils.presentation import figures, words
from hcc_utils.study import results
from hcc_utils.study.manifest import Manifest, Model
from hcc_utils.study.vocabulary import label

_HEADLINE_ORIGINS = ("out_of_fold", "external")

_HEADLINE_WORDS = (
    "Area under the ROC curve with its 95 % interval (0.5 is chance, 1 is perfect); development "
    "patients out of fold, validation patients with the frozen models:"
)
_DASH_WORDS = (
    "A dash stands where no estimate may stand in a headline: none was made, it comes from "
    "patients on whom the model was fitted or tuned, or fewer than 10 events are behind it."
)


def headline(
    folder: Path,
    manifest: Manifest,
    chapters: dict[str, list[str]],
    refused: dict[str, list[str]],
) -> str:
    """
    The study's first numbers, read from its tables.

    Parameters
    ----------
    folder : pathlib.Path
        ``results/<study>``.
    manifest : Manifest
        The study.
    chapters : dict of list of str
        The chapters of each accepted centre.
    refused : dict of list of str
        Each refused centre's problems.

    Returns
    -------
    str
        MyST, included in the front page.
    """
    lines = [f"**This book's study: {_plain(manifest.title)}.**", ""]
    if manifest.synthetic:
        lines += ["Its patients are synthetic: no number here has a clinical meaning.", ""]
    for said in (manifest.endpoint_note, manifest.citation):
        lines += [_plain(said), ""] if said else []
    models = _models(manifest)
    rows = [
        f"| {{doc}}`{_plain(_title(manifest, centre))} <centres/{centre}>` | {cells} |"
        for centre in chapters
        if centre not in results.TOGETHER.values()
        for cells in [auc_cells(folder / centre, models)]
        if cells
    ]
    pooled = _pooled_cells(folder / "pooled" / "pooled.csv", models) if "pooled" in chapters else ""
    if pooled:
        rows.append(f"| {{doc}}`Validation, pooled <pooled/07_pooled>` | {pooled} |")
    if rows:
        lines += [
            "## First numbers",
            _HEADLINE_WORDS,
            "",
            f"| | events | {' | '.join(map(label, models))} |",
            "|---|---|" + "---|" * len(models),
            *rows,
            "",
            _DASH_WORDS,
            "",
            *(words.worth(table) for table in _optimism(folder, chapters)),
        ]
    if refused:
        names = ", ".join(f"{{doc}}`{_plain(_title(manifest, c))} <centres/{c}>`" for c in refused)
        lines += ["", f"Refused, with the reasons on their pages: {names}."]
    lines += _left_out(manifest, folder)
    return "\n".join(lines)


def _optimism(folder: Path, chapters: dict[str, list[str]]) -> Iterator[pd.DataFrame]:
    """What bootstraps say of the models, at each centre where any was made."""
    paths = (folder / centre / "optimism.csv" for centre in chapters)
    tables = (results.read_table(path) for path in paths if path.is_file())
    yield from (table for table in tables if len(table))


def _models(manifest: Manifest) -> list[str]:
    """The models of a study: those that it does not leave out, or its clinical model."""
    published = [name for name in get_args(Model) if name not in manifest.models_left_out]
    return published if manifest.clinical_model is None else ["clinical"]


def auc_cells(tables: Path, models: list[str]) -> str:
    """
    A centre's events, patients and AUC for each model, as cells of a row.

    Parameters
    ----------
    tables : pathlib.Path
        ``results/<study>/<centre>``.
    models : list of str
        The study's.

    Returns
    -------
    str
        Cells between bars; nothing where the centre has no AUC.
    """
    if not (tables / "metrics.csv").is_file():
        return ""
    rows = figures.headline_rows(results.read_table(tables / "metrics.csv"), "auc")
    if rows.empty:
        return ""
    shown = [_auc(rows[rows["model"] == model]) for model in models]
    return f"{rows['events'].max():.0f} of {rows['n'].max():.0f} | {' | '.join(shown)}"


def _pooled_cells(path: Path, models: list[str]) -> str:
    """The pooled AUC of each model, as cells of a row."""
    table = results.read_table(path)
    rows = table[(table["metric"] == "auc") & (table["centre"] == "pooled")]
    if rows.empty:
        return ""
    shown = [_auc(rows[rows["model"] == model].assign(origin="external")) for model in models]
    return f"{rows['events'].max():.0f} of {rows['n'].max():.0f} | {' | '.join(shown)}"


def _auc(rows: pd.DataFrame) -> str:
    """An AUC that may stand in a headline, or a dash."""
    fit = rows["origin"].isin(_HEADLINE_ORIGINS) & (rows["events"] >= 10)
    if "protocol" in rows and (rows["protocol"] == "leak_free").any():
        fit &= rows["protocol"] == "leak_free"
    rows = rows[fit].dropna(subset=["estimate", "low", "high"])
    if rows.empty:
        return "—"
    row = rows.iloc[0]
    return f"{row['estimate']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def data(folder: Path, manifest: Manifest, refused: dict[str, list[str]]) -> str:
    """
    What the manifest says of the study.

    Parameters
    ----------
    folder : pathlib.Path
        ``results/<study>``.
    manifest : Manifest
        The study.
    refused : dict of list of str
        Each refused centre's problems.

    Returns
    -------
    str
        MyST, included in the data page.
    """
    said = {
        "endpoint": label(manifest.endpoint).lower(),
        "what it stands for": manifest.endpoint_note,
        "time zero": manifest.time_zero,
        "end of follow-up": manifest.censoring,
        "protocol": manifest.protocol,
        "seed": str(manifest.seed),
        "ethics": manifest.ethics,
        "funding": manifest.funding,
        "cite": manifest.citation,
    }
    kind = (
        "**synthetic**: no patient is behind any of it"
        if manifest.synthetic
        else "from patients' records"
    )
    lines = [
        f"The study *{_plain(manifest.title)}* is {kind}.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {_plain(text)} |" for name, text in said.items() if text),
        "",
        "| hospital | part | |",
        "|---|---|---|",
    ]
    for name, centre in manifest.centres.items():
        remark = f"refused: {{doc}}`why <../centres/{name}>`" if name in refused else ""
        lines.append(f"| {_plain(centre.title)} | {centre.role} | {remark} |")
    lines += _left_out(manifest, folder)
    return "\n".join(lines)


def centre_page(tables: Path, manifest: Manifest, stages: list[str]) -> str:
    """
    A short summary of one centre, and its chapters.

    Parameters
    ----------
    tables : pathlib.Path
        ``results/<study>/<centre>``; the folder's name is the centre's.
    manifest : Manifest
        The study.
    stages : list of str
        Its chapters.

    Returns
    -------
    str
        A page in MyST.
    """
    centre = tables.name
    lines = [f"# {_plain(_title(manifest, centre))}", ""]
    if centre == DEVELOPMENT:
        names = ", ".join(_plain(manifest.centres[name].title) for name in manifest.development)
        lines += [f"The patients from whom the models were built ({names}).", ""]
    else:
        lines += ["These patients had no part in building the models.", ""]
    lines += _flow_words(tables / "flow.csv")
    models = _models(manifest)
    cells = auc_cells(tables, models)
    if cells:
        lines += [
            f"| events | {' | '.join(f'AUC, {label(name)}' for name in models)} |",
            "|---|" + "---|" * len(models),
            f"| {cells} |",
            "",
            "A dash stands where no estimate may stand in a headline; chapter 4 has them all.",
            "",
        ]
    lines += ["## Chapters", ""]
    lines += [f"- {{doc}}`../{centre}/{stage}`" for stage in stages]
    lines += _left_out(manifest, tables.parent)
    return "\n".join(lines)


def _flow_words(path: Path) -> list[str]:
    """How many patients were screened and how many remain."""
    if not path.is_file():
        return []
    flow = results.read_table(path)
    remaining = flow.groupby("centre", sort=False)["remaining"]
    first, last = remaining.first().sum(), remaining.last().sum()
    return [f"Of {first} patients screened, {last} are in the study.", ""]


def refused_page(title: str, problems: list[str]) -> str:
    """
    Why a centre is not in the book.

    Parameters
    ----------
    title : str
        The centre's name for a reader.
    problems : list of str
        What its check found.

    Returns
    -------
    str
        A page in MyST.
    """
    listed = "\n".join(f"- {line}" for problem in problems for line in problem.splitlines())
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    return (
        f"# {_plain(title)}\n\n"
        f"**Refused.** The check of this hospital's files found {count}. Nothing was computed "
        "from them, and no earlier result of this hospital is shown.\n\n"
        f"``````{{code-block}} text\n:class: hcc-problems\n\n{listed}\n``````\n\n"
        "When they are put right, run the study again."
    )


def _left_out(manifest: Manifest, folder: Path) -> list[str]:
    """The chapters, models and criteria that this study does without, each with its reason."""
    reasons = {
        "Chapters that this study cannot run": left_out(manifest, folder.parent),
        "Models that it cannot make": {
            label(name): why for name, why in manifest.models_left_out.items()
        },
        "Criteria that it does not apply": manifest.criteria_left_out,
        "Criteria that it counts and then lifts": manifest.criteria_lifted,
    }
    lines: list[str] = []
    for what, named in reasons.items():
        if named:
            lines += ["", f"{what}:", ""]
            lines += [f"- **{_plain(name)}**: {_plain(why)}" for name, why in named.items()]
    return lines


def _title(manifest: Manifest, centre: str) -> str:
    """A centre's name for a reader."""
    return "Development" if centre == DEVELOPMENT else manifest.centres[centre].title


def _plain(text: str) -> str:
    """Words that MyST takes as they are."""
    return re.sub(r"([\\`*_{}\[\]<>#|$])", r"\\\1", " ".join(text.split()))
