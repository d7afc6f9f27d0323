"""``penchant compare``: which of two models' answers a judge prefers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from penchant.cli.idle import refuse_idle
from penchant.cli.judge import JudgeOptions, progress, verdict_lines
from penchant.errors import InputError

if TYPE_CHECKING:
    from penchant.evaluation.answers import Answered
    from penchant.evaluation.comparison import Comparison, Match
    from penchant.evaluation.length_controlled import LengthControlled
    from penchant.evaluation.statistics import Estimate, Share

_FILES = (".jsonl", ".ndjson", ".json", ".parquet")
_TABLES = (".csv", ".tsv", ".txt", ".xlsx")
_SHOWN = 600
_DRAWING: Mapping[str, Any] = MappingProxyType(
    {"samples": 1, "max_new_tokens": 256, "temperature": 0.7, "seed": 0, "batch_size": 32}
)


def compare(
    first: str,
    second: str,
    *,
    options: JudgeOptions,
    prompts: Path | None = None,
    output: Path = Path("runs/compare"),
    samples: int | None = None,
    max_new_tokens: int | None = None,
    temperature: float | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
    json: bool = False,
) -> None:
    """Win rate of one model over another, with its interval and at equal answer lengths.

    Models are sampled first, into the output folder; called again after a kill, it goes on.

    Parameters
    ----------
    first
        A file of answers, or a model: a run folder, an adapter, a .gguf file or a hub name.
    second
        What it is compared with.
    prompts
        A file of prompts; needed for a model, and otherwise what the comparison is limited to.
    output
        A folder for sampled answers, every match, and the numbers.
    samples
        Answers per prompt that a model gives. [default: 1]
    max_new_tokens
        Where a model's answer that does not end is cut. [default: 256]
    temperature
        Of the sampling; 0 takes the most probable token. [default: 0.7]
    seed
        Fixes the answers. [default: 0]
    batch_size
        Answers drawn at once. [default: 32]
    json
        Print the numbers as JSON.
    """
    from penchant.cli.show import as_json
    from penchant.evaluation.compare import compare_answers
    from penchant.evaluation.comparison import MATCHES, NUMBERS
    from penchant.evaluation.judge import write_rows

    if first == second:
        raise InputError("both sides are the same", got=first, fix="Give two files or models")
    if output.exists() and not output.is_dir():
        raise InputError("the output is a folder, and a file is there", where=str(output), fix="Give another --output")
    models = [name for name in (first, second) if not _is_file(name)]
    judge, cache = options.open(samples=bool(models))
    given = {"samples": samples, "max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed}
    given |= {"batch_size": batch_size}
    if not models:
        words = {f"--{name.replace('_', '-')}": value for name, value in given.items()}
        refuse_idle(words, "is given, and both sides are files of answers", "Leave it out, or name a model")
    drawing = dict(_DRAWING) | {name: value for name, value in given.items() if value is not None}
    drawing["chat_template"] = options.chat_template
    one = _answers(first, prompts, output / "first.jsonl", drawing, options, quiet=json)
    other = _answers(second, prompts, output / "second.jsonl", drawing, options, quiet=json)
    result, found = compare_answers(
        judge, (first, second), one, other, cache, again=options.again, on_reply=progress(quiet=json)
    )
    output.mkdir(parents=True, exist_ok=True)
    write_rows(output / MATCHES, map(_row, found))
    numbers = as_json(result)
    (output / NUMBERS).write_text(numbers + "\n", encoding="utf-8")
    if json:
        print(numbers)
    else:
        _show(result, found, output)


def _answers(
    name: str, prompts: Path | None, path: Path, drawing: Mapping[str, Any], options: JudgeOptions, *, quiet: bool
) -> Mapping[str, Answered]:
    """The answers in a file, or the ones that a model gives; of the given prompts alone."""
    from penchant.evaluation.answers import read_answers
    from penchant.evaluation.prompts import prompt_key, read_prompts

    asked = read_prompts(prompts) if prompts is not None else None
    if _is_file(name):
        found = read_answers([name])
    elif asked is None:
        raise InputError("a model needs prompts to answer", got=name, fix="Give --prompts, or a file of answers")
    else:
        from penchant.cli.train import require_models

        require_models()
        from penchant.evaluation.sampling import SampleSettings, sample_to_file
        from penchant.models import load_model

        loaded = load_model(name, dtype=options.dtype, trust_remote_code=options.trust_remote_code)
        tell = (lambda done, total: None) if quiet else _sampled(name)
        result = sample_to_file(loaded, asked, path, SampleSettings(**drawing), on_batch=tell)
        if result.too_long and not quiet:
            print(f"left out   {len(result.too_long)} prompts too long for sampling ({result.too_long[0]})")
        found = read_answers([path])
    if asked is None:
        return found
    wanted = {prompt_key(prompt) for prompt in asked.prompts}
    return {key: one for key, one in found.items() if key in wanted}


def _is_file(name: str) -> bool:
    """Whether this side is a file of answers, and not a model."""
    suffix = Path(name).suffix.lower()
    if suffix in _TABLES:
        fix = f"Give a file that ends in {', '.join(_FILES)}, or a model"
        raise InputError(f"answers are not read from {suffix} files", where=name, fix=fix)
    return suffix in _FILES


def _sampled(name: str) -> Any:
    return lambda done, total: print(f"           {name}: {done} of {total} answers", flush=True)


def _row(match: Match) -> dict[str, Any]:
    from penchant.evaluation.prompts import plain

    verdict = {"orders": match.orders} if match.orders else {"scores": match.scores}
    row = {"prompt": plain(match.prompt), "first": match.first, "second": match.second, "preference": match.preference}
    return row | verdict


def _show(result: Comparison, found: list[Match], output: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from penchant.report.text import counted

    console = Console(highlight=False, markup=False, soft_wrap=True)
    pairs, prompts = counted(result.coverage.pairs, "pair"), counted(result.coverage.prompts, "prompt")
    console.print(f"{pairs} of answers to {prompts}; judge: {result.judge}")
    for line in _left_out(result):
        console.print(line)
    table = Table("", result.first, result.second)
    table.add_row("wins", f"{result.wins:,}", f"{result.losses:,}")
    controlled = result.length_controlled
    for name, share in (("win rate", result.win_rate), ("at equal lengths", _share(controlled))):
        if share is not None:
            table.add_row(name, _with_interval(share, ".1%"), f"{1 - share.value:.1%}")
    for unit in ("characters", "words"):
        sizes = [getattr(one, unit) for one in result.lengths]
        table.add_row(f"{unit} per answer", *(_with_interval(one, ".0f") for one in sizes))
    console.print(table)
    console.print(f"{result.ties:,} ties count as half; intervals are 95 %")
    if isinstance(controlled, str):
        console.print(f"no win rate at equal lengths: {controlled}")
    for line in verdict_lines(result):
        console.print(line)
    console.print(f"\n{result.verdict}")
    _show_examples(console, found, result)
    console.print(f"\nsaved      {output}/comparison.json and every match in {output}/matches.jsonl")


def _share(controlled: LengthControlled | str) -> Share | None:
    return None if isinstance(controlled, str) else controlled.win_rate


def _left_out(result: Comparison) -> list[str]:
    coverage = result.coverage
    counts = {
        f"prompts that only {result.first} answers": coverage.only_first,
        f"prompts that only {result.second} answers": coverage.only_second,
        "answers without a counterpart": coverage.uneven,
        "pairs without a verdict": coverage.faults,
    }
    lines = [f"left out: {count:,} {what}" for what, count in counts.items() if count]
    return [*lines, f"{coverage.identical:,} pairs of equal answers are ties"] if coverage.identical else lines


def _with_interval(one: Share | Estimate, form: str) -> str:
    from math import isnan

    interval = "too few prompts for an interval" if isnan(one.low) else f"{one.low:{form}}, {one.high:{form}}"
    return f"{one.value:{form}} [{interval}]"


def _show_examples(console: Any, found: list[Match], result: Comparison) -> None:
    from rich.table import Table
    from rich.text import Text

    from penchant.evaluation.comparison import examples

    for name, chosen in zip((result.first, result.second), examples(found), strict=True):
        for match in chosen[:1]:
            prompt = match.prompt if isinstance(match.prompt, str) else match.prompt[-1]["content"]
            console.print(f"\n{name} preferred ({match.preference:.2f} for {result.first}): {_cut(prompt, 200)}")
            table = Table(result.first, result.second)
            table.add_row(Text(_cut(match.first, _SHOWN)), Text(_cut(match.second, _SHOWN)))
            console.print(table, soft_wrap=False)


def _cut(text: str, limit: int) -> str:
    """The beginning of a text, without characters that would move the cursor or the order of what follows."""
    kept = "".join(one if one.isprintable() or one == "\n" else "\ufffd" for one in text[:limit])
    return kept + ("…" if len(text) > limit else "")
