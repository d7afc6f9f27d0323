"""PreferenceTrainer: transformers' Trainer whose step is cut freely and whose update does not depend on the cut."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from transformers.trainer_utils import EvalLoopOutput

from penchant.diagnostics import Measures, answer_rewards, measures_of, watched
from penchant.logps import FrozenCopy, Reference, choose_engine, compile_kernels
from penchant.models import disable_dropout
from penchant.objectives import get_method
from penchant.objectives.catalogue.own import settled
from penchant.records import Logps, PairLogps, TokenRow
from penchant.training.alarms import Alarms
from penchant.training.checkpointing import checkpoint_activations
from penchant.training.config import PreferenceConfig
from penchant.training.coupling import gathered, joined, leaves, slopes, spread
from penchant.training.fillers import weights_of
from penchant.training.inputs import KEPT_BY_THE_LOOP
from penchant.training.loading import LoadingTrainer
from penchant.training.margins import led
from penchant.training.meter import Meter, catenated
from penchant.training.microbatch import cut
from penchant.training.moving import MovingReference
from penchant.training.non_finite import NonFinite
from penchant.training.recorder import Recorder, Rows
from penchant.training.references import make_reference, step_zero_gap
from penchant.training.running import Kept, Running
from penchant.training.schedule import risen
from penchant.training.statistics import asked_of_tokens


class PreferenceTrainer(LoadingTrainer):
    """Trains a model on token pairs (or labelled answers) with a method of the catalogue.

    One batch of the data loader is this process's share of one optimiser step. It is cut into micro-batches here, and
    every row's loss is divided by the number of rows in the whole step over all processes, so that the update is the
    same for any cut. Callbacks, schedulers, trackers, ``accelerate launch`` and resuming are the Trainer's own.

    Args:
        model: A causal language model; with a PEFT adapter, the reference is the model with the adapter off.
        args: The settings.
        train_dataset: Token pairs, or labelled token answers for a method that takes single answers.
        eval_dataset: The same kind of rows, for evaluation.
        processing_class: The tokenizer.
        reference: What gives the reference log-probs; left out, what ``args.reference`` names.
        callbacks: transformers callbacks.

    Attributes:
        evaluated: Rows and log-probs of the last evaluation, this process's share.
        recomputes: Whether activations are made again in the backward pass.
    """

    _tr_loss: Tensor  # transformers' own

    def __init__(
        self,
        model: Any,
        args: PreferenceConfig,
        train_dataset: Sequence[TokenRow],
        eval_dataset: Sequence[TokenRow] | None = None,
        processing_class: Any = None,
        reference: Reference | None = None,
        callbacks: Sequence[Any] | None = None,
    ) -> None:
        self.method = settled(get_method(args.method), partial(torch.tensor, dtype=torch.float64, requires_grad=True))
        self.estimates_z_ref = args.estimates_z_ref  # asked once: a method may be a file that is edited meanwhile
        self.running = Running()
        self.evaluated: list[tuple[Rows, Logps]] = []
        if args.disable_dropout:
            disable_dropout(model)
        model.to(args.device).train()  # the engine is chosen where it will compute
        self.recomputes = bool(args.activation_checkpointing)
        if self.recomputes:
            checkpoint_activations(model, args.activation_checkpointing_kwargs)
            args.activation_checkpointing = args.gradient_checkpointing = False  # or the Trainer would do it its way
        compile_kernels(args.torch_compile)
        self.engine = choose_engine(model, processing_class.pad_token_id, asked=args.engine)
        self.reference = reference if self.method.needs_reference else None
        self.meter, self.step_meter = Meter(), Meter()
        given = [one for one in callbacks or () if isinstance(one, Alarms)]
        self.alarms = given[0] if given else Alarms(None, warnings.warn)
        self.non_finite = NonFinite(skip=args.on_non_finite == "skip", alarm=self._not_finite)
        super().__init__(
            model=model,
            args=args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            data_collator=lambda rows: {"rows": rows},
            callbacks=[*(callbacks or ()), *([] if given else [self.alarms])],
        )
        self.moving: MovingReference | None = None
        if self.method.needs_reference and reference is None:
            self.reference = self._reference(chain(train_dataset, eval_dataset or ()))
        if isinstance(self.reference, FrozenCopy):
            self.reference.model.to(self.args.device)

    def _reference(self, rows: Iterable[TokenRow]) -> Reference:
        """The reference that the settings name, with a callback that moves it where they say so."""
        if self.args.reference_every is None:
            return make_reference(self, rows)
        mix = 1.0 if self.args.reference_mix is None else self.args.reference_mix
        self.moving = MovingReference(self.model, self.args.reference_every, mix)
        self.add_callback(self.moving)
        return self.moving.reference

    def training_step(self, model: Any, inputs: dict[str, Rows], num_items_in_batch: Any = None) -> Tensor:
        """Backward through one optimiser step's rows; returns this process's part of the step's mean loss."""
        model.train()
        rows = self._marked(inputs["rows"], 0 if self.args.dataloader_drop_last else len(self.train_dataset))
        count = self._over_processes(self._weights(rows).sum())
        parts = self._cut(rows)
        self.step_meter = Meter()
        with self._engaged():
            shares = self._backward(model, parts, self.accelerator.num_processes / count)
        loss = torch.stack(shares).sum()
        return loss if self._end_step(model) else torch.zeros_like(loss)

    def _backward(self, model: Any, parts: list[Rows], scale: Tensor) -> list[Tensor]:
        """Backward through each micro-batch; their shares of the step's loss."""
        if self.method.couples_rows:
            return [self._coupled_step(model, parts)]
        shares = []
        records = self._records(model, parts)
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            with nullcontext() if last else self._without_sync(model):
                losses, measures = self._losses(next(records), part)
                loss = losses.sum() * scale
                self._pull(loss, last=last)
            shares.append(loss.detach())
            self.step_meter.add(measures, self._weights(part))
        return shares

    def _not_finite(self, rows: str) -> None:
        self.alarms.raise_alarm("non-finite", self.state.global_step, {"rows": rows})

    def _end_step(self, model: Any) -> bool:
        """What a step leaves behind, unless its loss or gradient was not finite: whether it counts."""
        if self.non_finite.settle(self._norm(model), self.state.global_step, self._over_processes):
            model.zero_grad(set_to_none=True)  # an optimiser changes no weight that has no gradient
            self.running.drop()
            return False
        if self.deepspeed is not None:
            self.deepspeed.step()
        self.running.settle(self._over_processes)
        self.meter.join(self.step_meter)
        return True

    @property
    def constants(self) -> dict[str, Any]:
        """The method's constants at this step: beta may be on its way."""
        constants: dict[str, Any] = self.method.with_constants(self.args.constants)
        if self.args.beta_end is not None:
            done = self.state.global_step / max(1, self.state.max_steps - 1)
            constants["beta"] += (self.args.beta_end - constants["beta"]) * min(1.0, done)
        return constants

    def _coupled_step(self, model: Any, parts: list[Rows]) -> Tensor:
        """Backward through a loss that is no sum over rows: log-probs of all rows of all processes first, without a
        graph; the loss's slope by each of them; then every micro-batch again with its slopes, so that memory does not
        grow with the step.
        """
        with torch.no_grad():
            records = list(self._records(model, parts))
        rows = [row for part in parts for row in part]
        real = self._weights(rows) > 0
        whole, own = gathered(joined(records), real, self.accelerator)
        loss, found = slopes(lambda record: self._whole_loss(record, rows), whole)
        pulls = [spread(slope[own], real) for slope in found]
        start, processes = 0, self.accelerator.num_processes
        for index, (part, record) in enumerate(zip(parts, records, strict=True)):
            last, here = index == len(parts) - 1, slice(start, start + len(part))
            with nullcontext() if last else self._without_sync(model):
                again = leaves(self.recorder.again(model, part, record))
                pulled = [(pull[here] * leaf).sum() for pull, leaf in zip(pulls, again, strict=True)]
                self._pull(torch.stack(pulled).sum() * processes, last=last)  # which averages over them
            start += len(part)
            self._remember(record, part)
            with torch.no_grad():
                self.step_meter.add(self._measures(record), self._weights(part))
        return loss

    def _whole_loss(self, record: Logps, rows: Rows) -> Tensor:
        """The one loss of all rows; the mean where the function gives several numbers."""
        loss: Tensor = self.method.loss(**self._inputs(record), **self.constants).mean()
        self.non_finite.note(loss[None], rows, self.state.global_step)
        return loss

    def autocast_smart_context_manager(self, cache_enabled: bool | None = True) -> Any:
        """Mixed precision for policy and reference alike; accelerate's own covers the prepared policy only."""
        return self.accelerator.autocast()

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """transformers' schedule, with a warm-up that begins above 0."""
        scheduler = super().create_scheduler(num_training_steps, optimizer)
        return risen(scheduler, self.args.get_warmup_steps(num_training_steps))

    def evaluation_loop(
        self,
        dataloader: Any,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """Loss and metrics as exact means over all rows of the evaluation set."""
        model = self._wrap_model(self.model, training=False)
        model.eval()
        meter, self.evaluated = Meter(), []
        batches = [self._marked(inputs["rows"], len(dataloader.dataset)) for inputs in dataloader]
        cuts = [self._cut(rows) for rows in batches]
        with torch.no_grad(), self._engaged():
            records = self._records(model, [part for parts in cuts for part in parts])
            for parts in cuts:
                losses, measures, weights = self._evaluated(parts, [next(records) for _ in parts])
                meter.add(measures | {"loss": (losses, torch.ones_like(losses))}, weights)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in meter.take(self.accelerator).items()}
        count = sum(not row.filler for rows in batches for row in rows)
        return EvalLoopOutput(predictions=None, label_ids=None, metrics=metrics, num_samples=count)

    def _evaluated(self, parts: list[Rows], records: list[Logps]) -> tuple[Tensor, Measures, Tensor]:
        """Losses, metrics and weights of a batch's rows; a loss that couples rows is taken batch by batch."""
        self.evaluated += zip(parts, records, strict=True)
        measures = [self._measures(record) for record in records]
        together = {name: catenated([one[name] for one in measures]) for name in measures[0]}
        rows = [row for part in parts for row in part]
        weights = self._weights(rows)
        if self.method.couples_rows:
            whole, _ = gathered(joined(records), weights > 0, self.accelerator)
            return self._whole_loss(whole, rows).expand(len(rows)), together, weights
        losses = [self._row_losses(record, part) for record, part in zip(records, parts, strict=True)]
        return torch.cat(losses), together, weights

    @torch.no_grad()
    def measured(self, rows: Rows) -> list[tuple[Rows, Logps]]:
        """Log-probs of rows under the model as it is, on this process alone; KTO's baseline is left out."""
        self.model.eval()
        with self._engaged():
            return [(part, self.recorder.record(self.model, part, torch.zeros(()))) for part in self._cut(rows)]

    def rewards(self, record: Logps) -> list[list[float]]:
        """The implicit rewards of each row's answers: chosen and rejected, the one answer, or a list's, best first."""
        found: list[list[float]] = answer_rewards(self.method, self.constants, self._scored(record)).tolist()
        return found

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the metrics gathered since the last log to a training log line."""
        if "train_loss" in logs:
            steps = self.state.global_step - self._initial_global_step
            mean = self.non_finite.run_loss(logs.pop("train_loss"), steps)
            logs |= {"train_loss": mean} if math.isfinite(mean) else {}  # none: no step was taken, or all left out
        if "loss" in logs:
            logs = logs | {"loss": self.non_finite.line_loss(logs["loss"])} | self.meter.take(self.accelerator)
            self.running.pull = self.running.pull or logs.get("watch/pull")
            logs |= {"beta": self.constants["beta"]} if self.args.beta_end is not None else {}
        super().log(logs, start_time)

    def _finalize_training(self, *args: Any) -> Any:
        """transformers adds the losses since the last log line as this process has them: each has its part."""
        self._tr_loss = self.accelerator.reduce(self._tr_loss, reduction="mean")
        return super()._finalize_training(*args)

    def check_reference(self, rows: Sequence[Any]) -> float:
        """How far policy and reference are apart before the first step, see :func:`step_zero_gap`; nats."""
        return step_zero_gap(self, list(rows))

    def _losses(self, record: Logps, rows: Rows) -> tuple[Tensor, Measures]:
        """The loss of each row, with the graph, and the rows' metrics, without."""
        losses = self._row_losses(record, rows) * self._weights(rows)
        self._remember(record, rows)
        slopes = torch.autograd.grad(losses.sum(), leaves(record), retain_graph=True, allow_unused=True)
        with torch.no_grad():
            return losses, self._measures(record) | watched(record, slopes, self.running.pull)

    def _row_losses(self, record: Logps, rows: Rows) -> Tensor:
        """The loss of each row, times its weight where the data give one."""
        losses: Tensor = self.method.loss(**self._inputs(record), **self.constants, reduction="none")
        self.non_finite.note(losses, rows, self.state.global_step)
        return losses * record.numbers["weight"] if self.args.weighted else losses

    def _inputs(self, record: Any) -> dict[str, Any]:
        """What the loss asks for: of the log-probs, of what the data state, of what the loop keeps."""
        scored = self._scored(record)
        if self.args.margins:
            per_token = self.method.ranks_per_token
            scored = led(scored, record.numbers["margin"], self.constants["beta"], per_token=per_token)
        kept = {name: getattr(self.running, name) for name in KEPT_BY_THE_LOOP} | dict(scored.numbers)
        kept |= scored.statistics if isinstance(scored, PairLogps) else {}
        return {name: kept[name] if name in kept else getattr(scored, name) for name in self.method.inputs}

    def _remember(self, record: Logps, rows: Rows) -> None:
        """What later steps are told of this micro-batch, where the method asks for it."""
        if isinstance(record, PairLogps) and any(name in self.method.inputs for name in KEPT_BY_THE_LOOP):
            scored = self._scored(record)
            gaps_of = record.per_token() if self.method.ranks_per_token else scored
            self.running.add(scored, gaps_of, self._weights(rows))

    def _scored(self, record: Any) -> Any:
        """The record with log-probs per token where the settings say so."""
        return record.per_token() if self.args.length_normalize else record

    def _measures(self, record: Logps) -> Measures:
        measure = measures_of(record)
        found = measure(self.method, self.constants, record)
        if self.args.length_normalize:
            scored = measure(self.method, self.constants, record.per_token())
            found |= {name: value for name, value in scored.items() if name.startswith("rewards/")}
        return found

    def _records(self, model: Any, parts: list[Rows]) -> Iterator[Logps]:
        """Each micro-batch's record, computed when its turn comes.

        A baseline that is estimated needs all mismatched answers before the first record: in one micro-batch they go
        on from its prompts; several make a pass of their own, which leaves the reference's log-probs behind.
        """
        per_token = self.args.length_normalize
        if not self.estimates_z_ref:
            fixed = torch.tensor(self.args.fixed_z_ref or 0.0, device=self.args.device)
            yield from (self.recorder.record(model, part, fixed) for part in parts)
        elif len(parts) == 1:
            record, ratios = self.recorder.with_mismatched(model, parts[0], per_token=per_token)
            yield replace(record, z_ref=self._z_ref(model, [ratios], parts))
        else:
            found = [self.recorder.mismatched(model, part, per_token=per_token) for part in parts]
            z_ref = self._z_ref(model, [ratios for ratios, _ in found], parts)
            for part, (_, reference) in zip(parts, found, strict=True):
                yield self.recorder.record(model, part, z_ref, reference)

    def _z_ref(self, model: Any, ratios: list[Tensor], parts: list[Rows]) -> Tensor:
        """max(0, mean log-ratio of answers set under other prompts), over the whole step and all processes."""
        together, weights = torch.cat(ratios), self._weights([row for part in parts for row in part])
        ratio_sum, count = self._over_processes(torch.stack([(together * weights).sum(), weights.sum()]))
        estimate = (ratio_sum / count).clamp(min=0)
        moving = self.args.z_ref == "ema" and model.training
        return self.running.averaged(estimate) if moving else estimate

    @property
    def recorder(self) -> Recorder:
        """What computes the log-probs of rows, with the engine and the reference as they are now."""
        draw = self.state.global_step if self.model.training else 0
        asked = asked_of_tokens(self.method.inputs)
        return Recorder(self.engine, self.reference, self.args.device, self.compute_loss_context_manager, asked, draw)

    def _engaged(self) -> AbstractContextManager[None]:
        return self.recorder.engaged(self.model)

    def _cut(self, rows: Sequence[Any]) -> list[Rows]:
        """Micro-batches, as many on every process: each forward pass may need all of them."""
        limits = {"max_rows": self.args.micro_batch_size, "max_tokens": self.args.micro_batch_tokens}
        parts = cut(rows, **limits, packed=self.engine.packed)
        if self.accelerator.num_processes == 1:
            return parts
        counts = self.accelerator.gather(torch.tensor([len(parts)], device=self.args.device))
        return cut(rows, **limits, packed=self.engine.packed, least=int(counts.max()))

    def _weights(self, rows: Rows) -> Tensor:
        return weights_of(rows, self.args.device)

    def _over_processes(self, value: Tensor) -> Tensor:
        reduced: Tensor = self.accelerator.reduce(value, reduction="sum")
        return reduced

    def _kept(self) -> list[Kept]:
        """What a checkpoint takes along beside transformers' own files."""
        return [self.running, self.alarms, *([] if self.moving is None else [self.moving])]
