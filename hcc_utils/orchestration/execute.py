"""One notebook, run by papermill: refused, done or failed, each said in a line."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from hcc_utils import __version__, checks
from hcc_utils.orchestration import assets, reading
from hcc_utils.study import progress, results

_VERSIONS = ("numpy", "pandas", "scipy", "statsmodels", "torch", "pydicom", "highdicom", "plotly")


def execute(
    stage: str, parameters: dict[str, Any], folder: Path, inputs: Sequence[Path] = ()
) -> None:
    """
    Nothing; the stage's notebook has run and its tables stand in `folder`.

    Parameters
    ----------
    stage : str
        The notebook's name without ending, such as ``01_cohort``.
    parameters : dict
        Values for the notebook's parameters cell.
    folder : pathlib.Path
        The centre's results folder; the executed notebook goes to its ``notebooks/``.
    inputs : sequence of pathlib.Path, optional
        The files it depends on; their hashes are kept in its ``run.json``.

    Raises
    ------
    InputError
        If the notebook does not declare a parameter, fails in a cell (the message names the cell
        and the project's own words), or leaves a table unwritten.
    """
    import papermill

    notebook = assets.folder("notebooks") / f"{stage}.ipynb"
    refuse_unknown(notebook, parameters)
    executed = folder / "notebooks" / notebook.name
    executed.parent.mkdir(parents=True, exist_ok=True)
    with _Told(executed.with_suffix(".progress"), f"{folder.name} · {stage}"):
        try:
            papermill.execute_notebook(
                str(notebook), str(executed), parameters, progress_bar=False, kernel_name="python3"
            )
        except papermill.PapermillExecutionError as error:
            words = f"{error.ename}: {error.evalue}".removeprefix("InputError: ")
            # counted from 1 in the notebook itself, which lacks the cell that papermill injects
            cell = error.cell_index + 1 - bool(parameters)
            place = f"notebooks/{notebook.name} (cell {cell}), {folder.name}"
            raise checks.InputError(f"FAILED {place}: {words}") from None
    _record(stage, parameters, folder, inputs)


def refuse_unknown(notebook: Path, parameters: dict[str, Any]) -> None:
    """
    Nothing, where the notebook declares every parameter given.

    Parameters
    ----------
    notebook : pathlib.Path
        A notebook with a cell tagged ``parameters``.
    parameters : dict
        What is to be injected.

    Raises
    ------
    InputError
        If a name is not declared: papermill alone would warn and go on.
    """
    import papermill

    declared = list(papermill.inspect_notebook(str(notebook)))
    unknown = sorted(parameters.keys() - set(declared))
    if unknown:
        said = "; ".join(f"{name!r}{checks.nearest(name, declared)}" for name in unknown)
        raise checks.InputError(
            f"{notebook.name} has no parameter {said}; it declares {', '.join(declared)}."
        )


class _Told:
    """While the block runs, lines of the progress file reach standard output."""

    def __init__(self, path: Path, title: str) -> None:
        self.path, self.title = path, title
        self.over = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self.path.write_text("")
        os.environ[progress.FILE_VARIABLE] = str(self.path.resolve())
        self.start = time.monotonic()
        say(f"start {self.title}")
        self.watcher.start()

    def __exit__(self, kind: object, *_: object) -> None:
        os.environ.pop(progress.FILE_VARIABLE, None)
        self.over.set()
        self.watcher.join()
        self.path.unlink(missing_ok=True)
        if kind is None:
            say(f"done {self.title} · {time.monotonic() - self.start:.0f} s")

    def _watch(self) -> None:
        with self.path.open(encoding="utf-8") as file:
            last = False
            while not last:
                last = self.over.wait(0.5)
                for line in file:
                    say(f"  {self.title} · {line.rstrip()}")


def say(text: str) -> None:
    """
    Nothing; what is said reaches the person who started the run.

    Parameters
    ----------
    text : str
        One or several lines.
    """
    for line in text.splitlines():
        print(f"hcc: {line}", flush=True)  # noqa: T201 - the runner reads these lines


def _record(stage: str, parameters: dict[str, Any], folder: Path, inputs: Sequence[Path]) -> None:
    """Write the stage's run.json and, last, the hashes that the workflow looks at."""
    names = results.files(stage, folder.name, bundle=parameters.get("bundle", ""))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise checks.InputError(f"FAILED {stage}: it ended without writing {', '.join(missing)}.")
    hashes = {name: results.sha256(folder / name) for name in names}
    run = {
        "stage": stage,
        "parameters": parameters,
        "hcc_utils": __version__,
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in _VERSIONS},
        "git_commit": _commit(),
        "inputs_sha256": {str(path): results.sha256(path) for path in inputs},
        "outputs_sha256": hashes,
        "privacy": reading.records(inputs),
    }
    results.write_json(run, folder / f"{stage}.run.json")
    results.write_json({"stage": stage, "sha256": hashes}, folder / f"{stage}.done.json")


def _commit() -> str | None:
    """The checkout's commit; none for an installed wheel."""
    here = Path(__file__).parent
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or None


def main() -> int:
    """
    Zero where the notebook ran; one, with a line that says why, where it did not.

    Returns
    -------
    int
        The process's exit code.
    """
    # the kernel's own start-up notices would stand between the progress lines
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("stage", choices=results.STAGES)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--input", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    parameters = dict(item.split("=", 1) for item in given.set)
    try:
        execute(given.stage, parameters, given.folder, given.input)
    except checks.InputError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
