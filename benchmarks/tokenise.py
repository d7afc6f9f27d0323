"""Text pairs to token rows: penchant beside TRL's own preparation (DPOTrainer._prepare_dataset), on the same rows.

Run: python benchmarks/tokenise.py --model MODEL --data PAIRS [--rows 2000] [--output benchmarks/results/tokenise.json]

Both sides have the same tokenizer and the same threads; they take turns, and TRL writes to a cache that is
emptied each time, as on a first run. The rows are the data's, repeated with a number before each prompt.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from penchant.data import read_preferences
from penchant.models import load_tokenizer
from penchant.records import PreferencePair
from penchant.tokens import EncodeSettings, PromptStyle, TokenCache, encode_pairs, tokenise

SETTINGS = EncodeSettings(1024, "keep_start")
REPEATS = 3


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


def prepared_by_trl(rows: list[PreferencePair], tokenizer: Any) -> Any:
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
    options = SimpleNamespace(dataset_num_proc=None, max_length=SETTINGS.max_length, truncation_mode="keep_start")
    dataset = Dataset.from_list(said)
    start = time.perf_counter()
    DPOTrainer._prepare_dataset(trainer, dataset, tokenizer, options, "train")
    return time.perf_counter() - start


def timed(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def check_row_by_row(rows: list[PreferencePair], style: PromptStyle) -> None:
    """Tokens of a batch are those of each row alone."""
    prompts = [style.render(row.prompt, row.source) for row in rows]
    answers = [(row.chosen, row.rejected) for row in rows]
    alone = [tokenise([prompt], [both], style)[0] for prompt, both in zip(prompts, answers, strict=True)]
    assert tokenise(prompts, answers, style) == alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    import datasets

    datasets.disable_caching()
    datasets.disable_progress_bars()
    tokenizer = load_tokenizer(options.model)
    style, rows = PromptStyle.of(tokenizer, "auto"), pairs_of(options.data, options.rows)
    check_row_by_row(rows[:300], style)
    taken: dict[str, list[float]] = {"trl": [], "penchant": [], "cached": []}
    with tempfile.TemporaryDirectory() as folder:
        cache = TokenCache(Path(folder))
        encode_pairs(rows, style, SETTINGS, cache)
        for _ in range(REPEATS):
            taken["trl"].append(prepared_by_trl(rows, tokenizer))
            taken["penchant"].append(timed(lambda: encode_pairs(rows, style, SETTINGS)))
            taken["cached"].append(timed(lambda: encode_pairs(rows, style, SETTINGS, cache)))
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    result = {
        "rows": options.rows,
        "python": platform.python_version(),
        "seconds": {name: [round(one, 3) for one in seconds] for name, seconds in taken.items()},
        "rows_per_second": {name: round(options.rows / seconds) for name, seconds in medians.items()},
        "trl_over_penchant": round(medians["trl"] / medians["penchant"], 2),
        "trl_over_cached": round(medians["trl"] / medians["cached"], 2),
    }
    print(json.dumps(result, indent=2))
    if options.output:
        options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
