"""The book of a study: its executed notebooks, a page for each hospital, and the fixed pages."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hcc_utils import checks
from hcc_utils.centres import identities, leaks
from hcc_utils.orchestration import assets, book_pages
from hcc_utils.orchestration.plan import DEVELOPMENT, left_out, run_once
from hcc_utils.presentation import explorer, figures
from hcc_utils.presentation.sphinx_extension import PLOTLY
from hcc_utils.study import results
from hcc_utils.study.manifest import Manifest
from hcc_utils.study.progress import say

SYNTHETIC_STAMP = "Synthetic data: no clinical meaning"
PUBLIC_STAMP = "Made from a public, de-identified collection. Not a medical device."
INTERNAL_STAMP = "Made from real patients: stays in this hospital. Not a medical device."

_FIGURES = [
    name
    for name, function in inspect.getmembers(figures, inspect.isfunction)
    if function.__module__ == figures.__name__
    and inspect.signature(function).return_annotation == "go.Figure"
    and not name.startswith("_")
]
_DRAWS = re.compile(rf"\bfigures\.(?:{'|'.join(_FIGURES)})\(|\bexplorer\(")
_PAPERS = "aggressive_pd"
_TOGETHER = tuple(results.TOGETHER.values())
_HIDDEN_TAGS = {"parameters", "injected-parameters"}


def build(study_results: Path | str, manifest: Manifest, *, source: Path | None = None) -> Path:
    """
    The front page of a study's book, newly built; an earlier book is replaced whole.

    Parameters
    ----------
    study_results : pathlib.Path or str
        ``results/<study>``: the executed notebooks, the tables and ``accepted.json``.
    manifest : Manifest
        The study.
    source : pathlib.Path, optional
        The folder of the fixed pages; by default the installed package's own.

    Returns
    -------
    pathlib.Path
        ``results/<study>/book/index.html``.

    Raises
    ------
    InputError
        If a notebook is missing, failed or lacks a figure, if a page does not render, or if one
        names a patient by more than the study's own id; an earlier book stays as it was.
    """
    folder = Path(study_results)
    accepted, refused = _verdicts(folder, manifest)
    chapters = _chapters(folder, manifest, accepted)
    pages = folder / "book_src"
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(source or assets.folder("book"), pages, ignore=shutil.ignore_patterns(".keep"))
    for centre, stages in chapters.items():
        for stage in stages:
            _copy_notebook(_executed(folder, centre, stage), pages / centre / f"{stage}.ipynb")
    say(f"book: {sum(map(len, chapters.values()))} chapters copied")
    _write_pages(pages, folder, manifest, chapters, refused)
    _write_config(pages, manifest)
    _write_toc(pages, manifest, chapters, refused)
    say("book: rendering the pages")
    _render(pages, folder / "book", manifest)
    say(f"book: {folder / 'book' / 'index.html'}")
    return folder / "book" / "index.html"


def _verdicts(folder: Path, manifest: Manifest) -> tuple[list[str], dict[str, list[str]]]:
    """The accepted validation centres, and the refused ones with their problems."""
    path = folder / "accepted.json"
    if not path.is_file():
        raise checks.InputError(f"{path} is not there yet; `hcc run` writes it.")
    verdicts = json.loads(path.read_text("utf-8"))
    for centre in [*verdicts["accepted"], *verdicts["refused"]]:
        if centre != DEVELOPMENT:
            checks.one_of(f"a centre of {path}", centre, manifest.centres)
    accepted = [name for name in manifest.validation if name in verdicts["accepted"]]
    return accepted, verdicts["refused"]


def _chapters(folder: Path, manifest: Manifest, accepted: list[str]) -> dict[str, list[str]]:
    """The chapters of development, of each accepted centre, and of all of them together."""
    missing_here = left_out(manifest, folder.parent)
    here = [stage for stage in results.STAGES if stage not in missing_here]
    stages = [stage for stage in here if stage not in results.TOGETHER]
    chapters = dict.fromkeys((DEVELOPMENT, *accepted), stages)
    once = run_once(accepted)
    chapters |= {once[stage]: [stage] for stage in here if stage in once}
    missing = [
        str(_executed(folder, centre, stage))
        for centre, stages in chapters.items()
        for stage in stages
        if not _executed(folder, centre, stage).is_file()
    ]
    if missing:
        raise checks.InputError(
            f"the book needs {len(missing)} executed notebook(s) that are not there: "
            f"{', '.join(missing)}. Run the study first (`hcc run`)."
        )
    return chapters


def _executed(folder: Path, centre: str, stage: str) -> Path:
    """Where a chapter's executed notebook lies."""
    return folder / centre / "notebooks" / f"{stage}.ipynb"


def _copy_notebook(executed: Path, copy: Path) -> None:
    """Copy a notebook for a reader of prose and figures: code is folded, parameters are gone."""
    notebook = json.loads(executed.read_text("utf-8"))
    problems = list(_notebook_problems(notebook))
    if problems:
        raise checks.InputError(f"{executed} cannot stand in the book: {'; '.join(problems)}.")
    notebook["metadata"].pop("widgets", None)
    notebook["metadata"].pop("papermill", None)
    for cell in _code_cells(notebook):
        tags = set(cell["metadata"].get("tags", []))
        folded = "remove-cell" if tags & _HIDDEN_TAGS else "hide-input"
        cell["metadata"]["tags"] = sorted(tags | {folded})
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(json.dumps(notebook, ensure_ascii=False), "utf-8")


def _notebook_problems(notebook: dict[str, Any]) -> Iterator[str]:
    """What keeps an executed notebook out of the book."""
    cells = list(_code_cells(notebook))
    outputs = [output for cell in cells for output in cell["outputs"]]
    if any(_text(cell).strip() and cell.get("execution_count") is None for cell in cells):
        yield "not every cell was run"
    yield from (f"a cell failed ({o['ename']}: {o['evalue']})" for o in outputs if "ename" in o)
    asked = sum(len(_DRAWS.findall(_text(cell))) for cell in cells)
    drawn = [o["data"] for o in outputs if {PLOTLY, explorer.MIME} & set(o.get("data", {}))]
    if len(drawn) < asked:
        yield f"its code draws {asked} figure(s) and it holds {len(drawn)}"
    if any("".join(o["data"].get("text/markdown", "-")) == "" for o in outputs if "data" in o):
        yield "a sentence is empty (Markdown without words)"
    bare = [f for f in drawn if PLOTLY in f and not _alt(f[PLOTLY])]
    if bare:
        yield f"{len(bare)} figure(s) lack their words for the blind (layout.meta.alt)"


def _code_cells(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (cell for cell in notebook["cells"] if cell["cell_type"] == "code")


def _text(cell: dict[str, Any]) -> str:
    """A cell's source, which may be stored line by line."""
    return "".join(cell["source"])


def _alt(figure: dict[str, Any]) -> str:
    """The words of a stored figure."""
    return str((figure["layout"].get("meta") or {}).get("alt", ""))


def _write_pages(
    pages: Path,
    folder: Path,
    manifest: Manifest,
    chapters: dict[str, list[str]],
    refused: dict[str, list[str]],
) -> None:
    """Write what is said of this study: front page, data page, and a page for each centre."""
    generated = {
        "generated/headline.md": book_pages.headline(folder, manifest, chapters, refused),
        "generated/data.md": book_pages.data(folder, manifest, refused),
        **_fragments(pages, manifest),
    }
    for centre in (each for each in chapters if each not in _TOGETHER):
        text = book_pages.centre_page(folder / centre, manifest, chapters[centre])
        generated[f"centres/{centre}.md"] = text
    for centre, problems in refused.items():
        text = book_pages.refused_page(manifest.centres[centre].title, problems)
        generated[f"centres/{centre}.md"] = text
    for name, text in generated.items():
        (pages / name).parent.mkdir(exist_ok=True)
        (pages / name).write_text(text + "\n", "utf-8")
    own_data = pages / "own_data.md"
    own_data.write_text(
        own_data.read_text("utf-8").replace("@endpoint@", manifest.endpoint), "utf-8"
    )


def _fragments(pages: Path, manifest: Manifest) -> dict[str, str]:
    """The parts of the fixed pages that depend on the study's question."""
    found = sorted((pages / "fragments" / _question(manifest)).glob("*.md"))
    texts = {f"generated/{path.name}": path.read_text("utf-8") for path in found}
    shutil.rmtree(pages / "fragments")
    return {name: text.replace("@title@", manifest.title) for name, text in texts.items()}


def _question(manifest: Manifest) -> str:
    """Whether a study asks the paper's question or another."""
    return _PAPERS if manifest.endpoint == _PAPERS else "other"


def _write_config(pages: Path, manifest: Manifest) -> None:
    """Write the study's title and stamp into the book's configuration."""
    path = pages / "_config.yml"
    config = yaml.safe_load(path.read_text("utf-8"))
    config["title"] = manifest.title
    real = PUBLIC_STAMP if manifest.public else INTERNAL_STAMP
    stamp = SYNTHETIC_STAMP if manifest.synthetic else real
    config["sphinx"]["config"]["hcc_stamp"] = stamp
    path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), "utf-8")


def _write_toc(
    pages: Path, manifest: Manifest, chapters: dict[str, list[str]], refused: dict[str, list[str]]
) -> None:
    """Write the table of contents: the study's parts, then the fixed ones."""
    path = pages / "_toc.yml"
    toc = yaml.safe_load(path.read_text("utf-8"))
    validation = [each for each in chapters if each != DEVELOPMENT and each not in _TOGETHER]
    once = {s: {"file": f"{each}/{s}"} for each in _TOGETHER for s in chapters.get(each, [])}
    beside = [once.pop(s) for s in (results.BESIDE_DEVELOPMENT,) if s in once]
    parts = [("Development", [_toc_entry(DEVELOPMENT, chapters), *beside])]
    parts.append(("Validation", [_toc_entry(centre, chapters) for centre in validation]))
    parts.append(("Together", list(once.values())))
    parts.append(("Refused", [{"file": f"centres/{centre}"} for centre in refused]))
    study = [{"caption": caption, "chapters": files} for caption, files in parts if files]
    for part in toc["parts"] if _question(manifest) == "other" else ():
        part["chapters"] = [page for page in part["chapters"] if page["file"] != "paper"]
    toc["parts"] = study + toc["parts"]
    path.write_text(yaml.safe_dump(toc, sort_keys=False), "utf-8")


def _toc_entry(centre: str, chapters: dict[str, list[str]]) -> dict[str, Any]:
    """A centre's page with its chapters below it."""
    sections = [{"file": f"{centre}/{stage}"} for stage in chapters[centre]]
    return {"file": f"centres/{centre}", "sections": sections}


def _render(pages: Path, book: Path, manifest: Manifest) -> None:
    """Render the pages beside the earlier book, and put them in its place when they are whole."""
    with tempfile.TemporaryDirectory(dir=book.parent, prefix=".book-") as place:
        command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
        command += [str(pages), "--path-output", place, "-W", "--keep-going", "--all"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        html = Path(place) / "_build" / "html"
        if done.returncode != 0 or not (html / "index.html").is_file():
            raise checks.InputError(_render_failure(done.stdout + "\n" + done.stderr))
        say("book: looking for patients' names")
        known = identities.of_study(manifest, places=[book.absolute().parents[1]])
        leaks.let_out(html.rename(Path(place) / book.name), book, known, allow=leaks.INTERNAL)


def _render_failure(log: str) -> str:
    """The first errors of a build that failed."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", log).splitlines()
    told = [
        line
        for line in lines
        if re.search(r"WARNING|ERROR|error:|not whole|: asks|outputs of|missing", line)
    ]
    first = "\n".join((told or lines)[:8])
    return f"the book could not be built; an earlier one was kept. First errors:\n{first}"
