"""The workflow's two steps that are no notebooks: freezing the bundle and building the book."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from hcc_utils import checks
from hcc_utils.centres import identities, leaks
from hcc_utils.orchestration import execute
from hcc_utils.orchestration.plan import DEVELOPMENT, Plan
from hcc_utils.study import results
from hcc_utils.study.manifest import Manifest


def freeze(plan: Plan) -> None:
    """
    Nothing; the bundle stands in the study's results, and its hashes for the workflow.

    Parameters
    ----------
    plan : Plan
        The run.

    Raises
    ------
    Problems
        If it would name a patient or this machine; an earlier one stays.
    """
    from hcc_utils.models import protocol

    root, manifest = Path(plan.folder), Manifest.read(plan.manifest)
    places = [Path(plan.results_root).absolute()]
    known = identities.of_study(manifest, manifest.development, places=places)
    with tempfile.TemporaryDirectory(dir=root, prefix=".bundle-") as folder:
        made = Path(folder) / "bundle"
        protocol.freeze(root / DEVELOPMENT, made)
        leaks.let_out(made, root / "bundle", known)
    _done(
        "bundle", root, [root / "bundle" / "bundle.json", root / "bundle" / "network.safetensors"]
    )


def book(plan: Plan) -> None:
    """
    Nothing; the book stands in the study's results, and its hash for the workflow.

    Parameters
    ----------
    plan : Plan
        The run.
    """
    from hcc_utils.orchestration import book as binding

    root = Path(plan.folder)
    _done("book", root, [binding.build(root, Manifest.read(plan.manifest))])


def _done(step: str, root: Path, made: list[Path]) -> None:
    """Write the hashes that the workflow looks at."""
    hashes = {path.name: results.sha256(path) for path in made}
    results.write_json({"stage": step, "sha256": hashes}, root / f"{step}.done.json")


def main() -> int:
    """
    Zero where the step ended well; one, with a line that says why, where it did not.

    Returns
    -------
    int
        The process's exit code.
    """
    step, plan_file = sys.argv[1:]
    try:
        {"freeze": freeze, "book": book}[step](Plan.read(Path(plan_file)))
    except checks.InputError as error:
        execute.say(f"FAILED {step}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
