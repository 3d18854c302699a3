"""How far long work has come, said where the person who waits can see it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

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


@contextmanager
def bar(what: str, console: Console) -> Iterator[Callable[[int, int], None]]:
    """
    A function to be called with (done, total), while a bar shows how far that is.

    Parameters
    ----------
    what : str
        What is counted.
    console : rich.console.Console
        Where the bar is shown, from the first call on.

    Yields
    ------
    callable
        The function.
    """
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    shown = Progress(*columns, console=console)
    task = shown.add_task(what, total=None)

    def progress(done: int, total: int) -> None:
        shown.start()
        shown.update(task, completed=done, total=total)

    try:
        yield progress
    finally:
        if shown.live.is_started:
            shown.stop()
