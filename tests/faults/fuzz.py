"""Damaged files through the public path, and what came of each.

As a program it prints one line before and one after each mutation, so that who watches it knows
which one stopped it: ``python -m faults.fuzz SEED FIRST LAST``.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from dicom_files import cohort_slices
from faults import mutations, undetectable, valid_files
from faults.mutations import Mutation
from faults.valid_files import SIZE, Valid

from hcc_utils.imaging.preprocessing import CohortSlices

SECONDS, MEMORY_BYTES = 2.0, 2**30
WITHIN_MM = 0.1  # jitter of positions is harmless by design
TOLD = ("identical", "warned", "refused")
_ASKS = re.compile(
    r"\b(Export|Give|Put|Draw|Name|Rename|Add|Check|Keep|Outline|Measure|Run|Unpack|"
    r"Edges are|name one)\b"
)
FAULTS = ("died", "hung", "slow", "memory", "unexpected", "nameless", "silent")


class Outcome(NamedTuple):
    """What came of one mutation: `outcome` is one of `FAULTS`, or how it was told."""

    number: int
    name: str
    kind: str
    outcome: str
    detail: str


def prepared(valid: Valid) -> CohortSlices:
    """The patient through the public path."""
    return cohort_slices(
        ["P1"], valid.root / "dicom", valid.source, valid.roi, chosen_series={}, size=SIZE
    )


def same(one: CohortSlices, other: CohortSlices) -> bool:
    """Whether two results hold the same slices of the same boxes at the same places."""
    if len(one.table) != len(other.table) or one.pixels_hu.shape != other.pixels_hu.shape:
        return False
    exact = [name for name in one.table.columns if name not in ("slice_z_mm", "roi_source")]
    apart = (one.table["slice_z_mm"] - other.table["slice_z_mm"]).abs()
    return (
        bool((one.pixels_hu == other.pixels_hu).all())
        and one.table[exact].equals(other.table[exact])
        and bool((apart <= WITHIN_MM).all())
    )


def judged(valid: Valid, truth: CohortSlices, found: CohortSlices) -> tuple[str, str]:
    """How a mutation was told, or which promise it broke."""
    if len(found.problems):
        problem = found.problems.iloc[0]
        rule, said = str(problem["rule"]), str(problem["message"])
        if any(word in said for word in ("MemoryError", "allocate", "bad_alloc")):
            return "memory", said
        if rule == "unexpected_error":
            return "unexpected", said
        file = str(problem["file"]) or str(valid.roi)
        names = problem["patient_id"] == "P1" and ("P1" in said or file in said)
        if not names or not _ASKS.search(said):
            return "nameless", f"{rule}: {said}"
        return "refused", rule
    if same(truth, found):
        sources = set(found.table["roi_source"]) - set(truth.table["roi_source"])
        return ("warned", " ".join(sorted(sources))) if sources else ("identical", "")
    usual = set(" ".join(truth.inventory["rules"]).split())
    rules = set(" ".join(found.inventory["rules"]).split()) - usual
    if rules:
        return "warned", " ".join(sorted(rules))
    return "silent", _difference(truth, found)


def _difference(truth: CohortSlices, found: CohortSlices) -> str:
    if len(truth.table) != len(found.table):
        return f"{len(found.table)} slices of {len(truth.table)}"
    names = [n for n in truth.table if not truth.table[n].equals(found.table[n])]
    wrong = int((truth.pixels_hu != found.pixels_hu).sum())
    return f"{wrong} pixels differ; columns {names}"


def outcomes(
    seed: int, numbers: range, tell: Callable[[int], None] = lambda number: None
) -> Iterator[Outcome]:
    """What comes of each mutation, in this process; `tell` hears of each before it is tried."""
    with tempfile.TemporaryDirectory() as folder:
        cases = valid_files.write(Path(folder))
        truths = [prepared(valid) for valid in cases]
        _limit_memory()
        for number in numbers:
            at = number % len(cases)
            tell(number)
            outcome = _outcome(seed, number, cases[at], truths[at])
            yield outcome
            if outcome.outcome == "memory":
                return  # what a process once used counts for ever


def _outcome(seed: int, number: int, valid: Valid, truth: CohortSlices) -> Outcome:
    """One mutation; the file is as before afterwards."""
    chance = random.Random(f"{seed} {number}")
    file = chance.choice(valid.files)
    whole = file.read_bytes()
    mutation = mutations.mutated(valid.name, whole, chance)
    try:
        outcome, detail, taken = _tried(valid, truth, file, mutation.data)
        if outcome == "silent" and _cannot_be_told(valid, truth, file, whole, mutation):
            outcome = "undetectable"
    finally:
        file.write_bytes(whole)
    if taken > SECONDS:
        outcome, detail = "slow", f"{taken:.1f} s; {outcome} {detail}"
    if _most_bytes() > MEMORY_BYTES:
        outcome, detail = "memory", f"{outcome} {detail}"
    said = f"{mutation.kind} {mutation.edited}".strip()
    return Outcome(number, valid.name, said, outcome, f"{file.name}: {detail}")


def _tried(valid: Valid, truth: CohortSlices, file: Path, damaged: bytes) -> tuple[str, str, float]:
    """How a damaged file was told, and the seconds of work that it took."""
    file.write_bytes(damaged)
    began = time.process_time()
    found = prepared(valid)
    taken = time.process_time() - began
    outcome, detail = judged(valid, truth, found)
    if outcome == "silent" and undetectable.as_written(valid, damaged, found):
        return "undetectable", "as the table says", taken
    return outcome, detail, taken


def _cannot_be_told(
    valid: Valid, truth: CohortSlices, file: Path, whole: bytes, mutation: Mutation
) -> bool:
    """Whether only values changed that nothing can tell: without them, all is told or true."""
    if undetectable.edited(valid, mutation.data, mutation):
        return True
    mended = undetectable.mended(valid, whole, mutation.data)
    return mended is not None and _tried(valid, truth, file, mended)[0] in TOLD


def _most_bytes() -> int:
    """
    The most memory that this process has used.

    Not `ru_maxrss`: that begins with what the process used that started this one.
    """
    said = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert said is not None
    return int(said.group(1)) * 1024


def _limit_memory() -> None:
    """Let this process reserve what a length of 32 bits can ask for, used or not, and no more."""
    reserved = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = reserved + 5 * MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(seed: int, first: int, last: int) -> None:
    """One line before and one after each mutation, on what was the standard output."""
    with os.fdopen(os.dup(1), "w", buffering=1) as lines:
        os.dup2(2, 1)  # what libraries print is not for who reads the lines

        def tell(said: object) -> None:
            lines.write(f"{json.dumps(said)}\n")

        for outcome in outcomes(seed, range(first, last), tell):
            tell(outcome)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
