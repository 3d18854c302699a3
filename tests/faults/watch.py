"""Damage in processes of its own, that may die or hang without harm to who watches them.

``python -m faults.watch SEED FIRST LAST`` prints the counts of outcomes and each broken promise;
with the same seed and number a mutation is the same again.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator

from faults.fuzz import FAULTS, TOLD, Outcome

PATIENCE_S = 30.0  # by the clock, on a machine that may be busy; `fuzz.SECONDS` are of work
START_S = 300.0  # for the libraries and the valid files


def watched(seed: int, numbers: range) -> Iterator[Outcome]:
    """What comes of each mutation in another process, also where it dies or hangs."""
    first = numbers.start
    while first < numbers.stop:
        for outcome in _of_process(seed, range(first, numbers.stop)):
            yield outcome
            first = outcome.number + 1


def _of_process(seed: int, numbers: range) -> Iterator[Outcome]:
    """The outcomes of one process, the last one perhaps its death."""
    command = [sys.executable, "-m", "faults.fuzz", str(seed)]
    command += [str(numbers.start), str(numbers.stop)]
    seen = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}  # what this process imports
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command, bufsize=0, stdout=subprocess.PIPE, stderr=errors, env=seen
        ) as process,
        selectors.DefaultSelector() as selector,
    ):
        assert process.stdout is not None
        selector.register(process.stdout, selectors.EVENT_READ)
        begun, done = None, numbers.start - 1
        try:
            while selector.select(START_S if begun is None else PATIENCE_S):
                line = process.stdout.readline()
                if not line:
                    break
                said = json.loads(line)
                if isinstance(said, int):
                    begun = said
                else:
                    done = said[0]
                    yield Outcome(*said)
                    if said[3] == "memory":
                        return
            else:
                process.kill()
                if begun is None:
                    raise RuntimeError("the fuzzing process did not begin")
                yield Outcome(begun, "", "", "hung", f"over {PATIENCE_S} s")
                return
        finally:
            process.kill()
        code = process.wait()
        if done + 1 < numbers.stop:
            errors.seek(0)
            last = errors.read().decode("utf-8", "replace")[-2000:]
            if begun is None or begun == done:
                raise RuntimeError(f"the fuzzing process failed: {last}")
            yield Outcome(begun, "", "", "died", f"exit {code}: {last}")


def table(found: list[Outcome]) -> str:
    """Counts of outcomes by file, as a table in Markdown."""
    columns = [*TOLD, "undetectable", *FAULTS]
    counts = Counter((one.name, one.outcome) for one in found)
    names = list(dict.fromkeys(one.name for one in found))
    rows = [[name, *(str(counts[name, column]) for column in columns)] for name in names]
    total = Counter(one.outcome for one in found)
    rows.append(["all", *(str(total[column]) for column in columns)])
    lines = [["file", *columns], ["---"] * (len(columns) + 1), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main(seed: int, first: int, last: int) -> None:
    """The counts of outcomes, and each broken promise."""
    found = list(watched(seed, range(first, last)))
    broken = [one for one in found if one.outcome in FAULTS]
    sys.stdout.write("\n".join([table(found), *map(str, broken), ""]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
