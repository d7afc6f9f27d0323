"""The code under test in a process of its own: limited time and memory, no network, a limited flood of text.

The parent sends requests as JSON lines through a pipe and reads replies from another; what the code prints goes to a
file of limited size. The limits keep mistakes from hurting; they are no fence against an attacker.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

from penchant.errors import InputError
from penchant.whiteboard.binding import Parameter
from penchant.whiteboard.calling import Reply, Target, describe
from penchant.whiteboard.shapes import Plain, find

MEMORY_BYTES = 2 << 30
FLOOD_BYTES = 1 << 20
SECONDS = 20.0
START_SECONDS = 120.0


class Stopped(Exception):
    """The code under test did not come back: it looped, took too much memory, printed a flood or died."""


class Sandbox:
    """A child process that holds one library and any number of functions, one after the other."""

    def __init__(self, library: str, seconds: float = SECONDS, memory_bytes: int = MEMORY_BYTES):
        self.library, self.seconds = library, seconds
        request_in, self._out = os.pipe()
        self._in, reply_out = os.pipe()
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        command = [
            sys.executable,
            "-m",
            "penchant.whiteboard.sandbox",
            str(request_in),
            str(reply_out),
            library,
            str(memory_bytes),
        ]
        self._process = subprocess.Popen(
            command,
            pass_fds=(request_in, reply_out),
            stdin=subprocess.DEVNULL,
            stdout=self._printed,
            stderr=self._printed,
            start_new_session=True,
        )
        os.close(request_in)
        os.close(reply_out)
        self._buffer = b""
        try:
            self._receive(START_SECONDS, f"{library} was not imported")
        except Stopped:
            self.close()
            raise

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child with all that it started, and free what it held."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for descriptor in (self._out, self._in):
            os.close(descriptor)
        self._printed.close()

    def load(self, path: Path, function: str) -> tuple[list[Parameter], dict[str, Any] | None]:
        """Run a file and take a function from it: its parameters, or the error of running it."""
        reply = self._ask({"load": str(path.resolve()), "function": function})
        return [Parameter(*parameter) for parameter in reply.get("parameters", [])], reply.get("error")

    def call(
        self,
        values: Mapping[str, Any],
        kinds: Mapping[str, str],
        dtype: str,
        grad: Sequence[str],
        positional: Sequence[str],
    ) -> Reply:
        """See :meth:`Target.call`."""
        return self._ask(
            {
                "values": dict(values),
                "kinds": dict(kinds),
                "dtype": dtype,
                "grad": list(grad),
                "positional": list(positional),
            }
        )

    def _ask(self, request: dict[str, Any]) -> Reply:
        try:
            os.write(self._out, json.dumps(request).encode() + b"\n")
        except BrokenPipeError as error:
            raise Stopped(self._why()) from error
        return self._receive(self.seconds, "it did not come back", ": there may be a loop that never ends")

    def _receive(self, seconds: float, what: str, guess: str = "") -> Reply:
        end = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise Stopped(f"{what} within {seconds:g} seconds{guess}")
            piece = os.read(self._in, 1 << 16)
            if not piece:
                raise Stopped(self._why())
            self._buffer += piece
        line, self._buffer = self._buffer.split(b"\n", 1)
        reply: Reply = json.loads(line)
        if "flood" in reply:
            raise Stopped(f"it printed more than {FLOOD_BYTES >> 20} MB: take the print out of the loop")
        return reply

    def _why(self) -> str:
        code = self._process.wait()
        if code == -9:
            return "it was killed, which happens when memory runs out"
        return f"its process died ({'signal ' + str(-code) if code < 0 else 'exit code ' + str(code)})"


def libraries_in(path: Path) -> list[str]:
    """The array libraries that a file imports, likeliest first; plain Python if none.

    Raises:
        InputError: if the file cannot be read or is not Python.
    """
    names = {name.split(".")[0] for name in _imports(parse(path))}
    found = [library for library in ("torch", "jax", "numpy") if library in names]
    return [*found, "python"]


def parse(path: Path) -> ast.Module:
    """A file's syntax tree.

    Raises:
        InputError: if the file cannot be read or is not Python.
    """
    try:
        return ast.parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise InputError(f"cannot read the file: {error.strerror}", where=str(path)) from error
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise InputError(f"this is not Python: {getattr(error, 'msg', error)}", where=f"{path}{line}") from error


def _imports(tree: ast.Module) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return names


def _no_network(event: str, _: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname"):
        raise PermissionError("the code under test may not use the network")


def _limit(memory_bytes: int) -> None:
    """Memory beyond what the library already took, the size of what is printed, and no network."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        most = pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FLOOD_BYTES, FLOOD_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(_no_network)


def _prepare(library: str) -> None:
    if library == "torch":
        import_module("torch").set_num_threads(1)
    elif library == "jax":
        jax = import_module("jax")
        jax.config.update("jax_enable_x64", True)
        import_module("jax.numpy").zeros(1).block_until_ready()


def _load(path: str, name: str) -> Plain:
    spec = importlib.util.spec_from_file_location("code_under_test", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses and typing look a class's names up
    spec.loader.exec_module(module)
    return find(module, name)


def _flooded() -> bool:
    return os.fstat(1).st_size >= FLOOD_BYTES


def _serve(requests: Any, replies: Any, library: str) -> None:
    target = Target(print, library)
    for line in requests:
        request = json.loads(line)
        if "load" in request:
            try:
                loss = _load(request["load"], request["function"])
                target = Target(loss.call, library, request["load"])
                reply: Reply = {"parameters": [(p.name, p.kind, p.required) for p in loss.parameters]}
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the code under test raises is the finding
                reply = {"error": describe(error, request["load"])}
        else:
            reply = target.call(**request)
        replies.write(json.dumps({"flood": True} if _flooded() else reply) + "\n")
        replies.flush()


def main(arguments: Sequence[str]) -> None:
    """The child's side."""
    request_in, reply_out, library, memory = arguments
    sys.dont_write_bytecode = True
    _prepare(library)
    _limit(int(memory))
    with os.fdopen(int(request_in)) as requests, os.fdopen(int(reply_out), "w") as replies:
        replies.write("{}\n")
        replies.flush()
        _serve(requests, replies, library)


if __name__ == "__main__":
    main(sys.argv[1:])
