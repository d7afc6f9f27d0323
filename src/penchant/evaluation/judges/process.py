"""Judges that are other programs: a shell command for each question, or a Python rule in workers that stay."""

from __future__ import annotations

import hashlib
import json
import queue
import shlex
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
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


def _end_all(children: set[Child]) -> None:
    for child in list(children):
        child.end()


class _Program:
    """Asks a program from several threads, each question again until it is answered well or patience ends."""

    name: str
    identity: str
    compares: bool
    bradley_terry = False

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self._over = threading.Event()
        self._children: set[Child] = set()
        weakref.finalize(self, _end_all, self._children)  # a worker that waits for a question ends with its judge

    def replies(self, questions: Sequence[Question]) -> Iterator[tuple[int, Reply]]:
        """Few questions are ahead of the answers, so that whoever stops listening has paid for little.

        Raises:
            InputError: at GIVE_UP faults in a row.
        """
        self._over.clear()
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
            self._over.set()
            for child in list(self._children):
                self._end(child)
            pool.shutdown(wait=True, cancel_futures=True)

    def _patiently(self, question: Question) -> Reply:
        reply = self._ask(question)
        for count in range(self.patience.retries):
            if reply.fault is None or self._over.wait(_PAUSE * 2**count):
                break
            reply = self._ask(question)
        return reply

    def _ask(self, question: Question) -> Reply:
        raise NotImplementedError

    def _run(self, command: str | Sequence[str]) -> Child:
        """A child that ends at the latest when nobody listens any more."""
        child = Child(command)
        self._children.add(child)
        if self._over.is_set():
            child.end()
        return child

    def _end(self, child: Child) -> None:
        child.end()
        self._children.discard(child)


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

    def _ask(self, question: Question) -> Reply:
        child = self._run(self._command)
        try:
            child.send(json.dumps(question.shown()).encode(), close=True)
            raw = child.rest(self.patience.seconds).decode("utf-8", "replace").strip()
        except ChildError as error:
            self._end(child)
            said = tail(child.errors())
            return Reply(None, said, f"the command {error}{f': {said}' if said else ''}", answered=False)
        finally:
            self._end(child)
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            value = raw
        return read_reply(value, raw, compares=self.compares)


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
        worker = ["-u", "-m", "penchant.evaluation.judges.rule_worker"]  # unbuffered: a rule that dies is still heard
        self._command = [sys.executable, *worker, str(path), function]
        self._path = path
        self._idle: queue.SimpleQueue[Child] = queue.SimpleQueue()
        child, answers = self._start()
        self._idle.put(child)
        self.compares = answers == 2
        self.identity = digest("rule", function, _content(path))

    def _start(self) -> tuple[Child, int]:
        child = self._run(self._command)
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
        child = self._waiting_child() or self._start()[0]
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

    def _waiting_child(self) -> Child | None:
        """A worker without a question; those that were ended meanwhile are passed over."""
        with suppress(queue.Empty):
            while True:
                child = self._idle.get_nowait()
                if child in self._children:
                    return child
        return None


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _files_in(command: str) -> list[Path]:
    """The scripts that a command names; a program from the search path is not read."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    return [Path(word) for word in words if word.isprintable() and len(word) < 1000 and Path(word).is_file()]
