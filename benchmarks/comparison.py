"""The comparison's statistics against their peers: ratios in one run, and memory by patients.

python benchmarks/comparison.py [--dcurves PYTHON]

R's pROC is timed by Rscript (r-base-core, r-cran-proc); without them its rows are left out. PYTHON
is an interpreter that has dcurves (it is not installed here: `python -m venv V && V/bin/pip install
dcurves`). Times are the best of several in seconds of the processor, which others' work on the
machine disturbs less. The patients are those of tests/oracle_patients.py.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
import timeit
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from oracle_patients import DATA

from hcc_utils.evaluation import calibration, decision_curve, discrimination, reclassification

PROC = """
suppressMessages(library(pROC))
best <- function(f, times) min(replicate(times, sum(system.time(f())[1:2])))
read <- function(n) read.csv(file.path(commandArgs(TRUE), paste0(n, ".csv")))
curve <- function(d, risk) roc(d$event, d[[risk]], direction = "<", levels = c(0, 1), quiet = TRUE)
large <- read(20000)
a <- curve(large, "risk_a"); b <- curve(large, "risk_b"); few <- curve(read(332), "risk_a")
cat(best(function() for (k in 1:10) roc.test(a, b, method = "delong", paired = TRUE), 5) / 10,
    best(function() ci.auc(few, method = "bootstrap", boot.n = 2000, progress = "none"), 3))
"""
DCURVES = """
import sys, time, timeit, dcurves, pandas
for n in (332, 20000):
    d = pandas.read_csv(f"{sys.argv[1]}/{n}.csv")
    run = lambda: dcurves.dca(data=d, outcome="event", modelnames=["risk_a"])
    print(min(timeit.repeat(run, number=1, repeat=5, timer=time.process_time)))
"""


def seconds(run: Callable[[], object], times: int = 20) -> float:
    """Of the processor, for one call."""
    return min(timeit.repeat(run, number=times, repeat=9, timer=time.process_time)) / times


def theirs(command: list[str]) -> list[float]:
    """What a peer's script prints; nothing where the peer is not there."""
    if not shutil.which(command[0]):
        return []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{command[0]} has not the peer: {done.stderr.splitlines()[-1]}", file=sys.stderr)
        return []
    return [float(word) for word in done.stdout.split()]


def ratios(folder: str, python: str) -> pd.DataFrame:
    """A row a task: our time, the peer's, and how many times that is."""
    for n in ("332", "20000"):
        DATA[n].assign(event=DATA[n]["event"].astype(int)).to_csv(f"{folder}/{n}.csv", index=False)
    few, many = (
        [DATA[n][c].to_numpy() for c in ("event", "risk_a", "risk_b")]
        for n in DATA
        if n in ("332", "20000")
    )
    proc = theirs(["Rscript", "-e", PROC, folder])
    dcurves = theirs([python, "-c", DCURVES, folder]) if python else []
    tasks = [
        (
            "paired DeLong, n = 20 000",
            "pROC",
            2,
            lambda: discrimination.delong_paired(*many),
            proc[:1],
        ),
        (
            "2000 bootstrap AUCs, n = 332",
            "pROC",
            50,
            lambda: discrimination.bootstrapped_auc(*few[:2]),
            proc[1:],
        ),
        (
            "decision curve, n = 332",
            "dcurves",
            500,
            lambda: decision_curve.net_benefit(*few[:2]),
            dcurves[:1],
        ),
        (
            "decision curve, n = 20 000",
            "dcurves",
            500,
            lambda: decision_curve.net_benefit(*many[:2]),
            dcurves[1:],
        ),
    ]
    rows = [
        {
            "task": task,
            "ms": 1000 * ours,
            "peer": peer,
            "peer_ms": 1000 * other,
            "ratio": other / ours,
            "least": least,
        }
        for task, peer, least, run, found in tasks
        for ours in [seconds(run)]
        for other in found or [float("nan")]
    ]
    return pd.DataFrame(rows)


def memory() -> pd.DataFrame:
    """Peak bytes a patient at 20 000 patients and at ten times as many."""
    tasks: dict[str, Callable[[pd.DataFrame], object]] = {
        "delong_paired": lambda d: discrimination.delong_paired(
            d["event"], d["risk_a"], d["risk_b"]
        ),
        "bootstrapped_auc": lambda d: discrimination.bootstrapped_auc(
            d["event"], d["risk_a"], resamples=20
        ),
        "calibration": lambda d: calibration.calibration(d["event"], d["risk_b"]),
        "smooth": lambda d: calibration.smooth(d["event"], d["risk_b"], resamples=3),
        "reclassification.summary": lambda d: reclassification.summary(
            d["event"], d["risk_a"], d["risk_b"], resamples=20
        ),
        "net_benefit": lambda d: decision_curve.net_benefit(d["event"], d["risk_a"]),
    }
    rows = []
    for name, run in tasks.items():
        row: dict[str, object] = {"function": name}
        for times in (1, 10):
            patients = pd.concat([DATA["20000"]] * times, ignore_index=True)
            tracemalloc.start()
            run(patients)
            row[f"bytes a patient, n = {len(patients)}"] = tracemalloc.get_traced_memory()[1] / len(
                patients
            )
            tracemalloc.stop()
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--dcurves", default="", metavar="PYTHON", help="an interpreter with dcurves"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(ratios(folder, given.dcurves).to_string(index=False, float_format="%.3g"))
    print(memory().to_string(index=False, float_format="%.0f"))


if __name__ == "__main__":
    main()
