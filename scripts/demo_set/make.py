"""Make the demo's preference set: sample answers from SmolLM2-135M-Instruct, judge them by the rule, write pairs.

Run from the repository root after `make demo` or `make install` (about twenty minutes on 2 CPU cores):

    .venv/bin/python scripts/demo_set/make.py

questions.txt holds the questions, one per line. The first HELD_OUT of them are kept for the evaluation and never
answered here. The next ASKED are each put to the model in the WORDINGS below, one answer sampled for each wording; the
pair's prompt is the plain question in any case. The shortest complete answer is chosen, the longest one that ended by
itself is rejected, and the pair is kept if the rule of penchant.evaluation.rule prefers the first.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

from penchant.demo import smollm2_path
from penchant.evaluation.rule import is_complete, preference, words
from penchant.evaluation.sample import Answer, sample_answers
from penchant.models import load_model

HELD_OUT = 60
ASKED = 300
WORDINGS = ("{}", "{}", "{} Answer in one sentence.", "{} Answer in two sentences.")
MAX_NEW_TOKENS = 128
TEMPERATURE = 0.7
SEED = 20251

HERE = Path(__file__).parent
TARGET = HERE.parents[1] / "src" / "penchant" / "demo"


def choose_pair(answers: list[Answer]) -> tuple[Answer, Answer] | None:
    """The shortest complete answer and the longest that ended by itself, if the rule prefers the first.

    Answers with U+FFFD, half a character that the model never finished, are left out.
    """
    answers = [answer for answer in answers if "\ufffd" not in answer.text]
    complete = [answer for answer in answers if is_complete(answer)]
    ended = [answer for answer in answers if answer.ended]
    if not complete:
        return None
    chosen = min(complete, key=lambda answer: words(answer.text))
    rejected = max(ended, key=lambda answer: words(answer.text))
    return (chosen, rejected) if preference(chosen, rejected) == 1.0 else None


def main() -> None:
    questions = (HERE / "questions.txt").read_text(encoding="utf-8").splitlines()
    held_out, asked = questions[:HELD_OUT], questions[HELD_OUT : HELD_OUT + ASKED]
    torch.set_float32_matmul_precision("medium")
    loaded = load_model(smollm2_path())
    start = time.time()
    answers = sample_answers(
        loaded.model,
        loaded.tokenizer,
        [wording.format(question) for question in asked for wording in WORDINGS],
        max_new_tokens=MAX_NEW_TOKENS,
        temperature=TEMPERATURE,
        seed=SEED,
        batch_size=80,
        on_batch=lambda done: print(f"{done} answers, {time.time() - start:.0f} s", flush=True),
    )
    pairs = []
    for index, question in enumerate(asked):
        pair = choose_pair(answers[index * len(WORDINGS) : (index + 1) * len(WORDINGS)])
        if pair is not None:
            pairs.append({"prompt": question, "chosen": pair[0].text, "rejected": pair[1].text})
    _write(TARGET / "pairs.jsonl", pairs)
    _write(TARGET / "held_out.jsonl", [{"prompt": question} for question in held_out])
    ended = sum(answer.ended for answer in answers) / len(answers)
    print(f"{len(answers)} answers, {ended:.1%} ended by themselves; {len(pairs)} pairs of {len(asked)} questions")


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
