"""How long the whole study takes, and how much memory: from an empty checkout to the book.

python benchmarks/report.py [--profile fast] [--patients 332] [--keep FOLDER]

Clones this checkout's HEAD into an empty folder, times what a stranger would type, and prints a
table. Memory is the sum over all processes of a step (proportional set size), sampled every 0.5 s.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]


class Measured:
    """Seconds and peak memory of one command."""

    def __init__(self, name: str, command: list[str], folder: Path) -> None:
        self.name, self.peak = name, 0
        start = time.monotonic()
        with (folder / "bench.log").open("a") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
            watcher = threading.Thread(target=self._watch, args=(process,), daemon=True)
            watcher.start()
            self.code = process.wait()
        self.seconds = time.monotonic() - start
        watcher.join()
        print(f"{name}: {self.seconds:.1f} s, exit code {self.code}", file=sys.stderr, flush=True)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            self.peak = max(self.peak, tree_bytes(process.pid))
            time.sleep(0.5)


def tree_bytes(pid: int) -> int:
    """Memory of a process and all below it, shared pages counted once."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            total += process.memory_full_info().pss
    except psutil.Error:
        pass
    return total


def change_a_sentence(notebook: Path) -> None:
    """Add a word to the notebook's last prose."""
    content = json.loads(notebook.read_text("utf-8"))
    prose = [cell for cell in content["cells"] if cell["cell_type"] == "markdown"]
    prose[-1]["source"] = "".join(prose[-1]["source"]) + "\n\nAs said."
    notebook.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def ran(folder: Path, study: str) -> list[str]:
    """The notebooks that the last run executed."""
    log = (folder / "results" / study / "run.log").read_text("utf-8")
    return re.findall(r"^hcc: start (.*)$", log, re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", default="fast")
    parser.add_argument("--patients", type=int, default=332)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp())
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    study = "demo" if given.patients == 332 else f"demo_{given.patients}"
    report = ["make", "report", f"PROFILE={given.profile}", f"PATIENTS={given.patients}"]
    steps = [Measured("set-up", ["make", "setup"], folder)]
    steps.append(Measured("demo study, notebooks, book", report, folder))
    notebooks = [len(ran(folder, study))]
    steps.append(Measured("second call, nothing changed", report, folder))
    notebooks.append(len(ran(folder, study)))
    change_a_sentence(folder / "notebooks" / "06_survival.ipynb")
    steps.append(Measured("a sentence changed in 06", report, folder))
    notebooks.append(len(ran(folder, study)))
    print("| step | seconds | peak memory (GB) | notebooks run |\n|---|---|---|---|")
    for step, count in zip(steps, [0, *notebooks], strict=True):
        print(f"| {step.name} | {step.seconds:.1f} | {step.peak / 1e9:.2f} | {count} |")
    print(f"\n{psutil.cpu_count()} cores; profile {given.profile}; the clone: {folder}")
    sys.exit(max(step.code for step in steps))


if __name__ == "__main__":
    main()
