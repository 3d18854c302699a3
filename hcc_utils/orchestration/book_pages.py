"""What the book says of one study, in MyST: every number is read from a table."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from hcc_utils.orchestration.plan import DEVELOPMENT, POOLED
from hcc_utils.presentation import figures
from hcc_utils.study import results
from hcc_utils.study.manifest import Manifest
from hcc_utils.study.vocabulary import MODELS, label

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
    rows = [
        f"| {{doc}}`{_plain(_title(manifest, centre))} <centres/{centre}>` | {cells} |"
        for centre in chapters
        if centre != POOLED
        for cells in [auc_cells(folder / centre)]
        if cells
    ]
    pooled = _pooled_cells(folder / POOLED / "pooled.csv") if POOLED in chapters else ""
    if pooled:
        rows.append(f"| {{doc}}`Validation, pooled <{POOLED}/{results.STAGES[-1]}>` | {pooled} |")
    if rows:
        lines += [
            "## First numbers",
            _HEADLINE_WORDS,
            "",
            f"| | events | {' | '.join(MODELS.values())} |",
            "|---|---|" + "---|" * len(MODELS),
            *rows,
            "",
            _DASH_WORDS,
        ]
    if refused:
        names = ", ".join(f"{{doc}}`{_plain(_title(manifest, c))} <centres/{c}>`" for c in refused)
        lines += ["", f"Refused, with the reasons on their pages: {names}."]
    return "\n".join(lines)


def auc_cells(tables: Path) -> str:
    """
    A centre's events, patients and AUC for each model, as cells of a row.

    Parameters
    ----------
    tables : pathlib.Path
        ``results/<study>/<centre>``.

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
    shown = [_auc(rows[rows["model"] == model]) for model in MODELS]
    return f"{rows['events'].max():.0f} of {rows['n'].max():.0f} | {' | '.join(shown)}"


def _pooled_cells(path: Path) -> str:
    """The pooled AUC of each model, as cells of a row."""
    table = results.read_table(path)
    rows = table[(table["metric"] == "auc") & (table["centre"] == "pooled")]
    if rows.empty:
        return ""
    shown = [_auc(rows[rows["model"] == model].assign(origin="external")) for model in MODELS]
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


def data(manifest: Manifest, refused: dict[str, list[str]]) -> str:
    """
    What the manifest says of the study.

    Parameters
    ----------
    manifest : Manifest
        The study.
    refused : dict of list of str
        Each refused centre's problems.

    Returns
    -------
    str
        MyST, included in the data page.
    """
    kind = (
        "**synthetic**: no patient is behind any of it"
        if manifest.synthetic
        else "from patients' records and CT"
    )
    lines = [
        f"The study *{_plain(manifest.title)}* is {kind}.",
        "",
        "| | |",
        "|---|---|",
        f"| endpoint | {label(manifest.endpoint).lower()} |",
        f"| time zero | {manifest.time_zero} |",
        f"| protocol | `{manifest.protocol}` |",
        f"| seed | {manifest.seed} |",
        f"| ethics | {_plain(manifest.ethics)} |",
        f"| funding | {_plain(manifest.funding)} |",
        "",
        "| hospital | part | |",
        "|---|---|---|",
    ]
    for name, centre in manifest.centres.items():
        remark = f"refused: {{doc}}`why <../centres/{name}>`" if name in refused else ""
        lines.append(f"| {_plain(centre.title)} | {centre.role} | {remark} |")
    lines += _left_out(manifest)
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
    cells = auc_cells(tables)
    if cells:
        lines += [
            f"| events | {' | '.join(f'AUC, {name}' for name in MODELS.values())} |",
            "|---|" + "---|" * len(MODELS),
            f"| {cells} |",
            "",
            "A dash stands where no estimate may stand in a headline; chapter 4 has them all.",
            "",
        ]
    lines += ["## Chapters", ""]
    lines += [f"- {{doc}}`../{centre}/{stage}`" for stage in stages]
    lines += _left_out(manifest)
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


def _left_out(manifest: Manifest) -> list[str]:
    """The chapters and criteria that this study leaves out, each with its reason."""
    lines: list[str] = []
    for what in ("chapters", "criteria"):
        reasons = getattr(manifest, f"{what}_left_out").items()
        if reasons:
            lines += ["", f"Left out of this study ({what}):", ""]
            lines += [f"- `{name}`: {_plain(why)}" for name, why in reasons]
    return lines


def _title(manifest: Manifest, centre: str) -> str:
    """A centre's name for a reader."""
    return "Development" if centre == DEVELOPMENT else manifest.centres[centre].title


def _plain(text: str) -> str:
    """Words that MyST takes as they are."""
    return re.sub(r"([\\`*_{}\[\]<>#|$])", r"\\\1", " ".join(text.split()))
