"""``penchant report``: run folders as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def report(
    *runs: Annotated[Path, Parameter(name="RUN")],
    output: Path | None = None,
    comparison: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative="")] = None,
) -> None:
    """Write one self-contained HTML file about a training run, or about several side by side.

    It reads the run folders alone: no model, no data, no torch. A run that is still going can be reported on.

    Parameters
    ----------
    runs
        Run folders: what --output-dir named.
    output
        The file. [default: report.html in the run folder]
    comparison
        Folders that "penchant compare" wrote; a run folder's own (RUN or RUN/compare) is found without this.
    """
    from penchant.report import write_report

    print(write_report(runs, output, comparison or ()))
