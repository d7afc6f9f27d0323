"""Run folders made by hand, as large or as hostile as a test wants."""

from __future__ import annotations

import json

import numpy as np

from penchant.report import record

HOSTILE = "</script><img src=x onerror=alert(1)><b onclick='alert(2)'>\u202eabc\u2066 \u2028&amp;\"'"


def facts(**changes) -> record.RunFacts:
    """A finished DPO run."""
    method = record.MethodFacts(
        "dpo", "-log σ(β(a - b))", "the canonical form", "Rafailov 2023", "https://arxiv.org/abs/2305.18290"
    )
    settings = {
        "name": "mine",
        "penchant": "0.1.0",
        "method": method,
        "constants": {"beta": 0.1},
        "reference": True,
        "per_token": False,
        "unit": "pairs",
        "rows": 200,
        "held_out": 50,
        "steps": 20,
        "batch_size": 8,
        "learning_rate": 1e-4,
        "facts": {"base model": "models/tiny (folder)", "data": "pairs.jsonl", "reference": "the adapter switched off"},
        "command": "penchant train --model tiny",
        "started": "2026-01-01T00:00:00+0000",
        "finished": "2026-01-01T00:10:00+0000",
        "kl": [0.01, 0.02, 0.03],
    }
    return record.RunFacts(**(settings | changes))


def rows(count: int, *, shift: float = 0.5) -> list[record.Row]:
    """Pairs whose margins are normal around ``shift``; every prompt has one pair."""
    draw = np.random.default_rng(0)
    margins = draw.normal(shift, 1.0, count).round(6).tolist()
    lengths = draw.integers(5, 300, (count, 2)).tolist()
    before = (-draw.uniform(10, 200, (count, 2))).round(6).tolist()
    return [
        record.Row(
            source=f"held_out.jsonl:{index + 1}",
            prompt=index,
            lengths=lengths[index],
            after=[before[index][0] + 5 * margins[index], before[index][1] - 5 * margins[index]],
            rewards=[margins[index] / 2, -margins[index] / 2],
            before=before[index],
            start_rewards=[0.0, 0.0],
        )
        for index in range(count)
    ]


def token_row(kind: str, text: str, count: int = 8) -> record.TokenRow:
    """A pair whose every token reads ``text``."""
    tokens = [record.Token(text, -2.0, -2.0 + 0.3 * (index - 3)) for index in range(count)]
    answers = [record.TokenAnswerFacts("chosen", 0.4, tokens), record.TokenAnswerFacts("rejected", -0.3, tokens[::-1])]
    return record.TokenRow(kind, text, text, answers)


def log_lines(steps: int) -> list[dict[str, float]]:
    """A run that learns."""
    lines = []
    for step in range(1, steps + 1):
        done = step / steps
        line = {"loss": 0.693 - 0.3 * done, "rewards/margins": done, "rewards/accuracies": 0.5 + 0.3 * done}
        line |= {"rewards/chosen": 0.3 * done, "rewards/rejected": -0.7 * done, "logps/chosen": -90 + 3 * done}
        lines.append({"step": step, **line, "logps/rejected": -80 - 7 * done, "grad_norm": 1.0, "learning_rate": 1e-4})
    lines.append({"step": steps, "eval_loss": 0.45, "eval_rewards/margins": 0.8, "eval_rewards/accuracies": 0.78})
    return lines


def write_run(
    folder, *, of="held-out", of_facts=None, of_rows=None, tokens=(), samples=(), alarms=(), doctor=None, log=None
):
    """A run folder; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    record.write_json(folder, record.RUN, of_facts or facts())
    record.write_lines(folder, record.ROWS, record.Head(of), rows(50) if of_rows is None else of_rows)
    record.write_lines(folder, record.TOKENS, record.Head("held-out"), tokens)
    if samples:
        record.write_lines(folder, record.SAMPLES, record.Head("held-out", "the most probable token"), samples)
    record.write_json(folder, record.DOCTOR, doctor or {"version": 1, "rows": 250, "results": []})
    lines = log_lines(20) if log is None else log
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    if alarms:
        text = "".join(json.dumps(alarm) + "\n" for alarm in alarms)
        (folder / record.ALARMS).write_text(text, encoding="utf-8")
    return folder


def hostile_run(folder):
    """Every text that data or a model may have written is an attack on the page."""
    worst = [{"source": HOSTILE, "detail": HOSTILE}]
    result = {"id": "D001", "title": "empty answer", "severity": "error", "count": 1, "share": 0.5, "detail": HOSTILE}
    return write_run(
        folder,
        of_facts=facts(
            name=HOSTILE,
            command=HOSTILE,
            facts={"base model": HOSTILE, "data": HOSTILE, HOSTILE: HOSTILE},
            method=record.MethodFacts(HOSTILE, HOSTILE, HOSTILE),
            constants={"beta": 0.1, "name": HOSTILE},
        ),
        tokens=[token_row("best", HOSTILE), token_row("worst", HOSTILE)],
        samples=[record.Sample(HOSTILE, HOSTILE, HOSTILE, HOSTILE)],
        alarms=[{"id": HOSTILE, "step": 3, "sentence": HOSTILE, "remedy": HOSTILE}],
        doctor={"version": 1, "rows": 2, "results": [result | {"worst": worst, "why": HOSTILE, "remedy": HOSTILE}]},
        log=[{"step": 1, "loss": 0.5, HOSTILE: 1.0}, {"step": 2, "loss": float("nan")}],
    )
