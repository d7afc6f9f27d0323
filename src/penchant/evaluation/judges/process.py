"""Judges that are other programs: a shell command for each question, or a Python rule in workers that stay."""

from __future__ import annotations

import hashlib
import json
import queue
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

from penchant.errors import InputError
from penchant.evaluation.judges.child import Child, ChildError
from penchant.evaluation.judges.question import Patience, Question, Reply, read_reply, tail
from penchant.evaluation.prompts import digest

GIVE_UP = 10
"""Faults in a row after which the judge itself is at fault."""

MEND = "Mend it and call again: what this same judge has answered is kept and not asked for again"
_START_SECONDS = 120.0
_PAUSE = 0.5
"""Seconds before a second try, doubled with each further one."""


class _Program:
    """Asks a program from several threads, each question again until it is answered well or patience ends."""

    name: str
    identity: str
    compares: bool
    bradley_terry = False

    def __init__(self, patience: Patience) -> None:
        self.patience = patience

    def replies(self, questions: Sequence[Question]) -> Iterator[tuple[int, Reply]]:
        """Few questions are ahead of the answers, so that whoever stops listening has paid for little.

        Raises:
            InputError: at GIVE_UP faults in a row.
        """
        waiting, in_a_row = iter(enumerate(questions)), 0
        pool = ThreadPoolExecutor(self.patience.jobs)
        under_way: dict[Future[Reply], int] = {}
        try:
            while True:
                for index, question in islice(waiting, self.patience.jobs - len(under_way)):
                    under_way[pool.submit(self._patiently, question)] = index
                if not under_way:
                    return
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for one in done:
                    reply = one.result()
                    yield under_way.pop(one), reply
                    in_a_row = in_a_row + 1 if reply.fault is not None else 0
                    if in_a_row >= GIVE_UP:
                        what = f"the judge failed {in_a_row} times in a row, the last time so: {reply.fault}"
                        raise InputError(what, where=self.name, fix=MEND)
        finally:
            self._stop()
            pool.shutdown(wait=True, cancel_futures=True)
            self._stop()

    def _patiently(self, question: Question) -> Reply:
        reply = self._ask(question)
        for count in range(self.patience.retries):
            if reply.fault is None:
                break
            time.sleep(_PAUSE * 2**count)
            reply = self._ask(question)
        return reply

    def _ask(self, question: Question) -> Reply:
        raise NotImplementedError

    def _stop(self) -> None:
        """End what still runs."""


class CommandJudge(_Program):
    """A shell command that reads one question as JSON from standard input and writes one verdict to standard output.

    Args:
        command: The command. The content of files that it names is part of the judge's identity.
        compares: Whether it is shown two answers.
        patience: See :class:`Patience`.
    """

    def __init__(self, command: str, *, compares: bool, patience: Patience) -> None:
        super().__init__(patience)
        self.name, self.compares, self._command = command, compares, command
        self.identity = digest("command", command, compares, *map(_content, _files_in(command)))
        self._running: set[Child] = set()

    def _ask(self, question: Question) -> Reply:
        child = Child(self._command)
        self._running.add(child)
        try:
            child.send(json.dumps(question.shown()).encode(), close=True)
            raw = child.rest(self.patience.seconds).decode("utf-8", "replace").strip()
        except ChildError as error:
            child.end()
            said = tail(child.errors())
            return Reply(None, said, f"the command {error}{f': {said}' if said else ''}", answered=False)
        finally:
            child.end()
            self._running.discard(child)
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            value = raw
        return read_reply(value, raw, compares=self.compares)

    def _stop(self) -> None:
        for child in list(self._running):
            child.end()


class RuleJudge(_Program):
    """A Python function in processes of its own, which live until one hangs or dies.

    It rates if it takes ``(prompt, answer)`` and compares if it takes ``(prompt, first, second)``. The content of its
    file is part of the judge's identity; files that it imports are not.

    Args:
        path: The file.
        function: The function's name.
        patience: See :class:`Patience`.

    Raises:
        InputError: if the file does not run or the function is not one of the two kinds.
    """

    def __init__(self, path: Path, function: str, patience: Patience) -> None:
        super().__init__(patience)
        if not path.is_file():
            raise InputError("no such file", where=str(path), fix="Give --judge FILE.py:FUNCTION")
        self.name = f"{path.name}:{function}"
        self._command = [sys.executable, "-m", "penchant.evaluation.judges.rule_worker", str(path), function]
        self._path = path
        self._idle: queue.SimpleQueue[Child] = queue.SimpleQueue()
        self._all: set[Child] = set()
        child, answers = self._start()
        self._idle.put(child)
        self.compares = answers == 2
        self.identity = digest("rule", function, _content(path))

    def _start(self) -> tuple[Child, int]:
        child = Child(self._command)
        self._all.add(child)
        try:
            told = json.loads(child.line(_START_SECONDS))
        except (ChildError, ValueError) as error:
            self._end(child)
            what = f"the rule's process {error}: {tail(child.errors()) or 'it wrote nothing'}"
            raise InputError(what, where=str(self._path)) from error
        if "refused" in told:
            self._end(child)
            raise InputError(told["refused"], where=str(self._path))
        return child, told["answers"]

    def _ask(self, question: Question) -> Reply:
        try:
            child = self._idle.get_nowait()
        except queue.Empty:
            child, _ = self._start()
        child.send(json.dumps(question.shown()).encode() + b"\n")
        try:
            raw = child.line(self.patience.seconds).decode()
        except ChildError as error:
            self._end(child)
            said = tail(child.errors())
            return Reply(None, said, f"the rule {error}{f': {said}' if said else ''}", answered=False)
        self._idle.put(child)
        told = json.loads(raw)
        if "error" in told:
            return Reply(None, raw, f"the rule raised {told['error']}", answered=False)
        return read_reply(told["reply"], json.dumps(told["reply"], ensure_ascii=False), compares=self.compares)

    def _end(self, child: Child) -> None:
        child.end()
        self._all.discard(child)

    def _stop(self) -> None:
        self._idle = queue.SimpleQueue()
        for child in list(self._all):
            self._end(child)


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _files_in(command: str) -> list[Path]:
    """The scripts that a command names; a program from the search path is not read."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    return [Path(word) for word in words if word.isprintable() and len(word) < 1000 and Path(word).is_file()]
