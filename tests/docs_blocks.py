"""The code blocks of README.md and docs/ run as tests, block by block, in a folder that holds what they name.

A `python` block runs as it stands; the blocks of a page share their names. In a `console` block every line after `$ `
is a command: `penchant` runs in this process and must end with 0, unless `echo $?` stands below it. Lines without `$
` must be in what the command above them prints; `...` stands for anything. Other programs are not run: targets of
make, extras of pip and modules are looked up instead. A block of shell that is not to be tried is `text`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sybil import Document, Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).parents[1]
OWN_TESTS = ("docs/pitfalls.md",)
"""Pages whose examples a test of their own runs, section by section."""


def run_console(example: Example) -> None:
    """Run a console block's commands in order.

    Raises:
        AssertionError: if a command ends otherwise than the page says, or does not print what it says.
    """
    code, command, expected = 0, "", []
    for line in [*joined(example.parsed), "$ true"]:
        if not line.startswith("$ "):
            expected += [line.strip()]
            continue
        if command:
            following = shlex.split(line[2:], comments=True)
            code = run_command(command, expected, code, allowed=following[:1] == ["echo"])
        command, expected = line[2:], []


def joined(text: str) -> list[str]:
    """Lines of a block, those that end in a backslash with the next."""
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def run_command(command: str, expected: list[str], last: int, allowed: bool) -> int:
    program, *arguments = shlex.split(command, comments=True)
    output = io.StringIO()
    if program == "penchant":
        code = call(arguments, output)
        assert allowed or code == 0, f"{command}: exit code {code}\n{output.getvalue()}"
    elif program == "echo":
        code = last
        output.write(f"{last}\n")
    else:
        code = 0
        look_up(program, arguments)
    for wanted in expected:
        pattern = ".*".join(re.escape(part) for part in wanted.split("..."))
        assert re.search(pattern, output.getvalue()), f"{command}: no {wanted!r} in\n{output.getvalue()}"
    return code


def call(arguments: list[str], output: io.StringIO) -> int:
    """The command line in this process: its exit code; both streams go to ``output``."""
    from penchant.cli import main

    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            main(arguments)
        except SystemExit as ending:
            return int(ending.code or 0)
    return 0


def look_up(program: str, arguments: list[str]) -> None:
    """See that a program which is not run is asked for something that exists."""
    if program == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert all(re.search(rf"^{target}:", makefile, flags=re.M) for target in arguments), arguments
    elif program in ("accelerate", "torchrun"):
        from penchant.training.config import PreferenceConfig

        known = {field.name for field in dataclasses.fields(PreferenceConfig)} | {"data", "model"}
        own = [word[2:].replace("-", "_") for word in arguments[arguments.index("penchant") :] if word.startswith("--")]
        assert set(own) <= known, own
    elif Path(program).name in ("pip", "penchant", "python3", "python", "sh"):
        extras = re.findall(r"\[(\w+)\]", " ".join(arguments))
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        assert all(re.search(rf"^{extra} = \[", project, flags=re.M) for extra in extras), extras
        scripts = [ROOT / word for word in arguments if word.endswith((".py", ".sh"))]
        assert all(script.exists() for script in scripts), scripts
    else:
        assert program == "true", f"nothing is known of {program!r}; use a text block"


@functools.cache
def supplies() -> Path:
    """A folder with the files that the pages name: data in every layout, a random model, a table, losses by hand."""
    from docs_support import write_supplies

    return write_supplies(Path(tempfile.mkdtemp(prefix="penchant-docs-")))


def set_up(namespace: dict[str, Any]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="penchant-page-"))
    shutil.copytree(supplies(), folder, dirs_exist_ok=True)
    namespace["_back"] = (folder, Path.cwd())
    os.chdir(folder)
    sys.path.insert(0, str(folder))


def tear_down(namespace: dict[str, Any]) -> None:
    folder, before = namespace["_back"]
    os.chdir(before)
    sys.path.remove(str(folder))
    shutil.rmtree(folder)


def pages() -> Iterator[str]:
    yield "README.md"
    for path in sorted((ROOT / "docs").glob("*.md")):
        name = path.relative_to(ROOT).as_posix()
        if name not in OWN_TESTS:
            yield name


def run_python(example: Example) -> None:
    """Run a Python block, its printed text kept back; one that begins with a file's name is written to it, too."""
    named = re.match(r"# (\w+\.py)\n", example.parsed)
    if named:
        Path(named[1]).write_text(example.parsed, encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()):
        PythonEvaluator()(example)


pytest_collect_file = Sybil(
    parsers=[
        CodeBlockParser(language="python", evaluator=run_python),
        CodeBlockParser(language="console", evaluator=run_console),
    ],
    patterns=list(pages()),
    path=str(ROOT),
    setup=set_up,
    teardown=tear_down,
    document_types={".md": Document},
).pytest()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The blocks of a page share a folder and names, so they go to one process."""
    from xdist.scheduler import LoadGroupScheduling

    class Pages(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            page, is_page, _ = nodeid.partition(".md::")
            return page if is_page else super()._split_scope(nodeid)

    return Pages(config, log)
