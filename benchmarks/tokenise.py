"""Text pairs to token rows: penchant beside TRL's own preparation (DPOTrainer._prepare_dataset), on the same rows.

Run: python benchmarks/tokenise.py --model MODEL --data PAIRS [--rows 2000] [--output benchmarks/results/tokenise.json]

They take turns in one process; TRL writes to a cache that is emptied each time, as on a first run, and is measured with
two processes of its own too. The rows are the data's, repeated with a number before each prompt; words that penchant
remembers are forgotten before each turn. What the library's own ``encode_batch`` takes in place of remembered words is
measured beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from penchant.data import read_preferences
from penchant.models import load_tokenizer
from penchant.records import PreferencePair
from penchant.tokens import EncodeSettings, PromptStyle, TokenCache, encode_pairs, tokenise, words

SETTINGS = EncodeSettings(1024, "keep_start")


def pairs_of(data: str, count: int) -> list[PreferencePair]:
    """So many pairs with prompts as messages, none twice."""
    found = read_preferences(data, unpaired=False).rows
    rows = []
    for number in range(count):
        row = found[number % len(found)]
        turns = [{"role": "user", "content": row.prompt}] if isinstance(row.prompt, str) else list(row.prompt)
        turns[-1] = {**turns[-1], "content": f"({number}) {turns[-1]['content']}"}
        rows.append(PreferencePair(tuple(turns), row.chosen, row.rejected, f"row {number}"))
    return rows


def prepared_by_trl(rows: list[PreferencePair], tokenizer: Any, processes: int | None = None) -> float:
    """TRL's own preparation, of a trainer that is nothing but its tokenizer."""
    from datasets import Dataset
    from trl import DPOTrainer

    said = [
        {
            "prompt": list(row.prompt),
            "chosen": [{"role": "assistant", "content": row.chosen}],
            "rejected": [{"role": "assistant", "content": row.rejected}],
        }
        for row in rows
    ]
    trainer = SimpleNamespace(_tokenizer=tokenizer, _is_vlm=False)
    config = SimpleNamespace(dataset_num_proc=processes, max_length=SETTINGS.max_length, truncation_mode="keep_start")
    dataset = Dataset.from_list(said)
    start = time.perf_counter()
    DPOTrainer._prepare_dataset(trainer, dataset, tokenizer, config, "train")
    return time.perf_counter() - start


def prepared_here(rows: list[PreferencePair], style: PromptStyle, cache: TokenCache | None = None) -> float:
    words._KEPT.clear()
    start = time.perf_counter()
    encode_pairs(rows, style, SETTINGS, cache)
    return time.perf_counter() - start


def by_the_library(rows: list[PreferencePair], style: PromptStyle) -> float:
    """The same with every text given to the tokenizer."""
    with mock.patch.object(words, "_words_of", lambda tokenizer, texts: None):
        return prepared_here(rows, style)


def rendered(rows: list[PreferencePair], style: PromptStyle) -> float:
    start = time.perf_counter()
    for row in rows:
        style.render(row.prompt, row.source)
    return time.perf_counter() - start


def check_row_by_row(rows: list[PreferencePair], style: PromptStyle) -> None:
    """Tokens of a batch are those of each row alone, which the tokenizer itself is asked for."""
    prompts = [style.render(row.prompt, row.source) for row in rows]
    answers = [(row.chosen, row.rejected) for row in rows]
    alone = [tokenise([prompt], [both], style)[0] for prompt, both in zip(prompts, answers, strict=True)]
    assert not words._KEPT, "row by row no words are remembered"
    assert tokenise(prompts, answers, style) == alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    import datasets

    datasets.disable_caching()
    datasets.disable_progress_bars()
    tokenizer = load_tokenizer(options.model)
    style, rows = PromptStyle.of(tokenizer, "auto"), pairs_of(options.data, options.rows)
    check_row_by_row(rows[:300], style)
    with tempfile.TemporaryDirectory() as folder:
        cache = TokenCache(Path(folder))
        encode_pairs(rows, style, SETTINGS, cache)
        sides: dict[str, Callable[[], float]] = {
            "penchant": lambda: prepared_here(rows, style),
            "trl": lambda: prepared_by_trl(rows, tokenizer),
            "trl_two_processes": lambda: prepared_by_trl(rows, tokenizer, 2),
            "penchant_cached": lambda: prepared_here(rows, style, cache),
            "penchant_rendering_alone": lambda: rendered(rows, style),
            "penchant_by_encode_batch": lambda: by_the_library(rows, style),
        }
        taken: dict[str, list[float]] = {name: [] for name in sides}
        processor: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(options.repeats):
            for name, side in sides.items():
                before = os.times()
                taken[name].append(side())
                processor[name].append(sum(os.times()[:4]) - sum(before[:4]))
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    names = ("penchant", "trl", "trl_two_processes", "penchant_cached", "penchant_by_encode_batch")
    result = {
        "rows": options.rows,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("trl", "transformers", "tokenizers")},
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(load, 1),
        "seconds": {name: [round(one, 3) for one in seconds] for name, seconds in taken.items()},
        "processor_seconds": {name: [round(one, 2) for one in used] for name, used in processor.items()},
        "rows_per_second": {name: round(options.rows / medians[name]) for name in names},
        "trl_over": {name: round(medians["trl"] / medians[name], 2) for name in names},
        "trl_over_in_processor_time": {
            name: round(statistics.median(processor["trl"]) / statistics.median(processor[name]), 2) for name in names
        },
    }
    print(json.dumps(result, indent=2))
    if options.output:
        options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
