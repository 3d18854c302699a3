"""How far long work has come, said where the person who waits can see it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

FILE_VARIABLE = "HCC_PROGRESS_FILE"


def say(message: str) -> None:
    """
    Nothing; one line about long work reaches the person who started it.

    Parameters
    ----------
    message : str
        How far, in a few words.

    Notes
    -----
    A notebook that is run for the book keeps its outputs: there the line goes to the file that
    the runner watches (environment variable ``HCC_PROGRESS_FILE``), else to standard error.
    """
    path = os.environ.get(FILE_VARIABLE)
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(message + "\n")
    else:
        print(message, file=sys.stderr, flush=True)  # noqa: T201 - this is where it is shown
