"""The settings of a training run: transformers' own, and the few that preference training adds."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import TrainingArguments

from penchant.errors import InputError, shorten
from penchant.logps import check_engine
from penchant.objectives import Method, get_method
from penchant.training.inputs import check_trainable
from penchant.training.margins import objection
from penchant.training.memory import parse_memory
from penchant.training.presets import preset_learning_rate
from penchant.training.reference_choice import check_choice
from penchant.training.sharding import asked_for, check_sharding
from penchant.training.statistics import asked_of_tokens, needs_distribution
from penchant.training.unsupported import check_supported
from penchant.training.zero import check_zero, settle_zero

DEFAULT_TOKENS = 1024
"""Tokens at once where nothing is given and nothing was measured."""


@dataclass
class PreferenceConfig(TrainingArguments):
    """transformers' TrainingArguments plus the settings of preference training.

    Attributes:
        method: A method of the catalogue, a sum of them (``0.8*dpo + nll``), ``FILE.py:FUNCTION``, or a function whose
            parameters are in the vocabulary.
        constants: The method's constants that differ from its defaults.
        batch_size: Pairs (or labelled answers) per optimiser step, over all processes. If left out it is
            ``per_device_train_batch_size * gradient_accumulation_steps * processes`` where those are given, else 16.
        micro_batch_size: Most rows in one forward pass; left out, only ``micro_batch_tokens`` limits it.
        micro_batch_tokens: Most tokens, padding included, in one forward pass (a single longer row still goes alone);
            left out, 1024 on a CPU and what ``memory`` chooses on a GPU.
        memory: Chooses ``micro_batch_tokens`` before the first step, from two small passes: ``auto`` takes what gives
            nearly the full speed and fits what is free, an amount (``8GB``) is the most that this process may use.
        reference: What the policy is compared with: ``initial`` (the policy before training), ``adapter-off`` (the base
            without any adapter), a model's folder or hub name, ``adapter:FOLDER`` (another adapter on the same base),
            ``store:FOLDER`` (``initial``, kept in a store), or ``none`` (its log-probs count as 0).
        reference_bits: Load a reference that is a model of its own in 4 or 8 bits.
        reference_every: Move the reference every so many steps (TR-DPO); left out, it stands still.
        reference_mix: The policy's share in the reference after a move; left out, 1: it becomes the policy.
        reference_store: A folder that keeps reference log-probs between runs; left out, every step computes them.
        z_ref: Where KTO's baseline comes from: ``batch`` (answers set under other prompts, over the whole step),
            ``ema`` (a moving average of that estimate, a tenth of it new at every step), ``zero``, or a number of nats
            that stays as it is; the last two save a forward pass.
        weighted: Multiply each row's loss by the data's column ``weight``.
        margins: Take the data's column ``margin`` (or the difference of two ratings) from beta times the difference of
            the two answers' log-ratios, in any method of that difference.
        turns: Which of the assistant's turns in a labelled conversation are trained: ``last``, or ``all``, each as a
            row of its own with the turns before it as the prompt and the conversation's label.
        beta_end: Where beta ends, on a straight line over the run; left out, it stays.
        length_normalize: Give the loss log-probs per token in place of sums, of policy and reference alike.
        on_non_finite: What happens to a step whose loss or gradient is not finite: ``stop`` ends the run with the rows
            named, ``skip`` leaves the step out, with an alarm.
        torch_compile: Compile the element-wise parts of lean layers, for policy and reference (needs a C++ compiler).
            The model itself is not compiled: packed rows have a length of their own in every step.
        engine: How log-probs are computed: ``packed`` (several rows in one sequence, each prompt once),
            ``packed-tiled`` (the same without compiled attention on a CPU), ``cached`` (each prompt once, as a
            key-value cache), ``plain-streamed`` (a row for each answer, no logits kept), ``plain`` (the same with
            logits), or ``auto``, the first of these that gives plain rows' numbers on this model. One that is asked for
            and does not is refused.
        max_length: Most tokens of prompt and answer.
        truncation: What happens to longer rows: ``drop``, ``keep_start`` or ``keep_end``.
        token_cache: Where token rows are kept for the next run on the same data: a folder, ``auto`` for the user's
            cache folder, or ``none``.
        chat_template: ``auto`` (the tokenizer's, if it has one) or ``none``.
        lora: Train an adapter; false trains all weights.
        lora_r: Rank of the adapter.
        lora_alpha: Scale of the adapter; left out, twice the rank.
        lora_dropout: Dropout on the adapter's input.
        lora_layers: How many of the last layers get the adapter; left out, all. The backward pass ends
            there.
        lora_target_modules: Layers that get an adapter: ``all-linear`` or a comma-separated list of names.
        dtype: Type of the weights: ``auto`` is float32 on CPU and bfloat16 on an accelerator.
        disable_dropout: Switch the model's own dropout off, so that policy and reference agree before training.
        learning_rate: Left out, the method's preset for adapter or full training.
        report: Measure some rows before and after training and end with report.html; false leaves both out.
        sample_prompts: Prompts of the data to answer before and after training, for the report.
        fsdp: Share weights, gradients and optimiser over the processes (FSDP2); ``accelerate launch`` may ask for it.
        save_steps: Write a checkpoint to resume from every so many steps; left out, only the final model is saved.
    """

    method: str | Callable[..., Any] = "dpo"
    constants: dict[str, Any] = field(default_factory=dict)
    batch_size: int | None = None
    micro_batch_size: int | None = None
    micro_batch_tokens: int | None = None
    memory: str | None = None
    reference: str = "initial"
    reference_bits: int | None = None
    reference_every: int | None = None
    reference_mix: float | None = None
    reference_store: str | None = None
    z_ref: str | float = "batch"
    weighted: bool = False
    margins: bool = False
    turns: str = "last"
    beta_end: float | None = None
    length_normalize: bool = False
    on_non_finite: str = "stop"
    engine: str = "auto"
    max_length: int = 1024
    truncation: str = "drop"
    token_cache: str = "auto"  # noqa: S105 - tokens of text, no password
    chat_template: str = "auto"
    lora: bool = True
    lora_r: int = 16
    lora_alpha: int | None = None
    lora_dropout: float = 0.0
    lora_layers: int | None = None
    lora_target_modules: str = "all-linear"
    dtype: str = "auto"
    disable_dropout: bool = True
    report: bool = True
    sample_prompts: int = 0
    learning_rate: float | None = None
    per_device_train_batch_size: int | None = None
    gradient_accumulation_steps: int = 1
    num_train_epochs: float = 1.0
    lr_scheduler_type: str = "cosine"
    warmup_steps: float = 0.1
    logging_steps: float = 1
    logging_nan_inf_filter: bool = False
    save_strategy: str = "no"
    save_steps: float | None = None
    fsdp: bool | None = None
    ddp_find_unused_parameters: bool | None = False  # a search from the model's output does not see the streamed head
    torch_compile: bool = False
    remove_unused_columns: bool | None = False
    disable_tqdm: bool | None = True
    dataloader_pin_memory: bool = False

    def __post_init__(self) -> None:
        method = get_method(self.method)
        check_trainable(method)
        self.constants = dict(self.constants)
        method.with_constants(self.constants)
        self._check_reference(method)
        self._check_switches(method)
        self._check_ranges()
        check_engine(self.engine)
        self._settle_batch_size()
        if self.learning_rate is None:
            self.learning_rate = preset_learning_rate(method.name, lora=self.lora)
        if self.lora_alpha is None:
            self.lora_alpha = 2 * self.lora_r
        if self.save_steps is not None and self.save_strategy == "no":
            self.save_strategy = "steps"
        self.save_steps = self.save_steps or 500
        settle_zero(self)
        if _started() > 1 and not self.deepspeed and not torch.accelerator.is_available():
            self.use_cpu = True  # or accelerate would leave every process to itself
        compiled, self.torch_compile = self.torch_compile, False  # kernels alone, or accelerate would compile the model
        super().__post_init__()
        self.torch_compile = compiled
        check_sharding(self)
        check_zero(self)
        if self.world_size != _started():
            what = f"{_started()} processes were started, and accelerate joins {self.world_size}"
            raise InputError(what, fix="Start them with torchrun or accelerate launch, as docs/scale.md shows")
        self._settle_budget()
        if self.n_gpu > 1:
            raise InputError(
                f"{self.n_gpu} GPUs are visible to one process",
                fix="Start with accelerate launch -m penchant train ...",
            )
        check_supported(self)
        check_choice(self)
        self._check_distribution(method)

    def _check_reference(self, method: Method) -> None:
        if method.needs_reference or self.reference == "none":
            return
        for name in ("reference", "reference_bits", "reference_every", "reference_mix", "reference_store"):
            if getattr(self, name) not in (None, "initial"):
                raise InputError(f"method {method.name!r} has no reference, so {name} has no effect")

    def _check_distribution(self, method: Method) -> None:
        """A method that reads the reference's whole distribution needs one that makes it in every step."""
        if not needs_distribution(method.inputs):
            return
        if self.reference_store is not None:
            what = f"method {method.name!r} reads the reference's whole distribution, and a store keeps log-probs"
            raise InputError(what, fix="Leave reference_store out: the reference is then computed in every step")
        if self.reference == "none":
            raise InputError(f"method {method.name!r} reads the reference's whole distribution, and there is none")

    def _check_switches(self, method: Method) -> None:
        if self.length_normalize and method.uses_lengths:
            raise InputError(f"method {method.name!r} counts tokens itself, so length_normalize has no place in it")
        if self.length_normalize and asked_of_tokens(method.inputs):
            raise InputError(
                f"method {method.name!r} looks into answers itself, so length_normalize has no place in it"
            )
        why_not = objection(method) if self.margins else None
        if why_not:
            raise InputError(f"method {method.name!r} {why_not}, so margins has no place in it")
        if self.weighted and (method.couples_rows or "weight" in method.inputs):
            why = "has one loss for all rows" if method.couples_rows else "weighs rows itself"
            raise InputError(f"method {method.name!r} {why}, so weighted has no place in it")
        if self.turns not in ("last", "all"):
            raise InputError("turns must be last or all", got=shorten(self.turns))
        if self.turns == "all" and method.data != "answers":
            why = "compares whole conversations, whose earlier turns are the same"
            raise InputError(f"method {method.name!r} {why}, so turns has no place in it")
        if self.beta_end is not None:
            if "beta" not in method.constants:
                raise InputError(f"method {method.name!r} has no beta, so beta_end has no effect")
            method.with_constants({"beta": self.beta_end})
        if self.z_ref != "batch" and "z_ref" not in method.inputs:
            raise InputError(f"method {method.name!r} has no baseline, so z_ref has no effect", got=shorten(self.z_ref))
        if self.fixed_z_ref is not None and not 0 <= self.fixed_z_ref < math.inf:
            raise InputError("z_ref must be at least 0: it estimates a divergence", got=shorten(self.z_ref))

    @property
    def fixed_z_ref(self) -> float | None:
        """The baseline in nats, where it is not estimated."""
        if self.z_ref in ("batch", "ema", "zero"):
            return 0.0 if self.z_ref == "zero" else None
        try:
            return float(self.z_ref)
        except (TypeError, ValueError) as error:
            raise InputError("z_ref must be batch, ema, zero or a number", got=shorten(self.z_ref)) from error

    @property
    def estimates_z_ref(self) -> bool:
        """Whether the baseline is estimated on answers set under other rows' prompts."""
        return "z_ref" in get_method(self.method).inputs and self.fixed_z_ref is None

    def _check_ranges(self) -> None:
        for name in ("batch_size", "micro_batch_size", "micro_batch_tokens", "lora_r", "max_length"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise InputError(f"{name} must be a whole number of at least 1", got=shorten(value))
        if self.on_non_finite not in ("stop", "skip"):
            raise InputError("on_non_finite must be stop or skip", got=shorten(self.on_non_finite))
        if not 0 <= self.lora_dropout < 1:
            raise InputError("lora_dropout must be in [0, 1)", got=str(self.lora_dropout))
        if self.learning_rate is not None and not self.learning_rate >= 0:
            raise InputError("learning_rate must be >= 0", got=str(self.learning_rate))

    def _settle_batch_size(self) -> None:
        """One batch of the data loader is one optimiser step's share; micro-batches are cut from it later."""
        processes = _started()
        if self.per_device_train_batch_size is not None or self.gradient_accumulation_steps != 1:
            if self.batch_size is not None:
                raise InputError(
                    "batch_size counts all pairs of an optimiser step, and was given together with "
                    "per_device_train_batch_size or gradient_accumulation_steps",
                    fix="Give batch_size alone; micro_batch_size sets what goes through the model at once",
                )
            self.micro_batch_size = self.micro_batch_size or self.per_device_train_batch_size
            per_step = (self.per_device_train_batch_size or 16) * self.gradient_accumulation_steps
            self.batch_size, self.gradient_accumulation_steps = per_step * processes, 1
        self.batch_size = self.batch_size or 16
        if self.batch_size % processes:
            raise InputError(
                f"batch_size {self.batch_size} cannot be shared by {processes} processes",
                fix=f"Give a multiple of {processes}",
            )
        self.per_device_train_batch_size = self.batch_size // processes

    def _settle_budget(self) -> None:
        """Tokens at once: as given, or measured before the first step."""
        if self.memory is not None:
            parse_memory(self.memory)
            if self.micro_batch_tokens is not None:
                raise InputError("memory chooses micro_batch_tokens, and both are given", fix="Give one of them")
        elif self.micro_batch_tokens is None and self.device.type == "cuda" and not (self.deepspeed or asked_for(self)):
            self.memory = "auto"
        self.micro_batch_tokens = self.micro_batch_tokens or DEFAULT_TOKENS

    @classmethod
    def from_trl(cls, config: Any = None, *, kind: str | None = None, **settings: Any) -> PreferenceConfig:
        """The settings that mean what TRL's mean; every difference is printed.

        Args:
            config: A ``DPOConfig``, ``KTOConfig``, ``CPOConfig`` or ``ORPOConfig``; what it
                sets beyond its defaults counts.
            kind: Which of them the keywords are of: ``dpo``, ``kto``, ``cpo`` or ``orpo``; left out, read off them.
            **settings: Their keyword names; they win over ``config``.

        Raises:
            InputError: if a setting makes a loss that penchant does not have, or is no setting of a trainer.
        """
        from penchant.training.from_trl import settings_of, translate
        from penchant.training.options import split_options

        found, named = ({}, None) if config is None else settings_of(config)
        options, notes = translate({**found, **settings}, kind or named)
        for note in notes:
            print(f"from TRL   {note}")
        apart = {name: options.pop(name) for name in ("method", "output_dir") if name in options}
        for name in ("model", "data", "resume"):
            options.pop(name, None)
        return cls(**apart, **split_options(options))

    def to_dict(self) -> dict[str, Any]:
        """The settings as transformers writes them down; a function goes by its name."""
        settings: dict[str, Any] = super().to_dict()
        return settings | ({} if isinstance(self.method, str) else {"method": get_method(self.method).name})

    @property
    def full_constants(self) -> dict[str, Any]:
        """All constants of the method, defaults included."""
        return get_method(self.method).with_constants(self.constants)


def _started() -> int:
    """Processes of this run, as its launcher says."""
    return int(os.environ.get("WORLD_SIZE", "1"))
