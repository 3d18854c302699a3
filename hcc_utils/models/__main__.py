"""Train all networks of a study's development: what chapter 03 does first, and then finds done.

torchrun --nproc-per-node 2 -m hcc_utils.models --manifest data_manifest.yaml --profile full
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hcc_utils import checks
from hcc_utils.models import model_d, ranks
from hcc_utils.models.settings import PROFILES
from hcc_utils.study import results
from hcc_utils.study.manifest import Manifest


def train(arguments: Sequence[str] | None = None) -> None:
    """
    Nothing; the networks stand in the study's results.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line, where left out: as `hcc run` takes them.

    Raises
    ------
    InputError
        If chapters 01 and 02 have not run yet.
    """
    parser = argparse.ArgumentParser(prog="hcc_utils.models", description=__doc__)
    parser.add_argument("--manifest", "-m", type=Path, required=True)
    parser.add_argument("--profile", choices=PROFILES, default="fast")
    parser.add_argument("--results", type=Path, default=Path("results"))
    asked = parser.parse_args(arguments)
    study = Manifest.read(asked.manifest)
    here = results.Folder(
        root=asked.results, study=study.study, centre="development", stage="03_cnn"
    )
    images = model_d.Images.read(here, study.endpoint)
    with ranks.joined():
        model_d.at_centre(study, images, here=here, bundle="", profile=asked.profile)


if __name__ == "__main__":
    try:
        train()
    except checks.InputError as error:
        sys.exit(str(error))
