"""``penchant lint``: examine preference data before a step is paid for."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from penchant.cli.idle import refuse_idle
from penchant.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from penchant.doctor import Report, RuleResult
    from penchant.doctor.examine import Examiner

_MANY = Parameter(consume_multiple=True, negative="")
_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_WIDTH = 105
_REWARD_PAIRS = 200


def lint(
    data: Annotated[list[str], _MANY],
    *,
    model: str | None = None,
    reward: Annotated[bool, Parameter(negative="")] = False,
    reward_pairs: Annotated[int | None, Parameter(validator=validators.Number(gte=0))] = None,
    eval: Annotated[list[str] | None, _MANY] = None,
    fix: Path | None = None,
    fail_on: Literal["error", "warning", "never"] = "error",
    max_length: int | None = None,
    truncation: str | None = None,
    chat_template: str | None = None,
    trust_remote_code: bool | None = None,
    format: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Examine preference data: what is wrong, in which rows, and what it would do to training.

    Exit code 0 if nothing as grave as --fail-on was found, 1 if something was, 2 if the data cannot be examined.

    Parameters
    ----------
    data
        One or more files of preference pairs or labelled answers.
    model
        A folder, a .gguf file or a hub name whose tokenizer the rows are examined with too; no weights are loaded.
    reward
        Load the model's weights too, and look for swapped labels by its log-probs.
    reward_pairs
        How many pairs, from the first, --reward computes; 0 for all. [default: 200]
    eval
        Files of the evaluation set, whose prompts must not be in the data.
    fix
        Write the rows that pass to this .jsonl file, and the others with their reasons to .refused.jsonl beside it.
    fail_on
        What makes the exit code 1: error, warning (or worse), or never.
    max_length
        Most tokens of prompt and answer, as in training. [default: 1024]
    truncation
        What happens to longer rows, as in training: drop, keep_start (cut the answer) or keep_end (cut the prompt).
        [default: drop]
    chat_template
        auto (the tokenizer's, if it has one) or none (plain text). [default: auto]
    trust_remote_code
        Let code that comes with the model run.
    format
        The data's layout, if it should not be recognised from its fields.
    json
        Print the report as JSON.
    """
    from penchant.data.write import check_writable
    from penchant.doctor import Severity, examine_files, read_rows
    from penchant.doctor.fix import write_fixed

    if not data:
        raise InputError("no data is given", fix="Name one or more files")
    if fix is not None:
        check_writable(fix, "--fix")
    of_model: dict[str, object] = {"--reward": reward or None, "--trust-remote-code": trust_remote_code}
    of_model |= {"--max-length": max_length, "--truncation": truncation, "--chat-template": chat_template}
    if model is None:
        refuse_idle(of_model, "is given without --model")
    if not reward:
        refuse_idle({"--reward-pairs": reward_pairs}, "is given without --reward")
    pairs = (_REWARD_PAIRS if reward_pairs is None else reward_pairs) if reward else None
    examiners = _examiners(model, pairs, max_length, truncation, chat_template, trust_remote_code)
    held_out = read_rows(eval, format) if eval else None
    examination = examine_files(data, format, held_out=held_out, examiners=examiners)
    report = examination.report
    written = write_fixed(read_rows(data, format), examination.reasons, fix) if fix is not None else None
    if json:
        from penchant.cli.show import print_json

        counts = {} if written is None else {"passed": written[0], "left_out": written[1]}
        print_json(report.as_dict() | counts)
    else:
        print_report(report)
        if fix is not None and written is not None:
            print(_told(fix, *written))
    if fail_on != "never" and report.worst is not None and report.worst >= Severity[fail_on.upper()]:
        sys.stdout.flush()
        sys.exit(1)


def _examiners(
    model: str | None,
    pairs: int | None,
    max_length: int | None,
    truncation: str | None,
    chat_template: str | None,
    trust_remote_code: bool | None,
) -> list[Examiner]:
    """The rules that need a model; those on log-probs for ``pairs`` pairs, 0 for all and ``None`` for none."""
    if model is None:
        return []
    from penchant.cli.train import require_models

    require_models()
    from penchant.doctor.tokens import TokenExaminer
    from penchant.models import load_model, load_tokenizer
    from penchant.tokens import EncodeSettings, PromptStyle

    settings = EncodeSettings(1024 if max_length is None else max_length, truncation or "drop")
    trusted = bool(trust_remote_code)
    loaded = load_model(model, trust_remote_code=trusted) if pairs is not None else None
    tokenizer = loaded.tokenizer if loaded else load_tokenizer(model, trust_remote_code=trusted)
    tokens = TokenExaminer(PromptStyle.of(tokenizer, chat_template or "auto"), settings)
    if loaded is None or pairs is None:
        return [tokens]
    from penchant.doctor.reference import ReferenceExaminer

    return [tokens, ReferenceExaminer(loaded, tokens, pairs, on_batch=_count_up)]


def _count_up(pairs: int) -> None:
    """How far the log-probs are, on a terminal that somebody watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\rlog-probs of {pairs:,} pairs\x1b[K\r")


def _told(out: Path, passed: int, left_out: int) -> str:
    """Where the rows went."""
    from penchant.data.write import refused_path

    return f"{passed:,} rows that pass: {out}; {left_out:,} that do not, with reasons: {refused_path(out)}"


def print_report(report: Report) -> None:
    """One line on the whole, then a paragraph for each rule that found something, the gravest first."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    refused = f", {report.refused:,} of them refused" if report.refused else ""
    layouts = ", ".join(report.layouts) or "rows of no known layout"
    console.print(f"read as {layouts}, {_rows(report.rows)}{refused}", soft_wrap=True)
    for result in report.results:
        _print_result(console, result)
    console.print(f"\n{summary(report)}")


def summary(report: Report) -> str:
    """``2 errors, 1 warning, 3 notes``, counting rules, not rows."""
    from penchant.doctor import Severity

    counts = {severity.word: report.count(severity) for severity in sorted(Severity, reverse=True)}
    return ", ".join(f"{count} {word}{'s' * (count != 1)}" for word, count in counts.items())


def _print_result(console: Console, result: RuleResult) -> None:
    from rich.text import Text

    from penchant.doctor import Severity

    word = result.severity.word
    found = "" if result.count is None else f"  {_rows(result.count)} ({result.share:.1%})"
    title = (f"\n{word:<9}", _COLOURS[word]), (f"{result.rule.id}  {result.rule.title}", "bold"), found
    console.print(Text.assemble(*title), soft_wrap=True)
    lines = [result.detail] if result.detail else [f"{source}  {detail}" for source, detail in result.worst]
    if result.count is not None and result.count > len(result.worst):
        lines.append(f"and {result.count - len(result.worst):,} more")
    if result.severity > Severity.NOTE:
        for words in (f"why: {result.rule.why}", f"do:  {result.rule.remedy}"):
            lines += textwrap.wrap(words, _WIDTH, subsequent_indent="     ")
    for line in lines:
        console.print(Text(f"         {line}"), soft_wrap=True)


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"
