"""The study at a glance: what its manifest says, step by step."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from hcc_utils.study import vocabulary
from hcc_utils.study.manifest import Centre, Manifest

COLUMNS = ("step", "title", "words")
_MADE_OF = {
    "cs": "clinical and semantic factors",
    "d": "a network on slices of the portal-phase CT",
    "csd": "both scores together",
}
_ASKED = {
    "04_comparison": "discrimination, calibration and what one model adds to another",
    "05_nomogram_dca": "nomogram and net benefit",
    "06_survival": "time to the event, by risk",
}


def at_a_glance(study: Manifest) -> pd.DataFrame:
    """
    What is done in a study, from its hospitals to what is asked of its models.

    Parameters
    ----------
    study : Manifest
        Its endpoint, centres, models and chapters.

    Returns
    -------
    pandas.DataFrame
        One row a box, from the first step to the last: ``step`` (boxes of one step stand side by
        side), ``title``, ``words``. What the study leaves out has no box.
    """
    boxes = [(step, *box) for step, boxes in enumerate(_steps(study)) for box in boxes]
    return pd.DataFrame(boxes, columns=list(COLUMNS))


def _steps(study: Manifest) -> Iterator[list[tuple[str, str]]]:
    """The boxes of each step that has any."""
    endpoint, from_when = vocabulary.label(study.endpoint), study.time_zero
    yield [("Question", f"{endpoint} after treatment; time counted from: {from_when}")]
    yield [_hospitals("Development", [study.centre(name) for name in study.development])]
    yield from filter(None, _models(study))
    asked = [words for stage, words in _ASKED.items() if stage not in study.chapters_left_out]
    if study.validation:
        yield [("Frozen", "models and thresholds; nothing is fitted again")]
        validation = [study.centre(name) for name in study.validation]
        yield [_hospitals("Validation, each hospital apart", validation)]
    if asked:
        yield [("Asked of the models", "; ".join(asked))]
    if len(study.validation) > 1 and "07_pooled" not in study.chapters_left_out:
        yield [("Hospitals together", "random effects, and what the next hospital may see")]


def _hospitals(title: str, centres: list[Centre]) -> tuple[str, str]:
    """The box of the hospitals that play one part."""
    return title, ", ".join(centre.title for centre in centres)


def _models(study: Manifest) -> Iterator[list[tuple[str, str]]]:
    """The models, those that another is made of before it."""
    made = {
        name: (vocabulary.label(name), words)
        for name, words in _MADE_OF.items()
        if name not in study.models_left_out
    }
    yield [box for name, box in made.items() if name != "csd"]
    yield [made["csd"]] if "csd" in made else []
    if study.clinical_model is not None:
        factors = ", ".join(vocabulary.label(name) for name in study.clinical_model.factors)
        yield [(vocabulary.label("clinical"), factors)]
