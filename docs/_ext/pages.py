"""Pages that are written when the site is built: one per method from the catalogue, one per command from its own help."""

from __future__ import annotations

import re
from pathlib import Path

import curves
import drawing
from sphinx.application import Sphinx

from penchant.cli import app as commands
from penchant.objectives import METHODS, Method
from penchant.whiteboard import explain

MORE = {
    "check": ("check", "How it decides, and how often it is right"),
    "lint": ("doctor", "Every rule, with its reason and remedy"),
    "evaluate": ("evaluation", "What is measured, and how sure it is"),
    "logps": ("references", "Reference log-probs, computed once"),
    "score": ("score", "Columns, statistics and speed"),
    "methods": ("methods", "How to choose among them"),
    "explain": ("methods", "The same pages on this site"),
    "train": ("start", "A first run, step by step"),
    "demo": ("start", "What it does and what came out"),
}
"""Command -> the page that says more."""


def method_page(method: Method) -> str:
    """A method as a page: the words of `penchant explain`, its curve, its command and its function."""
    picture, caption = curves.draw(method)
    text = explain.as_markdown(explain.explain(method.name), method.name)
    curve = f"## Loss and gradient\n\n```{{raw}} html\n{picture}\n```\n\n{caption}\n\n"
    text = text.replace("## Symbols", curve + "## Symbols", 1)
    first = next(other for other in METHODS.values() if other.loss is method.loss)
    index = "" if first is method else "   :no-index:\n"
    function = f"{method.loss.__module__}.{method.loss.__name__}"
    return (
        f"{text}\n## From the command line\n\n```console\n$ penchant train --model MODEL --data DATA --method {method.name}\n"
        f"$ penchant explain {method.name}\n```\n\n"
        f"## The function\n\n```{{eval-rst}}\n.. autofunction:: {function}\n{index}```\n"
    )


def command_page(name: str) -> str:
    """A command's page: its own help, as the command line has it."""
    text: str = commands[name].generate_docs(output_format="markdown", usage_name=f"penchant {name}")
    text = re.sub(r"\n\* `--\[KEYWORD\] STR`:.*", "", text)
    text = re.sub(r"^(penchant \S+) -m \S+ ", r"\1 ", text, flags=re.MULTILINE)  # of "python -m sphinx", if it runs so
    _, _, body = text.partition("\n")
    page = f"# penchant {name}\n{body}"
    if name in MORE:
        target, words = MORE[name]
        page += f"\n[{words}](../{target}.md).\n"
    return page


def command_names() -> list[str]:
    """The commands in the order of the help."""
    return [name for name in commands if not name.startswith("-")]


def write_pages(app: Sphinx) -> None:
    """Write both kinds of pages beside the others; a page that has not changed keeps its time."""
    docs = Path(app.srcdir)
    wanted = {docs / "methods" / f"{name}.md": method_page(method) for name, method in METHODS.items()}
    wanted |= {docs / "commands" / f"{name}.md": command_page(name) for name in command_names()}
    for folder in ("methods", "commands"):
        (docs / folder).mkdir(exist_ok=True)
        for left in set((docs / folder).glob("*.md")) - set(wanted):
            left.unlink()
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def read_source(app: Sphinx, name: str, source: list[str]) -> None:
    """On the site, a method's name on the page that chooses among them leads to its page; figures stand in theirs."""
    if name == "methods":
        source[0] = re.sub(r"`(\w+)`|(?<=^\| )\*\*(\w+)\*\*", _linked, source[0], flags=re.M)
    if name == "reproductions":
        source[0] = re.sub(
            r"!\[(.*?)\]\((\S+\.svg)\)", lambda found: _inside(Path(app.srcdir), *found.groups()), source[0]
        )


def _inside(docs: Path, title: str, path: str) -> str:
    """A figure in the page itself, where it takes the page's colours."""
    picture = drawing.inline((docs / path).read_text(encoding="utf-8"), title)
    return f"```{{raw}} html\n{picture}\n```"


def _linked(found: re.Match[str]) -> str:
    name = found[1] or found[2]
    return f"[{found[0]}](methods/{name}.md)" if name in METHODS else found[0]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write_pages)
    app.connect("source-read", read_source)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
