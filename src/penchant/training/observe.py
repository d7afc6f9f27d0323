"""What a run keeps of single rows for its report: log-probs before and after, token by token for a few, the KL."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate.utils import gather_object
from torch import Tensor
from transformers import TrainerCallback

from penchant.evaluation.sample import generate
from penchant.logps import AnswerBatch, FrozenCopy
from penchant.logps.plain import token_logps
from penchant.records import PairLogps, TokenAnswer, TokenPair
from penchant.report import record
from penchant.tokens.pieces import pieces
from penchant.training.adapters import is_trained
from penchant.training.trainer import PreferenceTrainer

Key = tuple[str, bool | None]
_MOST_ROWS, _MOST_KL, _MOST_SHOWN, _MOST_POINTS = 256, 32, 4, 20
_SAMPLE_TOKENS = 128
_Result = TypeVar("_Result")


class Observer(TrainerCallback):
    """Measures rows of a run and keeps them for the report.

    Evaluation rows have their log-probs from the last evaluation; without evaluation data a sample of the training rows
    is measured. A few rows go through the trained and the starting model once more, token by token. How many is a
    small share of the rows trained on, so that a run is a few percent longer at most.

    Args:
        trainer: The trainer, before its first step.
        folder: The run folder.
        rows: Rows trained on.
        held_out: Rows evaluated on.
    """

    def __init__(self, trainer: PreferenceTrainer, folder: Path, rows: Sequence[Any], held_out: Sequence[Any]) -> None:
        self.trainer, self.folder, self.seconds = trainer, folder, 0.0
        self._of, of = ("held-out", held_out) if held_out else ("training", rows)
        self._rows = [row for row in of if isinstance(row, TokenPair | TokenAnswer)]
        args = trainer.args
        new_adapter = hasattr(trainer.model, "disable_adapter") and not is_trained(trainer.model)
        stands = trainer.reference is not None and args.reference == "initial" and args.reference_every is None
        self._starts = stands  # whether the reference is the model that training begins with, at the end too
        self._start: Any = "adapter off" if new_adapter else None
        if stands and isinstance(trainer.reference, FrozenCopy):
            self._start = trainer.reference.model
        trained = args.max_steps * args.batch_size if args.max_steps > 0 else len(rows) * args.num_train_epochs
        self._trained = int(trained)
        order = torch.randperm(len(self._rows), generator=torch.Generator().manual_seed(args.seed)).tolist()
        self._sample = [self._rows[index] for index in order[: self._few(20, 8, _MOST_ROWS)]]
        self._before: dict[Key, record.Row] = {}
        self._start_tokens: dict[Key, list[Tensor]] = {}
        self._samples: list[record.Sample] = []
        self._asked = _prompts(self._rows, args.sample_prompts)
        self._points: set[int] = set()

    def begin(self) -> None:
        """What can be measured before the first step alone."""
        trainer = self.trainer
        if not self._starts:
            self._timed(lambda: self._before.update(self._measure(self._sample)))
        if not trainer.is_world_process_zero():
            return
        if self._start is None:
            shown = self._sample[: 4 * self._few(50, 2, _MOST_SHOWN)]
            self._timed(lambda: self._start_tokens.update({_key(row): self._tokens(row) for row in shown}))
        if self._asked:
            answers = self._timed(self._answers)
            asked = [pieces_text(trainer, prompt) for prompt in self._asked]
            self._samples = [record.Sample(one, answer) for one, answer in zip(asked, answers, strict=True)]
            self._write_samples()

    def end(self) -> list[float] | None:
        """Write everything; the KL of each row that was measured, in nats per token. Called on every process."""
        rows = self._timed(self._after)
        if not self.trainer.is_world_process_zero():
            return None
        record.write_lines(self.folder, record.ROWS, record.Head(self._of), rows)
        shown = self._timed(lambda: self._shown(rows))
        note = "" if self._starts else "log-ratios are against the model that training began with"
        record.write_lines(self.folder, record.TOKENS, record.Head(self._of, note), shown)
        if self._samples:
            answers = self._timed(self._answers)
            self._samples = [
                record.Sample(s.prompt, s.before, answer) for s, answer in zip(self._samples, answers, strict=True)
            ]
            self._write_samples()
        if self._start is None:
            return None
        return self._timed(lambda: [self._kl(row) for row in self._sample[: self._few(40, 4, _MOST_KL)]])

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Spread the measurements of the KL over the run: each takes as long as two rows of training."""
        count = min(_MOST_POINTS, self._trained // 200) if self._start is not None else 0
        self._points = {round(state.max_steps * (point + 1) / (count + 1)) for point in range(count)}

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step in self._points and state.is_world_process_zero:
            values = self._timed(lambda: [self._kl(row) for row in self._sample[:4]])
            self.trainer.log({"kl_per_token": sum(values) / len(values)})

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

    def _after(self) -> list[record.Row]:
        """Every row with its log-probs after training, in the order of the data, gathered over the processes."""
        trainer = self.trainer
        if not self._rows:
            return []
        if self._of == "held-out":
            found = dict(gather_object(list(_as_rows(trainer, trainer.evaluated, self._starts).items())))
        else:
            found = self._measure(self._sample)
        prompts: dict[tuple[int, ...], int] = {}
        rows = []
        for row in self._rows:
            one = found.get(_key(row))
            if one is None:
                continue
            one.prompt = prompts.setdefault(tuple(row.prompt_ids), len(prompts))
            if _key(row) in self._before:
                start = self._before[_key(row)]
                one.before, one.start_rewards = start.after, start.rewards
            rows.append(one)
        return rows

    @contextmanager
    def _start_model(self) -> Iterator[Any]:
        """The model that training began with, where it can still be run."""
        model = self.trainer.model
        if self._start == "adapter off":
            with model.disable_adapter():
                yield model
        else:
            yield self._start

    def _shown(self, rows: Sequence[record.Row]) -> list[record.TokenRow]:
        """The rows with the best and the worst rewards, token by token, among those whose start can be known."""
        by_key = {_key(row): row for row in self._rows}
        keys = [(row.source, row.label) for row in rows]
        ranked = [
            (_merit(row), by_key[key])
            for row, key in zip(rows, keys, strict=True)
            if self._start is not None or key in self._start_tokens
        ]
        ranked.sort(key=lambda pair: pair[0])
        each = min(self._few(50, 2, _MOST_SHOWN), len(ranked) // 2 or 1)
        rewards = {key: row.rewards for key, row in zip(keys, rows, strict=True)}
        best = [self._token_row("best", row, rewards[_key(row)]) for _, row in ranked[: -each - 1 : -1]]
        worst = [self._token_row("worst", row, rewards[_key(row)]) for _, row in ranked[:each]]
        return best + (worst if len(ranked) > 1 else [])

    def _token_row(self, kind: str, row: Any, rewards: Sequence[float]) -> record.TokenRow:
        after = self._tokens(row)
        if _key(row) in self._start_tokens:
            before = self._start_tokens[_key(row)]
        else:
            with self._start_model() as model:
                before = self._tokens(row, model)
        answers = []
        for role, ids, old, new, reward in zip(_roles(row), _answers(row), before, after, rewards, strict=True):
            texts = pieces(self.trainer.processing_class, ids)
            tokens = [
                record.Token(text, round(a, 4), round(b, 4))
                for text, a, b in zip(texts, old.tolist(), new.tolist(), strict=True)
            ]
            answers.append(record.TokenAnswerFacts(role, reward, tokens))
        prompt = pieces_text(self.trainer, row.prompt_ids)
        return record.TokenRow(kind, record.plain(row.source), prompt, answers)

    @torch.no_grad()
    def _logits(self, row: Any, model: Any = None) -> tuple[Tensor, AnswerBatch]:
        """Logits at the answer tokens by plain rows, one per answer."""
        model = model or self.trainer.model
        model.eval()
        answers = _answers(row)
        pad, device = self.trainer.processing_class.pad_token_id, self.trainer.args.device
        batch = AnswerBatch.of([row.prompt_ids] * len(answers), answers, pad_id=pad, device=device)
        with self.trainer.compute_loss_context_manager():
            output = model(
                input_ids=batch.ids_BT, attention_mask=batch.attention_BT, logits_to_keep=batch.keep_BT, use_cache=False
            )
        return output.logits, batch

    def _tokens(self, row: Any, model: Any = None) -> list[Tensor]:
        """Token log-probs of each answer."""
        logits, batch = self._logits(row, model)
        return list(token_logps(logits, batch.target_N).cpu().split(batch.lengths.tolist()))

    def _kl(self, row: Any) -> float:
        """KL(model as it is, starting model) over the whole vocabulary: mean over the row's answer tokens, in nats."""
        new = self._logits(row)[0].float().log_softmax(-1)
        with self._start_model() as model:
            old = self._logits(row, model)[0].float().log_softmax(-1)
        return float((new.exp() * (new - old)).sum(-1).double().mean())

    def _answers(self) -> list[str]:
        trainer = self.trainer
        model = trainer.accelerator.unwrap_model(trainer.model)
        tokenizer = trainer.processing_class
        limits = {"max_new_tokens": _SAMPLE_TOKENS, "temperature": 0.0, "end_of_turn": tokenizer.eos_token_id}
        answers = generate(model, tokenizer, self._asked, **limits)
        return [answer.text if answer.ended else f"{answer.text} […]" for answer in answers]

    def _write_samples(self) -> None:
        note = f"the most probable token at each step, at most {_SAMPLE_TOKENS} tokens"
        record.write_lines(self.folder, record.SAMPLES, record.Head(self._of, note), self._samples)


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
        if isinstance(logps, PairLogps):
            policy = [logps.policy_chosen_logps, logps.policy_rejected_logps]
            reference = [logps.ref_chosen_logps, logps.ref_rejected_logps]
        else:
            policy, reference = [logps.policy_logps], [logps.ref_logps]
        after_all = torch.stack(policy, 1).tolist()
        before = torch.stack(reference, 1).tolist() if starts else [None] * len(rows)
        for row, after, start, rewards in zip(rows, after_all, before, trainer.rewards(logps), strict=True):
            found[_key(row)] = record.Row(
                source=record.plain(row.source),
                prompt=0,
                lengths=[len(answer) for answer in _answers(row)],
                after=_rounded(after),
                rewards=_rounded(rewards),
                before=None if start is None else _rounded(start),
                start_rewards=None if start is None else [0.0] * len(after),
                label=None if isinstance(row, TokenPair) else row.label,
            )
    return found


def _rounded(values: Sequence[float]) -> list[float]:
    """Rounded to a millionth of a nat, so that 100,000 rows stay a small file."""
    return [round(value, 6) for value in values]


def _key(row: TokenPair | TokenAnswer) -> Key:
    return record.plain(row.source), row.label if isinstance(row, TokenAnswer) else None


def _answers(row: TokenPair | TokenAnswer) -> list[list[int]]:
    return [row.chosen_ids, row.rejected_ids] if isinstance(row, TokenPair) else [row.completion_ids]


def _roles(row: TokenPair | TokenAnswer) -> list[str]:
    return ["chosen", "rejected"] if isinstance(row, TokenPair) else ["desirable" if row.label else "undesirable"]


def _merit(row: record.Row) -> float:
    """How right the rewards are: the margin of a pair, or the reward of an answer with the label's sign."""
    sign = -1.0 if row.label is False else 1.0
    merit = sign * row.rewards[0] - sum(row.rewards[1:])
    return merit if math.isfinite(merit) else -math.inf
