"""The commands and their order in the help."""

from __future__ import annotations

from cyclopts import App

import penchant
from penchant.cli.check import check
from penchant.cli.compare import compare
from penchant.cli.convert import convert
from penchant.cli.demo import demo
from penchant.cli.evaluate import evaluate
from penchant.cli.explain import explain
from penchant.cli.judge import judge
from penchant.cli.lint import lint
from penchant.cli.logps import logps
from penchant.cli.merge import merge
from penchant.cli.methods import methods
from penchant.cli.plan import plan
from penchant.cli.practice import practice
from penchant.cli.report import report
from penchant.cli.sample import sample
from penchant.cli.score import score
from penchant.cli.show_rows import show
from penchant.cli.train import train

app = App(
    name="penchant",
    help="Direct preference optimisation of language models.",
    version=penchant.__version__,
    version_flags=["--version"],
)
for command in (
    *(train, plan, report, lint, show, convert, evaluate, sample, judge, compare, score, logps, merge),
    *(methods, explain, check, practice, demo),
):
    app.command(command)
