"""Work on many patients at once, results in the order asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]

_AHEAD = 4  # tasks a worker may be ahead of the reader: keeps it busy and the memory flat


def in_order(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    workers: int = 2,
    progress: Progress | None = None,
) -> Iterator[Result]:
    """
    The function's result for each task, in the tasks' order whatever the number of workers.

    Parameters
    ----------
    function : callable
        Takes one task; defined at the top of a module, so that other processes find it.
    tasks : sequence
        What to work on.
    workers : int, default 2
        Processes; with 1 everything happens in this one.
    progress : callable, optional
        Called with (done, total) after each task.

    Yields
    ------
    object
        The next result.
    """
    results = map(function, tasks) if workers == 1 else _shared(function, tasks, workers)
    for done, result in enumerate(results, start=1):
        if progress is not None:
            progress(done, len(tasks))
        yield result


def _shared(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int
) -> Iterator[Result]:
    """The results of several processes, with only a few tasks under way at a time."""
    # spawned, not forked: this process may hold the threads of a notebook or of torch
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        rest = iter(tasks)
        waiting: deque[Future[Result]] = deque(
            pool.submit(function, task) for task in islice(rest, _AHEAD * workers)
        )
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, task) for task in islice(rest, 1))
            yield result
