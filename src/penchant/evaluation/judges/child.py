"""A child process that is spoken to in JSON: within a time limit, with bounded output, ended with all it started."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

MOST_BYTES = 1 << 20
"""Of a reply, and kept of what a child writes to standard error."""


class ChildError(Exception):
    """The child hung, wrote a flood, or died."""


class Child:
    """A running program.

    Args:
        command: A shell command, or a program with its arguments.
    """

    def __init__(self, command: str | Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command,
            shell=isinstance(command, str),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._left, self._errors, self._over = b"", b"", False
        self._drain = threading.Thread(target=self._keep_errors, daemon=True)
        self._drain.start()

    def send(self, data: bytes, *, close: bool = False) -> None:
        """Write in the background: a child that does not read must not block."""
        threading.Thread(target=self._write, args=(data, close), daemon=True).start()

    def _write(self, data: bytes, close: bool) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(OSError, ValueError):  # a child may answer without reading, or be gone
            pipe.write(data)
            pipe.flush()
            if close:
                pipe.close()

    def _keep_errors(self) -> None:
        pipe = self._process.stderr
        assert pipe is not None
        while part := os.read(pipe.fileno(), 1 << 16):
            self._errors = (self._errors + part)[-MOST_BYTES:]

    def line(self, seconds: float) -> bytes:
        """The next line of standard output, without its end.

        Raises:
            ChildError: if it does not come in time, is too long, or the child ends first.
        """
        data = self._read(seconds, whole=False)
        if b"\n" not in data:
            raise ChildError(f"died ({self._ended(1.0)})")
        line, _, self._left = data.partition(b"\n")
        return line

    def rest(self, seconds: float) -> bytes:
        """All of standard output, once the child has ended well.

        Raises:
            ChildError: if that takes too long, is too much, or the child ends with another exit status than 0.
        """
        end = time.monotonic() + seconds
        data = self._read(seconds, whole=True)
        try:
            status = self._process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise ChildError(f"gave no answer in {seconds:g} s") from error
        if status:
            raise ChildError(f"died ({self._ended(0.0)})")
        return data

    def _read(self, seconds: float, *, whole: bool) -> bytes:
        pipe = self._process.stdout
        assert pipe is not None
        data, end = self._left, time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while whole or b"\n" not in data:
                if len(data) > MOST_BYTES:
                    raise ChildError(f"wrote over {MOST_BYTES >> 20} MB in one answer")
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise ChildError(f"gave no answer in {seconds:g} s")
                part = os.read(pipe.fileno(), 1 << 16)
                if not part:
                    break
                data += part
        return data

    def _ended(self, patience: float) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        status = self._process.poll()
        if status is None:
            return "closed its output"
        return f"exit status {status}" if status >= 0 else f"signal {-status}"

    def errors(self) -> str:
        """What it wrote to standard error; call after it ended."""
        self._drain.join(0.5)
        return self._errors.decode("utf-8", "replace")

    def end(self) -> None:
        """Kill it and everything that it started; once, because its number may belong to another afterwards."""
        if self._over:
            return
        self._over = True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()  # its pipes stay open: a thread that waits for one would not see the end if it were closed
