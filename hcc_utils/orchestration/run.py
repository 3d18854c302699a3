"""A whole study: checked first, then run by Snakemake, each step said as it ends."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from rich.console import Console

from hcc_utils import checks
from hcc_utils.orchestration import assets, contract, fingerprint, plan, reading
from hcc_utils.orchestration.plan import DEVELOPMENT, Plan
from hcc_utils.study import progress
from hcc_utils.study.manifest import Manifest

_STEPS = re.compile(r"(\d+) of (\d+) steps")
_LOG = "run.log"


class Exit(IntEnum):
    """What the command's exit code means."""

    done = 0
    failed = 1
    refused_all = 2
    refused_some = 3
    interrupted = 130


def run(
    manifest_path: Path,
    *,
    results_root: Path,
    profile: str,
    cores: int,
    console: Console,
    allow: Iterable[str] = (),
) -> Exit:
    """
    How the run ended; the study's book stands in ``<results_root>/<study>/book/``.

    Parameters
    ----------
    manifest_path : pathlib.Path
        The study's manifest.
    results_root : pathlib.Path
        The folder above the study's results.
    profile : str
        ``tiny``, ``fast`` or ``full``: how long the network is trained.
    cores : int
        How many cores may be used.
    console : rich.console.Console
        Where progress is said.
    allow : iterable of str, optional
        Rules of the reading gate (`imaging.privacy.RULES`) that somebody answers for.

    Returns
    -------
    Exit
        ``done``; ``failed`` where a notebook failed; ``refused_some`` where a validation centre
        was refused and the rest ran.

    Raises
    ------
    InputError
        If the manifest, a codebook or a development centre is wrong (nothing has run then), or
        another run of the study is under way.
    """
    manifest = Manifest.read(manifest_path)
    folder = results_root / manifest.study
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        console.print(f"[bold]{manifest.title}[/bold]: checking {len(manifest.centres)} centre(s)")
        with progress.bar("files looked through for what identifies", console) as looked_at:
            checked = contract.check(manifest, folder, allow=allow, progress=looked_at)
        for centre, said in checked.identifying.items():
            told = f"{centre}: {said}: {reading.table(folder, centre)}"
            console.print(told, style="dim", markup=False, highlight=False, soft_wrap=True)
        for centre, lines in checked.refused.items():
            console.print(f"[red]refused: {centre}[/red]")
            for line in lines:
                console.print(f"  {line}", markup=False, highlight=False)
        for chapter, why in plan.left_out(manifest, results_root).items():
            console.print(f"[dim]left out: {chapter}: {why}[/dim]", highlight=False)
        ordered = _plan(manifest, list(checked.accepted), results_root, profile)
        code = _snakemake(ordered, ordered.write(), cores, console)
    if code:
        return Exit.failed
    book = folder / "book" / "index.html"
    console.print(f"The book: {book}", soft_wrap=True, markup=False, highlight=False)
    return Exit.refused_some if checked.refused else Exit.done


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the study's lock; the system lets go of it even where the process is killed."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise checks.InputError(
                f"another run of this study is under way in {folder}; wait for it to end."
            ) from None
        yield


def _plan(manifest: Manifest, accepted: list[str], results_root: Path, profile: str) -> Plan:
    """What is to run: development as one, and each accepted validation centre."""
    folder = results_root / manifest.study
    people = {DEVELOPMENT: list(manifest.development), **{name: [name] for name in accepted}}
    data = {
        name: [
            str(manifest.source),
            *(f for c in centres for f in _data_files(manifest, c, folder)),
        ]
        for name, centres in people.items()
    }
    left_out = sorted(plan.left_out(manifest, results_root))
    borrowed = plan.borrowed_bundle(manifest, results_root)
    needed = {"03_cnn", "04_comparison", "05_nomogram_dca", "06_survival"}
    return Plan(
        manifest=str(manifest.source),
        results_root=str(results_root),
        study=manifest.study,
        profile=profile,
        data=data,
        left_out=left_out,
        has_bundle=not needed & set(left_out) and manifest.clinical_model is None,
        borrowed_bundle="" if borrowed is None else str(borrowed),
        models_need_images=manifest.clinical_model is None,
    )


def _data_files(manifest: Manifest, centre: str, folder: Path) -> list[str]:
    """A centre's table and codebook, a fingerprint of its images, and what they may hold."""
    images = folder / "fingerprints" / f"{centre}.images"
    roots = [manifest.path(centre, which) for which in ("dicom", "roi", "landmarks")]
    files = [file for root in roots if root is not None for file in fingerprint.below(root)]
    fingerprint.keep(fingerprint.of(files), images)
    table, codebook = manifest.path(centre, "table"), manifest.path(centre, "codebook")
    identifying = reading.record(folder, centre)
    looked_at = [str(identifying)] if identifying.is_file() else []
    return [str(table), str(codebook), str(images), *looked_at]


def _snakemake(ordered: Plan, plan_file: Path, cores: int, console: Console) -> int:
    """Run the workflow, say each line that the notebooks say, and keep all in run.log."""
    snakefile = assets.folder("workflow") / "Snakefile"
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(snakefile)),
        *("--cores", str(cores), "--keep-going", "--rerun-incomplete", "--nolock"),
        # tables of a few hundred patients and the bundle are compared by content, not by time
        *("--max-checksum-file-size", "50000000", "--quiet", "rules", "host", "reason"),
        *("--config", f"plan={plan_file}"),
    ]  # fmt: skip
    if not (Path(ordered.folder) / "book" / "index.html").is_file():
        command += ["--forcerun", "book"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}
    log = Path(ordered.folder) / _LOG
    with (
        log.open("w", encoding="utf-8") as record,
        subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - asked for above
        for line in process.stdout:
            record.write(line)
            _tell(line.rstrip(), console)
        code = process.wait()
    if code:
        console.print(f"[red]not finished[/red]; all that was said: {log}", soft_wrap=True)
    return code


def _tell(line: str, console: Console) -> None:
    """Say the line where it is ours, or how many steps are done."""
    steps = _STEPS.search(line)
    if line.startswith("hcc: "):
        style = "red" if "FAILED" in line else None
        console.print(line.removeprefix("hcc: "), style=style, markup=False, highlight=False)
    elif steps:
        console.print(f"[dim]{steps[1]} of {steps[2]} steps[/dim]", highlight=False)
