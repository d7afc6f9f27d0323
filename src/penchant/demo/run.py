"""``penchant demo``: sample answers, tune the model on preference pairs, sample again, compare by the same rule."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from penchant.demo.assets import PAIRS, held_out_questions, smollm2_path
from penchant.evaluation import Answer, Share, is_complete, preference, sample_answers, wilson, words
from penchant.models import LoadedModel, load_model
from penchant.report import record, write_report
from penchant.training import TrainResult, train
from penchant.training.precision import fast_float32
from penchant.training.run_folder import check_free

SETTINGS: dict[str, Any] = {
    "method": "dpo",
    "beta": 0.1,
    "learning_rate": 7e-5,
    "batch_size": 8,
    "max_steps": 20,
    "eval_split": 0.1,
    "max_length": 512,
}
MAX_NEW_TOKENS = 128
TEMPERATURE = 0.7
SEED = 7
REPORTED = 12


@dataclass(frozen=True, slots=True)
class Comparison:
    """Before against after on the held-out questions."""

    questions: list[str]
    before: list[Answer]
    after: list[Answer]

    @property
    def wins(self) -> Share:
        """Share of questions whose answer after is preferred to the one before; ties count half."""
        return wilson([preference(after, before) for before, after in zip(self.before, self.after, strict=True)])


def run_demo(output_dir: str) -> Comparison:
    """Run the demo, print the comparison, and leave it in the run folder.

    Raises:
        InputError: if the model is not installed or the folder already holds a run.
    """
    console, start = Console(), time.monotonic()
    folder = Path(output_dir)
    check_free(folder, resume=False)
    questions = held_out_questions()
    console.print(
        "[bold]penchant demo[/]: teach a small model to answer concisely, with DPO on pairs of its own answers\n"
    )
    loaded = load_model(smollm2_path())
    before = _answers(console, "before", loaded, questions)
    result = train(model=loaded, data=str(PAIRS), output_dir=folder, console=console, **SETTINGS)
    tuned = result.model.merge_and_unload()
    after = _answers(console, "after", LoadedModel(tuned, loaded.tokenizer, "tuned", str(folder)), questions)
    comparison = Comparison(questions, before, after)
    _write(folder, comparison, result)
    _show(console, comparison, result)
    console.print(f"report     {write_report([folder])}", highlight=False, soft_wrap=True)
    console.print(f"\nrun folder: {folder} ({time.monotonic() - start:.0f} s in all)", highlight=False)
    return comparison


def _answers(console: Console, when: str, loaded: LoadedModel, questions: Sequence[str]) -> list[Answer]:
    with console.status(f"sampling answers to {len(questions)} held-out questions, {when} training"), fast_float32():
        answers: list[Answer] = sample_answers(
            loaded.model,
            loaded.tokenizer,
            questions,
            max_new_tokens=MAX_NEW_TOKENS,
            temperature=TEMPERATURE,
            seed=SEED,
            batch_size=len(questions),
        )
    complete = sum(map(is_complete, answers))
    console.print(f"{when:<10} {complete} of {len(questions)} held-out answers are complete", highlight=False)
    return answers


def _show(console: Console, comparison: Comparison, result: TrainResult) -> None:
    table = Table(title=f"{len(comparison.questions)} held-out questions, before and after", title_justify="left")
    for heading in ("", "before", "after"):
        table.add_column(heading)
    table.add_row("wins against before, ties half (95 % interval)", "50%", f"[bold]{comparison.wins}[/]")
    table.add_row("complete answers", *(str(wilson([is_complete(a) for a in side])) for side in _sides(comparison)))
    table.add_row("mean answer length, words", *(f"{_mean_words(side):.1f}" for side in _sides(comparison)))
    table.add_row("mean answer length, tokens", *(f"{_mean_tokens(side):.1f}" for side in _sides(comparison)))
    accuracy = result.metrics.get("eval_rewards/accuracies", float("nan"))
    table.add_row("reward accuracy on held-out pairs (a tie is half)", "50%", f"{accuracy:.0%}")
    console.print(table)
    for index in _examples(comparison):
        sides = Table(title=comparison.questions[index], title_justify="left", expand=True)
        sides.add_column("before", ratio=1)
        sides.add_column("after", ratio=1)
        sides.add_row(_shown(comparison.before[index]), _shown(comparison.after[index]))
        console.print(sides, markup=False)


def _examples(comparison: Comparison) -> list[int]:
    """The first two questions where the rule prefers the new answer, so that there is something to see."""
    pairs = enumerate(zip(comparison.before, comparison.after, strict=True))
    return [index for index, (before, after) in pairs if preference(after, before) == 1.0][:2]


def _shown(answer: Answer) -> str:
    return answer.text if answer.ended else f"{answer.text} … (cut at {answer.tokens} tokens)"


def _sides(comparison: Comparison) -> tuple[list[Answer], list[Answer]]:
    return comparison.before, comparison.after


def _mean_words(answers: Sequence[Answer]) -> float:
    return sum(words(answer.text) for answer in answers) / len(answers)


def _mean_tokens(answers: Sequence[Answer]) -> float:
    return sum(answer.tokens for answer in answers) / len(answers)


def _write(folder: Path, comparison: Comparison, result: TrainResult) -> None:
    """Every held-out question with both answers and the rule's verdict, and the numbers of the table."""
    rows = zip(comparison.questions, comparison.before, comparison.after, strict=True)
    with (folder / "held_out_answers.jsonl").open("w", encoding="utf-8") as file:
        for question, before, after in rows:
            line = {"prompt": question, "before": asdict(before), "after": asdict(after)}
            file.write(json.dumps(line | {"win": preference(after, before)}, ensure_ascii=False) + "\n")
    numbers = {
        "wins": asdict(comparison.wins),
        "mean_words": {"before": _mean_words(comparison.before), "after": _mean_words(comparison.after)},
        "reward_accuracy": result.metrics.get("eval_rewards/accuracies"),
    }
    (folder / "demo.json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    note = f"temperature {TEMPERATURE}, at most {MAX_NEW_TOKENS} tokens; the verdict is the demo's rule"
    record.write_lines(folder, record.SAMPLES, record.Head("held-out", note), _samples(comparison))


def _samples(comparison: Comparison) -> list[record.Sample]:
    """The first questions with both answers, for the report."""
    words = {1.0: "The new answer is preferred.", 0.5: "Neither is preferred.", 0.0: "The old answer is preferred."}
    rows = zip(comparison.questions, comparison.before, comparison.after, strict=True)
    return [
        record.Sample(question, _shown(before), _shown(after), words[preference(after, before)])
        for question, before, after in itertools.islice(rows, REPORTED)
    ]
