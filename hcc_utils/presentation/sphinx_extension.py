"""The book's own part of Sphinx: figures and explorer without a network, and the stamp."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import plotly
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

from hcc_utils.presentation import explorer

PLOTLY = "application/vnd.plotly.v1+json"
_CLASSES = {PLOTLY: "hcc-figure", explorer.MIME: "hcc-explorer-place"}
_BUILDERS = ("html", "dirhtml", "singlehtml")
_PLOTLY_FILE = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
_BOOK_SCRIPT = Path(__file__).with_name("book.js")
_OUTSIDE = re.compile(
    r"""<(?:script|img|iframe|source|link(?=[^>]*stylesheet))\b[^>]*?"""
    r"""(?:src|href)=["'](?:https?:)?//[^"']*["']"""
)


class StudyMimeRenderer:
    """What MyST-NB asks how a plotly figure and the explorer are written into a page."""

    mime_priority_overrides: ClassVar[list[tuple[str, str, int]]] = [
        (builder, mime, 1) for builder in _BUILDERS for mime in _CLASSES
    ]

    @staticmethod
    def handle_mime(renderer: Any, data: Any, inline: bool) -> list[nodes.Element] | None:
        """
        A place in the page with the figure's data, or None for any other kind of output.

        Parameters
        ----------
        renderer : myst_nb.core.render.NbElementRenderer
            What writes the notebook's outputs; it is told which scripts the page needs.
        data : myst_nb.core.render.MimeData
            The output.
        inline : bool
            Whether it stands within a sentence, where no figure fits.

        Returns
        -------
        list of docutils.nodes.Element or None
            One raw HTML element.
        """
        if inline or data.mime_type not in _CLASSES:
            return None
        if data.mime_type == PLOTLY:
            renderer.add_js_file("plotly", "plotly.min.js", {"priority": 300})
        renderer.add_js_file("hcc_book", "hcc_book.js", {"priority": 400})
        text = _figure(data.content) if data.mime_type == PLOTLY else _explorer(data.content)
        return [nodes.raw(text=text, format="html", classes=["output"])]


def setup(app: Sphinx) -> dict[str, bool]:
    """
    Metadata for Sphinx; the extension's handlers are connected.

    Parameters
    ----------
    app : sphinx.application.Sphinx
        The build.

    Returns
    -------
    dict
        What may run in parallel.
    """
    app.add_config_value("hcc_stamp", "", "html", types=[str])
    app.connect("config-inited", _stamp)
    app.connect("builder-inited", _copy_scripts)
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _figure(content: dict[str, Any]) -> str:
    """A plotly figure's place: its height, its words, its data."""
    layout = content.get("layout", {})
    alt = str((layout.get("meta") or {}).get("alt", "Figure"))
    height = int(layout.get("height", 450))
    return (
        f'<div class="hcc-figure" role="img" aria-label="{html.escape(alt)}" '
        f'style="min-height:{height}px">{_data(content)}'
        f"<noscript><p>{html.escape(alt)}</p></noscript></div>"
    )


def _explorer(content: dict[str, Any]) -> str:
    """The explorer's place and its counts."""
    words = "The threshold explorer needs JavaScript."
    return (
        f'<div class="hcc-explorer-place" style="min-height:600px">{_data(content)}'
        f"<noscript><p>{words}</p></noscript></div>"
    )


def _data(content: dict[str, Any]) -> str:
    """JSON that no page can mistake for markup."""
    text = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json">{text}</script>'


def _stamp(_app: Sphinx, config: Config) -> None:
    """Set the stamp above every page, the search page too."""
    if config.hcc_stamp:
        words = html.escape(config.hcc_stamp)
        config.html_theme_options["announcement"] = f'<span class="hcc-stamp">{words}</span>'


def _copy_scripts(app: Sphinx) -> None:
    """Put the one shared plotly, the book's own script and the printed stamp among the files."""
    if app.builder.name not in _BUILDERS:
        return
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    (static / "plotly.min.js").write_bytes(_PLOTLY_FILE.read_bytes())
    # inside a function, so that a page opened from a disk needs no module and shares no name
    script = (
        f"(() => {{\n{explorer.SCRIPT.read_text('utf-8')}\n{_BOOK_SCRIPT.read_text('utf-8')}}})();"
    )
    (static / "hcc_book.js").write_text(script, "utf-8")
    words = json.dumps(app.config.hcc_stamp, ensure_ascii=False)
    margin = f"@page {{ @top-center {{ content: {words}; font-weight: 600; }} }}\n"
    (static / "hcc_stamp.css").write_text(margin, "utf-8")
    app.add_css_file("hcc_stamp.css")


def _check(app: Sphinx, exception: Exception | None) -> None:
    """Fail the build where a figure or the stamp is missing or a page needs the network."""
    if exception is not None or app.builder.name not in _BUILDERS:
        return
    problems = [*_missing_figures(app), *_page_problems(app)]
    if problems:
        raise ExtensionError("the book is not whole:\n" + "\n".join(problems))


def _missing_figures(app: Sphinx) -> Iterator[str]:
    """Each notebook whose page holds fewer figures than its outputs do."""
    for docname in sorted(app.env.found_docs):
        source = Path(app.env.doc2path(docname))
        if source.suffix != ".ipynb":
            continue
        page = Path(app.builder.get_outfilename(docname)).read_text("utf-8")  # type: ignore[attr-defined]
        for mime, name in _CLASSES.items():
            stored, drawn = _stored(source, mime), page.count(f'<div class="{name}"')
            if stored != drawn:
                yield f"{docname}: {stored} outputs of {mime}, {drawn} on the page"


def _stored(notebook: Path, mime: str) -> int:
    """How many outputs of a kind a notebook's shown cells hold."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    hidden = {"remove-cell", "remove-output"}
    return sum(
        mime in output.get("data", {})
        for cell in cells
        if not hidden & set(cell["metadata"].get("tags", []))
        for output in cell.get("outputs", [])
    )


def _page_problems(app: Sphinx) -> Iterator[str]:
    """Each page without the stamp, and each that would ask the network for a part of it."""
    for path in sorted(Path(app.outdir).rglob("*.html")):
        if "_static" in path.parts:
            continue
        page = path.read_text("utf-8")
        name = path.relative_to(app.outdir)
        if app.config.hcc_stamp and 'class="hcc-stamp"' not in page:
            yield f"{name}: the stamp is missing"
        yield from (f"{name}: asks the network: {found}" for found in _OUTSIDE.findall(page))
