"""Large files of rows read by several processes, each a part of whole lines; what they make keeps the file's order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from multiprocessing.connection import Connection
from typing import Any, TypeAlias, TypeVar

from penchant.data.files import parts_of_file
from penchant.data.formats import layout_named
from penchant.data.formats.layout import Layout
from penchant.data.rows import ReadRow, rows_of_source
from penchant.data.sources import Paths, Source, unweighed
from penchant.errors import InputError

T = TypeVar("T")
Work: TypeAlias = Callable[[Iterator[ReadRow]], Iterator[T]]

_PART = 8 << 20
_MOST_PROCESSES = 8
_FIRST_ROWS = 100
_END = "end"


def in_parts(paths: Paths, format: str | None, work: Work[T], apart: Callable[[Layout], bool]) -> Iterator[T]:
    """What ``work`` makes of all rows, in order; files of plain JSON Lines may be worked on by a process per part.

    With one core, or where processes cannot be forked, ``work`` is given all rows here.

    Args:
        paths: What :func:`read_preferences` takes.
        format: The layout's name; by default each file's first readable row tells.
        work: Takes rows and yields results as it goes, small ones, for those of a part are held until their turn.
        apart: Whether rows of a layout can be worked on without their neighbours.

    Raises:
        InputError: if a file cannot be read, or ``work`` raises it.
    """
    forced = layout_named(format) if format is not None else None
    processes = _processes()
    together: list[Source] = []
    for source in unweighed(paths):
        layout = _layout_of(source, forced) if processes > 1 else None
        if layout is None or source.path is None or not apart(layout):
            together.append(source)
            continue
        yield from _here(together, forced, work)
        together = []
        tasks = (
            partial(work, rows_of_source(Source(source.name, rows), forced, layout))
            for rows in parts_of_file(source.path, _PART)
        )
        yield from _by_processes(tasks, source.name, processes)
    yield from _here(together, forced, work)


def _processes() -> int:
    return min(_MOST_PROCESSES, len(os.sched_getaffinity(0))) if sys.platform == "linux" else 1


def _here(sources: Sequence[Source], forced: Layout | None, work: Work[T]) -> Iterator[T]:
    if sources:
        yield from work(chain.from_iterable(rows_of_source(source, forced) for source in sources))


def _layout_of(source: Source, forced: Layout | None) -> Layout | None:
    """The layout of a file that can be cut, as its first rows show it; what is wrong with one is said later."""
    if source.path is None or next(parts_of_file(source.path, _PART), None) is None:
        return None
    try:
        first = islice(rows_of_source(source, forced), _FIRST_ROWS)
        return next((row.layout for row in first if row.layout is not None), None)
    except InputError:
        return None


def _by_processes(tasks: Iterator[Callable[[], Iterator[T]]], where: str, processes: int) -> Iterator[T]:
    """The results of the tasks in order; so many are run at a time, and one result more is held."""
    context = multiprocessing.get_context("fork")
    running: deque[tuple[Any, Connection]] = deque()
    try:
        for task in tasks:
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_run, args=(task, sender), daemon=True)
            process.start()
            sender.close()
            running.append((process, receiver))
            if len(running) > processes:
                yield from _results(*running[0], where)
                running.popleft()[1].close()
        while running:
            yield from _results(*running[0], where)
            running.popleft()[1].close()
    finally:
        for process, receiver in running:
            process.terminate()
            process.join()
            receiver.close()


def _run(task: Callable[[], Iterator[T]], sender: Connection) -> None:
    """In the process: all results of one task, or the error that ended it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends this process
    try:
        results = list(task())
    except InputError as error:
        sender.send(error)
        return
    for result in results:  # one by one: a pipe is fast with what is small
        sender.send(result)
    sender.send(_END)


def _results(process: Any, receiver: Connection, where: str) -> Iterator[T]:
    try:
        while (result := receiver.recv()) != _END:
            if isinstance(result, InputError):
                raise result
            yield result
    except EOFError:
        process.join()
        if process.exitcode > 0:
            raise RuntimeError(f"{where}: a process that read the file failed, as it says above") from None
        what = f"a process that read the file was ended from outside (signal {-process.exitcode})"
        raise InputError(what, where=where, fix="Was there too little memory?") from None
    process.join()
