"""``penchant evaluate``: what checkpoints make of held-out pairs, and whether they differ."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from penchant.cli.idle import refuse_idle
from penchant.errors import InputError

if TYPE_CHECKING:
    from penchant.evaluation.pairs import CheckpointResult, PairedTest
    from penchant.evaluation.statistics import Estimate, Share

_MANY = Parameter(consume_multiple=True, negative="")


def evaluate(
    *,
    model: Annotated[list[str] | None, _MANY] = None,
    data: Annotated[list[str] | None, _MANY] = None,
    table: Annotated[list[str] | None, _MANY] = None,
    store: str | None = None,
    reference: str | None = None,
    method: str | None = None,
    beta: float | None = None,
    length_normalize: bool | None = None,
    kl: bool | None = None,
    max_length: int | None = None,
    truncation: str | None = None,
    chat_template: str | None = None,
    dtype: str | None = None,
    format: str | None = None,
    trust_remote_code: bool | None = None,
    json: bool = False,
) -> None:
    """Measure reward accuracy, margins, calibration and KL on held-out pairs, each with a 95 % interval.

    With several checkpoints each is tested against the first on the same pairs.

    Parameters
    ----------
    model
        One or more checkpoints: folders, adapters, .gguf files or hub names.
    data
        Files of held-out preference pairs.
    table
        Tables of log-probs instead of models and data, one for each checkpoint (see "penchant score").
    store
        Take the log-probs from this store of "penchant logps" instead of computing them; no weights are loaded.
    reference
        The reference model. [default: the base of the adapters]
    method
        Whose implicit reward is measured; a method without reference needs none. [default: that of the checkpoints' run
        folders with its constants, else dpo]
    beta
        Its beta. [default: the method's]
    length_normalize
        Measure rewards per token. [default: as the run folders were trained]
    kl
        Compute the KL to the reference over the whole vocabulary (keeps two models in memory). [default: yes]
    max_length
        Most tokens of prompt and answer. [default: 1024]
    truncation
        What happens to longer rows: drop, keep_start (cut the answer) or keep_end (cut the prompt).
        [default: drop]
    chat_template
        auto (the tokenizer's, if it has one) or none (plain text). [default: auto]
    dtype
        Type of the weights: float32, bfloat16, float16 or float64. [default: float32]
    format
        The data's layout, if it should not be recognised from its fields.
    trust_remote_code
        Let code that comes with a model run.
    json
        Print the numbers as JSON.
    """
    from penchant.evaluation.pairs import evaluate_rewards, paired_test
    from penchant.evaluation.whose_reward import whose_reward

    say: Any = (lambda line: None) if json else print
    wanted: dict[str, Any] = {"method": method, "beta": beta, "length_normalize": length_normalize}
    chosen, constants = whose_reward(model or [], say=say, **wanted)
    given: dict[str, Any] = {"method": chosen, "constants": constants}
    sources = {"model": model, "data": data, "reference": reference, "store": store}
    settings = {"max_length": max_length, "truncation": truncation, "chat_template": chat_template, "dtype": dtype}
    settings |= {"kl": kl, "trust_remote_code": trust_remote_code}
    if table:
        _check_unused(sources | settings | {"format": format})
        rewards, held_out = _of_tables(table, given)
    else:
        settings = {name: value for name, value in settings.items() if value is not None}
        rewards, held_out = _of_models(sources, given | {"format": format, "say": say}, settings)
    results = [evaluate_rewards(one, held_out) for one in rewards]
    tests = [paired_test(rewards[0], other, held_out.prompts) for other in rewards[1:]]
    if json:
        _print_numbers({"method": chosen.name, "constants": constants}, results, tests)
        return
    for result in results:
        _show(result)
    for test in tests:
        _show_test(test)


def _check_unused(options: dict[str, Any]) -> None:
    """See that nothing is given that says nothing of a table."""
    for name, value in options.items():
        if value is not None and value != []:
            option = f"--{'no-' if value is False else ''}{name.replace('_', '-')}"
            raise InputError(f"{option} and --table are both given", fix="A table holds the log-probs already")


def _of_tables(table: list[str], given: dict[str, Any]) -> tuple[Any, Any]:
    """Rewards of the pairs in tables of log-probs, and the pairs; remarks on the tables go to standard error."""
    from penchant.evaluation.from_tables import evaluate_tables

    return evaluate_tables(table, **given, say=lambda line: print(f"remark: {line}", file=sys.stderr))


def _of_models(sources: dict[str, Any], given: dict[str, Any], settings: dict[str, Any]) -> tuple[Any, Any]:
    """Rewards of the pairs in files, computed or from a store, and the pairs."""
    model, data, reference, store = sources.values()
    for name in ("model", "data"):
        if not sources[name]:
            raise InputError(f"--{name} is missing", fix="Give --model and --data, or --table")
    from penchant.cli.train import require_models

    require_models()
    from penchant.evaluation.checkpoints import EvaluateSettings, evaluate_models
    from penchant.evaluation.from_store import evaluate_stored

    if store:
        known = {"--dtype": settings.get("dtype"), "--kl": settings.get("kl")}
        refuse_idle(known, "and --store are both given", "A store holds sums of log-probs, computed already")
    given |= {"reference": reference, "settings": EvaluateSettings(**settings)}
    return evaluate_stored(model, data, store, **given) if store else evaluate_models(model, data, **given)


def _print_numbers(head: dict[str, Any], results: list[CheckpointResult], tests: list[PairedTest]) -> None:
    import dataclasses

    from penchant.cli.show import print_json

    shown = head | {"checkpoints": [dataclasses.asdict(one) for one in results]}
    print_json(shown | {"paired_tests": [dataclasses.asdict(one) for one in tests]})


def _show(result: CheckpointResult) -> None:
    from math import isnan

    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"\n{result.name}: {result.pairs:,} pairs of {result.prompts:,} prompts, {result.ties:,} ties")
    table = Table("", "value", "95 % interval")
    calibration = result.calibration
    parts: dict[str, Share | Estimate | float | None] = {
        "reward accuracy": result.accuracy,
        "reward margin": result.margins,
        "reward, chosen": result.rewards_chosen,
        "reward, rejected": result.rewards_rejected,
        "calibration error": calibration.error,
        "calibration error by chance alone": calibration.error_by_chance,
        "Brier score (coin: 0.25)": calibration.brier,
        "log loss (coin: 0.693)": calibration.log_loss,
        "KL to the reference, nats per token": result.kl,
    }
    for name, part in parts.items():
        if isinstance(part, float):
            table.add_row(name, f"{part:.4g}", "-")
        elif part is not None:
            interval = "too few prompts" if isnan(part.low) else f"{part.low:.4g} to {part.high:.4g}"
            table.add_row(name, f"{part.value:.4g}", interval)
    console.print(table)
    for title, groups in result.groups.items():
        if len(groups) < 2:
            continue
        table = Table(title, "pairs", "accuracy", "margin")
        for name, group in groups.items():
            table.add_row(name, f"{group.accuracy.n:,}", str(group.accuracy), str(group.margins))
        console.print(table)


def _show_test(test: PairedTest) -> None:
    print(
        f"\n{test.second} against {test.first}: {test.verdict}\n"
        f"  accuracy {_signed(test.difference, '.1f', 100)}; {test.how}; "
        f"{test.only_second} pairs right only here, {test.only_first} only there\n"
        f"  margin {_signed(test.margin_difference, '.4g')}"
    )


def _signed(difference: Estimate, form: str, scale: float = 1.0) -> str:
    """A difference with its interval; in points where the scale is 100."""
    from math import isnan

    value, low, high = (f"{scale * one:+{form}}" for one in (difference.value, difference.low, difference.high))
    unit = " points" if scale == 100 else ""
    return f"{value}{unit} [{'one prompt alone gives no interval' if isnan(difference.low) else f'{low}, {high}'}]"
