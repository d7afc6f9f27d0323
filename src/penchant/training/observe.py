"""What a run keeps of single rows for its report: log-probs before and after, token by token for a few, the KL."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor
from transformers import TrainerCallback

from penchant.diagnostics import by_answer
from penchant.evaluation.sample import generate
from penchant.logps import AdapterOff, FrozenCopy, OtherAdapter, Reference
from penchant.logps.store import address
from penchant.records import TokenAnswer, TokenList, TokenPair
from penchant.report import record
from penchant.spool import Chosen
from penchant.tokens.pieces import pieces
from penchant.training.adapters import is_trained
from penchant.training.microbatch import cut
from penchant.training.trainer import PreferenceTrainer

Key = tuple[str, bool | None, bytes]
"""A row's place in the data, its label, and its tokens: several turns of a conversation have one place."""
_MOST_ROWS, _MOST_KL, _MOST_SHOWN, _MOST_POINTS = 256, 32, 4, 20
_MOST_ANSWERS = 6
"""Of a list, token by token: the best rated and the worst rated."""
_SAMPLE_TOKENS = 128
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Seen:
    """Token log-probs of a row's answers under the trained model and the starting one, and the KL between them.

    The KL is that of the trained model to the starting one over the whole vocabulary, the mean over the row's answer
    tokens in nats; ``before`` is empty and ``kl`` is no number where the starting model is not at hand.
    """

    after: tuple[Tensor, ...]
    before: tuple[Tensor, ...] = ()
    kl: float = math.nan


class Observer(TrainerCallback):
    """Measures rows of a run and keeps them for the report.

    Evaluation rows have their log-probs from the last evaluation; without evaluation data a sample of the training rows
    is measured. A few rows go through the trained and the starting model once more, token by token and by the engine
    that trains. How many is a small share of the rows trained on, and at least eight: a few percent of a run's time,
    more where only some dozen rows are trained on.

    Args:
        trainer: The trainer, before its first step.
        folder: The run folder.
        rows: Rows trained on.
        held_out: Rows evaluated on.
    """

    def __init__(self, trainer: PreferenceTrainer, folder: Path, rows: Sequence[Any], held_out: Sequence[Any]) -> None:
        self.trainer, self.folder, self.seconds = trainer, folder, 0.0
        self._of, of = ("held-out", held_out) if held_out else ("training", rows)
        args = trainer.args
        new_adapter = hasattr(trainer.model, "disable_adapter") and not is_trained(trainer.model)
        stands = trainer.reference is not None and args.reference == "initial" and args.reference_every is None
        self._starts = stands  # whether the reference is the model that training begins with, at the end too
        self._start: Reference | None = AdapterOff(trainer.model) if new_adapter else None
        if stands and isinstance(trainer.reference, FrozenCopy | OtherAdapter):
            self._start = trainer.reference
        trained = args.max_steps * args.batch_size if args.max_steps > 0 else len(rows) * args.num_train_epochs
        self._trained = int(trained)
        order = torch.randperm(len(of), generator=torch.Generator().manual_seed(args.seed))
        places = order[: self._few(20, 8, _MOST_ROWS)].tolist()
        self._sample = [of[place] for place in places]
        self._rows = held_out or Chosen(rows, sorted(places))  # whose log-probs are kept, in the order of the data
        self._before: dict[Key, record.Row] = {}
        self._start_tokens: dict[Key, tuple[Tensor, ...]] = {}
        self._samples: list[record.Sample] = []
        self._asked = _prompts(of, args.sample_prompts)
        self._points: set[int] = set()

    def begin(self) -> None:
        """What can be measured before the first step alone."""
        trainer = self.trainer
        if not self._starts:
            self._timed(lambda: self._before.update(self._measure(self._sample)))
        if not self._takes_part():
            return
        if self._start is None:
            shown = self._sample[: 4 * self._few(50, 2, _MOST_SHOWN)]
            seen = self._timed(lambda: self._see(shown))
            self._start_tokens = {key: one.after for key, one in seen.items()}
        if self._asked:
            answers = self._timed(self._answers)
            asked = [pieces_text(trainer, prompt) for prompt in self._asked]
            self._samples = [record.Sample(one, answer) for one, answer in zip(asked, answers, strict=True)]
            self._write_samples()

    def end(self) -> list[float] | None:
        """Write everything; the KL of each row that was measured, in nats per token. Called on every process."""
        rows = self._timed(self._after)
        if not self._takes_part():
            return None
        if self.trainer.sharded:  # which rows go through the model next is decided once
            rows = broadcast_object_list([rows])[0]
        self._write(record.ROWS, "", list(rows.values()))
        note = "" if self._starts else "log-ratios are against the model that training began with"
        best, worst = self._extremes(rows)
        of_kl = self._sample[: self._few(40, 4, _MOST_KL)] if self._start is not None else []
        seen = self._timed(lambda: self._see([*best, *worst, *of_kl]))
        shown = [
            self._token_row(kind, row, seen[_key(row)], rows[_key(row)].rewards)
            for kind, some in (("best", best), ("worst", worst))
            for row in some
        ]
        self._write(record.TOKENS, note, shown)
        if self._samples:
            answers = self._timed(self._answers)
            self._samples = [
                record.Sample(s.prompt, s.before, answer) for s, answer in zip(self._samples, answers, strict=True)
            ]
            self._write_samples()
        return [seen[_key(row)].kl for row in of_kl] or None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Spread the measurements of the KL over the run: each takes as long as two rows of training."""
        count = min(_MOST_POINTS, self._trained // 200) if self._start is not None else 0
        self._points = {round(state.max_steps * (point + 1) / (count + 1)) for point in range(count)}

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step in self._points and self._takes_part():
            seen = self._timed(lambda: self._see(self._sample[:4]))
            due = control.should_log  # transformers takes a line that anybody logs for the one that is due
            self.trainer.log({"kl_per_token": sum(one.kl for one in seen.values()) / len(seen)})
            control.should_log = due

    def _few(self, share: int, least: int, most: int) -> int:
        """One in ``share`` of the rows trained on, within bounds."""
        return min(max(self._trained // share, least), most)

    def _timed(self, work: Callable[[], _Result]) -> _Result:
        start = time.monotonic()
        try:
            return work()
        finally:
            self.seconds += time.monotonic() - start

    def _measure(self, rows: Sequence[Any]) -> dict[Key, record.Row]:
        return _as_rows(self.trainer, self.trainer.measured(list(rows)), self._starts)

    def _after(self) -> dict[Key, record.Row]:
        """Every row with its log-probs after training, in the order of the data, gathered over the processes."""
        trainer = self.trainer
        if not self._rows:
            return {}
        if self._of == "held-out":
            found = dict(gather_object(list(_as_rows(trainer, trainer.evaluated, self._starts).items())))
        else:
            found = self._measure(self._sample)
        prompts: dict[tuple[int, ...], int] = {}
        rows = {}
        for row in self._rows:
            key = _key(row)
            one = found.get(key)
            if one is None:
                continue
            one.prompt = prompts.setdefault(tuple(row.prompt_ids), len(prompts))
            if key in self._before:
                start = self._before[key]
                one.before, one.start_rewards = start.after, start.rewards
            rows[key] = one
        return rows

    def _extremes(self, rows: Mapping[Key, record.Row]) -> tuple[list[Any], list[Any]]:
        """The rows with the best and the worst rewards, among those whose start can be known."""
        by_key = {_key(row): row for row in self._rows}
        ranked = [
            (_merit(row), by_key[key])
            for key, row in rows.items()
            if self._start is not None or key in self._start_tokens
        ]
        ranked.sort(key=lambda pair: pair[0])
        each = min(self._few(50, 2, _MOST_SHOWN), len(ranked) // 2 or 1)
        best, worst = ranked[: -each - 1 : -1], ranked[:each] if len(ranked) > 1 else []
        return [row for _, row in best], [row for _, row in worst]

    @torch.no_grad()
    def _see(self, rows: Sequence[Any]) -> dict[Key, _Seen]:
        """Each row once through the model as it is and, where it is at hand, the starting one; by the engine."""
        trainer, start, found = self.trainer, self._start, {}
        engine, recorder, args = trainer.engine, trainer.recorder, trainer.args
        model = trainer.model.eval()
        distinct = list({_key(row): row for row in rows}.values())
        limits = {"max_rows": args.micro_batch_size, "max_tokens": args.micro_batch_tokens}
        with engine.engaged(model, *([] if start is None else [start.model])), recorder.precision():
            for part in cut(distinct, **limits, packed=engine.packed):
                batch = recorder.lay_out([(row.prompt_ids, _answers(row)) for row in part])
                old = None if start is None else start.predict(engine, batch)
                new = engine.predict(model, batch)
                measured = [new.token_logps(batch.target_N)]
                measured += [] if old is None else [old.token_logps(batch.target_N), new.kl_to(old)]
                lengths = batch.lengths.tolist()
                by_answer = zip(*(one_N.cpu().split(lengths) for one_N in measured), strict=True)
                for row in part:
                    after, *beside = zip(*itertools.islice(by_answer, len(_answers(row))), strict=True)
                    kl = float(torch.cat(beside[1]).double().mean()) if beside else math.nan
                    found[_key(row)] = _Seen(after, beside[0] if beside else (), kl)
        return found

    def _token_row(self, kind: str, row: Any, seen: _Seen, rewards: Sequence[float]) -> record.TokenRow:
        before = seen.before or self._start_tokens[_key(row)]
        both = list(zip(_roles(row), _answers(row), before, seen.after, rewards, strict=True))
        if len(both) > _MOST_ANSWERS:
            both = both[: _MOST_ANSWERS // 2] + both[-_MOST_ANSWERS // 2 :]
        answers = []
        for role, ids, old, new, reward in both:
            texts = pieces(self.trainer.processing_class, ids)
            tokens = [
                record.Token(text, round(a, 4), round(b, 4))
                for text, a, b in zip(texts, old.tolist(), new.tolist(), strict=True)
            ]
            answers.append(record.TokenAnswerFacts(role, reward, tokens))
        prompt = pieces_text(self.trainer, row.prompt_ids)
        return record.TokenRow(kind, record.plain(row.source), prompt, answers)

    def _answers(self) -> list[str]:
        trainer = self.trainer
        model = trainer.accelerator.unwrap_model(trainer.model)
        tokenizer = trainer.processing_class
        limits = {"max_new_tokens": _SAMPLE_TOKENS, "temperature": 0.0, "end_of_turn": tokenizer.eos_token_id}
        answers = generate(model, tokenizer, self._asked, **limits)
        return [answer.text if answer.ended else f"{answer.text} […]" for answer in answers]

    def _write_samples(self) -> None:
        note = f"the most probable token at each step, at most {_SAMPLE_TOKENS} tokens"
        self._write(record.SAMPLES, note, self._samples)

    def _takes_part(self) -> bool:
        """Whether this process measures: one alone, or all of them where the model's weights are shared by them."""
        return self.trainer.sharded or self.trainer.is_world_process_zero()

    def _write(self, name: str, note: str, lines: Sequence[Any]) -> None:
        if self.trainer.is_world_process_zero():
            record.write_lines(self.folder, name, record.Head(self._of, note), lines)


def pieces_text(trainer: PreferenceTrainer, ids: list[int]) -> str:
    """Tokens as one text, special ones included."""
    return "".join(pieces(trainer.processing_class, ids))


def _prompts(rows: Sequence[Any], count: int) -> list[list[int]]:
    """The first distinct prompts."""
    distinct = {tuple(row.prompt_ids): None for row in rows[: 50 * count]}
    return [list(prompt) for prompt in distinct][:count]


def _as_rows(
    trainer: PreferenceTrainer, measured: Sequence[tuple[Sequence[Any], Any]], starts: bool
) -> dict[Key, record.Row]:
    """Rows with their measured log-probs; ``starts``: the reference's are those of the model before training."""
    found = {}
    for rows, logps in measured:
        policy, reference, _ = by_answer(logps)
        after_all = policy.tolist()
        before = reference.tolist() if starts and reference is not None else [None] * len(rows)
        for row, after, start, rewards in zip(rows, after_all, before, trainer.rewards(logps), strict=True):
            found[_key(row)] = record.Row(
                source=record.plain(row.source),
                prompt=0,
                lengths=[len(answer) for answer in _answers(row)],
                after=_rounded(after),
                rewards=_rounded(rewards),
                before=None if start is None else _rounded(start),
                start_rewards=None if start is None else [0.0] * len(after),
                label=row.label if isinstance(row, TokenAnswer) else None,
                scores=list(row.scores) if isinstance(row, TokenList) else None,
            )
    return found


def _rounded(values: Sequence[float]) -> list[float]:
    """Rounded to a millionth of a nat, so that 100,000 rows stay a small file."""
    return [round(value, 6) for value in values]


def _key(row: Any) -> Key:
    label = row.label if isinstance(row, TokenAnswer) else None
    return record.plain(row.source), label, address(row.prompt_ids, list(itertools.chain(*_answers(row))))


def _answers(row: Any) -> list[list[int]]:
    """What is measured of a row; a pair's third answer is not."""
    answers: list[list[int]] = row.answers
    return answers[:2] if isinstance(row, TokenPair) else answers


def _roles(row: Any) -> list[str]:
    if isinstance(row, TokenList):
        return [f"rated {score:g}" for score in row.scores]
    return ["chosen", "rejected"] if isinstance(row, TokenPair) else ["desirable" if row.label else "undesirable"]


def _merit(row: record.Row) -> float:
    """How right the rewards are: the mean margin of a row's pairs, or the reward of an answer with the label's sign."""
    if row.label is not None:
        merit = row.rewards[0] if row.label else -row.rewards[0]
    else:
        margins = [better - worse for better, worse in record.ordered(row, row.rewards)]
        merit = sum(margins) / max(1, len(margins))
    return merit if math.isfinite(merit) else -math.inf
