"""The `hcc` command: the study from a shell."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hcc_utils import __version__, checks
from hcc_utils.study import progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from hcc_utils.orchestration.run import Exit

_EPILOG = """
Exit codes: 0 done · 1 a notebook failed · 2 the input is wrong, nothing ran ·
3 a validation centre was refused, the rest ran · 130 interrupted, call again to go on.
"""

app = typer.Typer(
    help="Rebuild the study of aggressive progression of liver cancer on your own data.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
_screen = Console()
_errors = Console(stderr=True)
_SHOWN = 10

ManifestPath = Annotated[
    Path, typer.Option("--manifest", "-m", help="The study's manifest (YAML).", dir_okay=False)
]
ResultsRoot = Annotated[Path, typer.Option("--results", help="The folder above all results.")]
Allow = Annotated[
    list[str] | None,
    typer.Option(help="A rule of `hcc privacy` that somebody answers for; may be repeated."),
]


class Profile(StrEnum):
    """How long the network is trained."""

    tiny = "tiny"
    fast = "fast"
    full = "full"


@app.command(epilog="Example: hcc demo --out data/demo")
def demo(
    out: Annotated[Path, typer.Option(help="Where the demo's hospitals are written.")] = Path(
        "data/demo"
    ),
    patients: Annotated[
        int, typer.Option(min=60, help="How many stay in the study; 332 as in the paper.")
    ] = 332,
    seed: Annotated[int, typer.Option(help="Another seed makes another study.")] = 20240501,
    free: Annotated[
        bool, typer.Option("--free", help="Draw the events instead of fixing their counts.")
    ] = False,
    pixels: Annotated[int, typer.Option(min=128, help="Rows and columns of a slice.")] = 320,
) -> None:
    """Make the demo study: five synthetic hospitals with real DICOM files and a known truth."""
    from hcc_utils.demo import study

    with progress.bar("images of patients", _screen) as made:
        study.make(out, patients, seed, free=free, pixels=pixels, progress=made)
    _screen.print(f"The demo study: {out}", highlight=False, soft_wrap=True)


@app.command(epilog="Example: hcc check --manifest data_manifest.yaml")
def check(
    manifest: ManifestPath, results: ResultsRoot = Path("results"), allow: Allow = None
) -> None:
    """List every problem of a manifest, its codebooks, tables and images; run nothing."""
    from hcc_utils.orchestration import contract
    from hcc_utils.study.manifest import Manifest

    study = Manifest.read(manifest)
    with progress.bar("files looked through for what identifies", _screen) as looked_at:
        found = contract.check(study, results / study.study, allow=allow or (), progress=looked_at)
    for kind, listed in (("refused", found.refused), ("warning", found.warnings)):
        for centre, lines in listed.items():
            for line in lines:
                _screen.print(f"{kind}: {centre}: {line}", markup=False, soft_wrap=True)
    for centre, said in found.identifying.items():
        _screen.print(f"identifying: {centre}: {said}", markup=False, soft_wrap=True)
    if found.refused:
        raise typer.Exit(3)
    _screen.print(f"{manifest} can be run: hcc run --manifest {manifest}", soft_wrap=True)


@app.command(epilog="Example: hcc run --manifest data_manifest.yaml --profile fast --cores 2")
def run(
    manifest: ManifestPath,
    profile: Annotated[
        Profile, typer.Option(help="fast: under-trained, minutes; full: all epochs, nested.")
    ] = Profile.fast,
    results: ResultsRoot = Path("results"),
    cores: Annotated[int, typer.Option(min=1, help="How many cores to use.")] = os.cpu_count() or 1,
    allow: Allow = None,
) -> None:
    """Run the notebooks for development and each validation centre, and build the book."""
    from hcc_utils.orchestration.run import run as run_study

    raise typer.Exit(
        _code(
            lambda: run_study(
                manifest,
                results_root=results,
                profile=profile.value,
                cores=cores,
                console=_screen,
                allow=allow or (),
            )
        )
    )


@app.command(epilog="Example: hcc inventory /exports/ct --out inventory.csv")
def inventory(
    root: Annotated[Path, typer.Argument(help="A folder of DICOM files, one folder a patient.")],
    out: Annotated[Path, typer.Option(help="The table to write.")] = Path("inventory.csv"),
) -> None:
    """
    List the DICOM series of a folder, headers only, with what is wrong with each.

    What was read is kept beside the table (in a file .headers): the next call reads only what
    changed. Both name patients and stay in the hospital.
    """
    from hcc_utils.imaging import series
    from hcc_utils.study import results

    with progress.bar("patients", _screen) as read:
        table = series.inventory(root, kept=Path(f"{out}.headers"), progress=read)
    results.write_table(table, out)
    left_out = table.attrs["left_out"]
    for said in left_out[:_SHOWN]:
        _screen.print(f"left out: {said}", markup=False, soft_wrap=True)
    if len(left_out) > _SHOWN:
        _screen.print(f"left out: {len(left_out) - _SHOWN} more files", soft_wrap=True)
    counts = table["status"].value_counts().to_dict()
    _screen.print(f"{len(table)} series ({counts}): {out}", markup=False, soft_wrap=True)


@app.command(epilog="Example: hcc privacy /exports/ct --allow secondary_capture")
def privacy(
    root: Annotated[Path, typer.Argument(help="A folder of DICOM files.")],
    allow: Allow = None,
    out: Annotated[Path | None, typer.Option(help="The table to write, if any.")] = None,
) -> None:
    """Say what in a folder identifies patients, without quoting it; refuse burned-in names."""
    from hcc_utils.imaging import privacy as gate
    from hcc_utils.study import results

    with progress.bar("files", _screen) as looked_at:
        found = gate.report(root, allow=allow or (), progress=looked_at)
    if out is not None:
        results.write_table(found, out)
    for row in found.to_dict("records"):
        meaning = gate.RULES[row["rule"]].meaning
        line = f"{row['attribute']}: {row['files']} file(s), first {row['first_files']}; {meaning}"
        _screen.print(line, markup=False, highlight=False, soft_wrap=True)
    _screen.print(gate.DEIDENTIFY, markup=False, highlight=False, soft_wrap=True)
    gate.refuse(found)


@app.command(epilog="Example: hcc table asaur/hepatoCellular --out data/hepatocellular.csv")
def table(
    name: Annotated[str, typer.Argument(help="The R package and its table: package/table.")],
    out: Annotated[Path, typer.Option(help="The table to write (CSV).")],
) -> None:
    """Write a public table of real patients to a file (needs the extra public-tables)."""
    from hcc_utils.study import public_tables, results

    rows = public_tables.read(name)
    results.write_table(rows, out)
    _screen.print(f"{len(rows)} rows: {out}", markup=False, soft_wrap=True)


@app.command(epilog="Example: hcc book --manifest data_manifest.yaml")
def book(manifest: ManifestPath, results: ResultsRoot = Path("results")) -> None:
    """Build the book again from notebooks that have run."""
    from hcc_utils.orchestration import book as book_room
    from hcc_utils.study.manifest import Manifest

    study = Manifest.read(manifest)
    path = book_room.build(results / study.study, study)
    _screen.print(f"The book: {path}", highlight=False, soft_wrap=True)


@app.command()
def version() -> None:
    """Say which version this is."""
    _screen.print(f"hcc_utils {__version__}, Python {sys.version.split()[0]}", highlight=False)


def _code(work: Callable[[], Exit]) -> int:
    """The exit code of a run; an interruption is one of them."""
    try:
        return int(work())
    except KeyboardInterrupt:
        _errors.print("interrupted: call the same command again to go on")
        return 130


def main() -> None:
    """End with the command's exit code; problems are listed without a traceback."""
    try:
        app()
    except checks.InputError as error:
        _errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
