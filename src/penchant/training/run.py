"""``penchant train`` from the data file to the run folder."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging as transformers_logging

from penchant.doctor.checkup import check_up, in_lines
from penchant.doctor.report import Report
from penchant.errors import InputError, shorten
from penchant.logps import Uniform
from penchant.logps.layout import common_beginning
from penchant.models import LoadedModel, automatic_dtype, load_model
from penchant.objectives import Method, get_method
from penchant.tokens import PromptStyle
from penchant.training import zero
from penchant.training.adapters import add_adapter, beside_experts, continued, shown_layers
from penchant.training.alarms import Alarms
from penchant.training.checkpoints import check_state, disk_errors, latest_whole
from penchant.training.class_weights import weight_report
from penchant.training.config import PreferenceConfig
from penchant.training.facts import RunRecord
from penchant.training.fits import check_fits
from penchant.training.hub import push, repository
from penchant.training.memory import settle_budget
from penchant.training.microbatch import positions
from penchant.training.noise import Noise, noise_report
from penchant.training.options import make_config, resolved_options
from penchant.training.plan_rows import planned
from penchant.training.precision import fast_float32
from penchant.training.presets import outside
from penchant.training.progress import ProgressBar
from penchant.training.reading import encode_rows, read_rows_for, split
from penchant.training.references import AGREEMENT
from penchant.training.run_folder import JsonLog, check_free, check_same, created, note_length, write_card, write_start
from penchant.training.session import clear_after, last_metrics, results, saved_history, train_from
from penchant.training.sharding import check_checkpoint, description, whole_loading
from penchant.training.show import show_first
from penchant.training.trainer import PreferenceTrainer

_LOOKED_AT = 64  # rows among which short ones are taken for what is checked before the start


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished run.

    Attributes:
        output_dir: The run folder.
        model: The trained model (with its adapter, if one was trained).
        tokenizer: Its tokenizer.
        metrics: The last evaluation's metrics, or the last training step's where there was none.
        history: The log lines in order, of a long run the last 2,000; ``log.jsonl`` has all.
        reference: What the policy was compared with; None for a method without one.
    """

    output_dir: Path
    model: Any
    tokenizer: Any
    metrics: dict[str, float]
    history: list[dict[str, float]]
    reference: Any = None


def train(
    *,
    model: str | LoadedModel,
    data: Any,
    method: str | Callable[..., Any] = "dpo",
    output_dir: str | Path | None = None,
    eval_data: Any = None,
    eval_split: float = 0.0,
    format: str | None = None,
    resume: bool = False,
    trust_remote_code: bool = False,
    callbacks: Sequence[Any] = (),
    console: Console | None = None,
    command: str | None = None,
    **options: Any,
) -> TrainResult:
    """Train a model on preference data and leave a run folder.

    Args:
        model: A folder, a GGUF file, a hub name, or a model that :func:`penchant.models.load_model` loaded.
        data: One file, several, or an iterable of rows.
        method: A method of the catalogue (``penchant methods`` lists them), a sum of them such as
            ``"0.8*dpo + 0.2*ipo + nll"``, ``"FILE.py:FUNCTION"``, or a function whose parameters are in the vocabulary.
        output_dir: The run folder; left out, ``runs/<method>``.
        eval_data: Data to evaluate on, in the same layouts.
        eval_split: Share of the data set aside for evaluation, if no ``eval_data`` is given.
        format: The data's layout, if it should not be recognised.
        resume: Go on from the last whole checkpoint in ``output_dir``, or from the beginning if there is none yet.
        trust_remote_code: Whether code that comes with the model may run.
        callbacks: transformers callbacks.
        console: Where to print; left out, standard output.
        command: The command to write on the model card; left out, the call that makes this run again.
        **options: Fields of :class:`PreferenceConfig`, and the constants of the method (``beta``, ``lambda_``, ...).

    Raises:
        InputError: if anything given is wrong; nothing is written then.
    """
    console, chosen = console or Console(), get_method(method)
    folder = Path(output_dir or f"runs/{_folder_name(chosen)}")
    _check_request(eval_data, eval_split, resume)
    check_free(folder, resume=resume)
    options = continued(model, options)
    config = make_config(folder, method, options, evaluates=bool(eval_data or eval_split))
    _check_turns(config, eval_split)
    named = {"model": _named(model), "data": _named(data), "method": _named_method(method)}
    others = {"eval_data": _named(eval_data), "eval_split": eval_split or None, "format": format}
    request = {**named, **others, "trust_remote_code": trust_remote_code or None}
    request = {name: value for name, value in request.items() if value is not None} | resolved_options(config, options)
    say = _printer(console, config)
    checkpoint = _going_on(folder, config, request, say) if resume else None
    say(f"method     {_described(chosen)}  {_constants(config)}")
    alarms = Alarms(folder if config.process_index == 0 else None, say)
    rows, held_out, examined = _read(chosen, config, data, eval_data, format, say)
    with fast_float32() as processor:
        loaded = model if isinstance(model, LoadedModel) else _load(str(model), config, trust_remote_code)
        say(f"model      {loaded.description}")
        if config.device.type == "cpu":
            say(f"processor  {processor}")
        style = PromptStyle.of(loaded.tokenizer, config.chat_template)
        train_rows, eval_rows = encode_rows(chosen, rows.rows, held_out and held_out.rows, style, config, say)
        eval_rows, train_rows = (eval_rows, train_rows) if held_out else split(train_rows, eval_split, config.seed)
        check_fits(loaded.model, loaded.tokenizer, chain(train_rows, eval_rows or ()))
        read = f"{_in_words(_named(data))}, {rows.summary()}"
        del rows, held_out  # and with them the texts
        with created(folder):
            progress = ProgressBar(console, chosen.data, len(train_rows), lambda: alarms.counts)
            given = [progress, JsonLog(folder), alarms, *callbacks]
            trainer = _trainer(loaded, config, train_rows, eval_rows, given)
            memory = {"memory": settle_budget(trainer, train_rows)} if config.memory else {}
            facts = _facts(trainer, style, train_rows) | memory | _planned(trainer, train_rows)
            for name, value in facts.items():
                say(f"{name:<10} {value}")
            if trainer.is_world_process_zero():
                show_first(console, train_rows[0], loaded.tokenizer)
            noise = _look_before_the_start(trainer, alarms, train_rows, eval_rows, say) if checkpoint is None else None
            facts |= {"noise": str(noise)} if noise else {}
        facts = {"base model": loaded.description, "data": read} | facts
        command = command or f"penchant.train({', '.join(f'{n}={v!r}' for n, v in request.items())})"
        if trainer.is_world_process_zero():
            note_length(folder, request) if resume else write_start(folder, config, request, command)
        kept = RunRecord(trainer, folder, train_rows, eval_rows)
        kept.begin(facts, command, noise, examined)
        if resume:
            clear_after(trainer, folder, checkpoint)
        with progress.ended():
            train_from(trainer, folder, checkpoint, say)
        for line in alarms.summary():
            say(f"alarm      {line}")
        facts |= results(saved_history(trainer), eval_rows, chosen.data)
        _save(trainer, folder, lambda: write_card(folder, trainer.method, config, facts, command), kept, say)
    history, metrics = trainer.state.log_history, last_metrics(saved_history(trainer))
    return TrainResult(folder, trainer.model, loaded.tokenizer, metrics, history, trainer.reference)


def _going_on(
    folder: Path, config: PreferenceConfig, request: dict[str, Any], say: Callable[[str], None]
) -> Path | None:
    """The checkpoint that a resumed run goes on from; None where it begins again."""
    check_same(folder, request)
    checkpoint = latest_whole(folder, say)
    if checkpoint is None:
        say("resume     there is no whole checkpoint yet: the run begins again")
        return None
    check_state(checkpoint)
    check_checkpoint(checkpoint, config)
    say(f"resume     going on from {checkpoint.name}")
    return checkpoint


def _look_before_the_start(
    trainer: PreferenceTrainer, alarms: Alarms, train_rows: Any, eval_rows: Any, say: Callable[[str], None]
) -> Noise | str | None:
    """Hold policy and reference together, and say how much of a margin is rounding, on a few short rows."""
    few = sorted(train_rows[:_LOOKED_AT], key=lambda row: len(row.prompt_ids) + sum(map(len, row.answers)))[:4]
    gap = trainer.check_reference(few)
    noise = noise_report(trainer, few)
    if noise:
        say(f"noise      {noise}")
    _first_alarms(alarms, trainer, noise, gap, train_rows, eval_rows)
    return noise


def _save(
    trainer: PreferenceTrainer, folder: Path, card: Callable[[], None], kept: RunRecord, say: Callable[[str], None]
) -> None:
    """Weights, card and report."""
    with disk_errors(folder):
        trainer.save_model(str(folder))
        if trainer.is_world_process_zero():
            card()
        say(f"saved      {folder}")
        page = kept.end()
    if page:
        say(f"report     {page}")
    config = trainer.args
    if config.push_to_hub and trainer.is_world_process_zero():
        options = {"private": config.hub_private_repo, "revision": config.hub_revision}
        say(f"pushed     {push(folder, repository(config), **options)}")


def _check_request(eval_data: Any, eval_split: float, resume: bool) -> None:
    if not isinstance(resume, bool):
        raise InputError("resume must be true or false", got=shorten(resume), fix="It goes on in output_dir")
    if not isinstance(eval_split, int | float) or isinstance(eval_split, bool) or not 0 <= eval_split < 1:
        raise InputError("eval_split must be in [0, 1)", got=shorten(eval_split))
    if eval_data and eval_split:
        raise InputError("both eval_data and eval_split are given", fix="Give one of them")


def _check_turns(config: PreferenceConfig, eval_split: float) -> None:
    if config.turns == "all" and eval_split:
        raise InputError("the turns of one conversation would stand on both sides of eval_split", fix="Give eval_data")


def _described(method: Method) -> str:
    return method.name if method.formula == method.name else f"{method.name}: {method.formula}"


def _read(
    method: Method,
    config: PreferenceConfig,
    data: Any,
    eval_data: Any,
    format: str | None,
    say: Callable[[str], None],
) -> tuple[Any, Any, Report | None]:
    """Training and evaluation rows and what the doctor finds in them, with what was read said."""
    rows = read_rows_for(method, config, data, format, "data", say)
    held_out = read_rows_for(method, config, eval_data, format, "eval data", say) if eval_data else None
    examined = check_up(rows.rows, held_out.rows if held_out else None)
    for line in in_lines(examined):
        say(f"doctor     {line}")
    if "is_desirable" in method.inputs:
        say(f"classes    {weight_report(rows.rows, config.full_constants)}")
    return rows, held_out, examined


def _first_alarms(
    alarms: Alarms,
    trainer: PreferenceTrainer,
    noise: Noise | str | None,
    gap: float,
    train_rows: Sequence[Any],
    eval_rows: Sequence[Any],
) -> None:
    """What can be said before the first step, and what the rules need to know."""
    config, method = trainer.args, trainer.method
    alarms.history.facts["rows_per_line"] = config.batch_size * max(1.0, config.logging_steps)
    if config.estimates_z_ref:
        alarms.history.facts["z_ref_estimated"] = 1.0
    if isinstance(noise, Noise):
        alarms.history.facts["noise"] = noise.nats
    for name, value, known in outside(method.name, config.full_constants, config.learning_rate, lora=config.lora):
        values = {"name": name, "value": value, "low": known.low, "high": known.high, "source": known.source}
        alarms.raise_alarm("unusual-setting", 0, values)
    if gap > AGREEMENT or isinstance(trainer.reference, Uniform):
        alarms.history.facts["apart"] = 1.0
    if gap > AGREEMENT:
        alarms.raise_alarm("step-0-disagreement", 0, {"nats": gap})
    asked = Counter(tuple(row.prompt_ids) for row in eval_rows)
    shared = sum(asked.pop(tuple(row.prompt_ids), 0) for row in train_rows) if asked else 0
    if shared:
        alarms.raise_alarm("evaluation-seen", 0, {"rows": shared})


def _folder_name(method: Method) -> str:
    return re.sub(r"[^\w.=-]+", "_", method.name).strip("_")


def _named_method(method: str | Callable[..., Any]) -> str:
    """What a settings file calls the method; a function given from Python by its module and name."""
    if isinstance(method, str):
        return method
    return f"{method.__module__}.{getattr(method, '__qualname__', type(method).__qualname__)}"


def _named(given: Any) -> Any:
    """A model or data as it can stand in a settings file: names as they are, objects by what they are."""
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, Path):
        return str(given)
    if isinstance(given, LoadedModel):
        return given.name
    if isinstance(given, list | tuple) and all(isinstance(item, str | Path) for item in given):
        return [str(item) for item in given]
    return f"rows given from Python ({type(given).__name__})"


def _in_words(named: Any) -> str:
    return ", ".join(named) if isinstance(named, list) else str(named)


def _load(model: str, config: PreferenceConfig, trust_remote_code: bool) -> LoadedModel:
    dtype = automatic_dtype(config.device) if config.dtype == "auto" else config.dtype
    with whole_loading():
        return load_model(model, dtype=dtype, trust_remote_code=trust_remote_code, merge=not config.lora)


def _trainer(
    loaded: LoadedModel,
    config: PreferenceConfig,
    train_rows: Sequence[Any],
    eval_rows: Sequence[Any],
    callbacks: Sequence[Any],
) -> PreferenceTrainer:
    """The trainer with its optimiser made, so that what transformers or a tracker refuses is refused before a run."""
    model = add_adapter(loaded.model, config) if config.lora else loaded.model
    try:
        trainer = PreferenceTrainer(
            model,
            config,
            train_rows,
            eval_rows or None,
            processing_class=loaded.tokenizer,
            callbacks=list(callbacks),
        )
        trainer.create_optimizer()
        trainer.create_scheduler(100, torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0))
        trainer.lr_scheduler = None  # it was made to see that it can be
        if not len(trainer.get_train_dataloader()):
            raise InputError("there are fewer rows than one batch, and dataloader_drop_last drops what is left")
    except InputError:
        raise
    except (ImportError, RuntimeError, TypeError, ValueError) as error:
        cause = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"the trainer cannot be set up: {cause}") from error
    trainer.remove_callback(PrinterCallback)
    return trainer


def _facts(trainer: PreferenceTrainer, style: PromptStyle, rows: Sequence[Any]) -> dict[str, str]:
    """What the summary and the model card say of the training."""
    config, kind = trainer.args, trainer.method.data
    trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    adapted = f"LoRA r={config.lora_r}, alpha={config.lora_alpha} on {_adapted(config)}{beside_experts(trainer.model)}"
    what = adapted if config.lora else "all weights"
    return {
        "training": f"{what}; {trained:,} trained parameters, learning rate {config.learning_rate:g}",
        "reference": trainer.reference.description if trainer.reference else "none (the method has no reference)",
        "engine": trainer.engine.description,
        "prompts": style.describe() + _beginning(trainer, rows),
        "steps": f"{len(rows)} {kind}, {config.batch_size} per optimiser step{_shared(config.world_size)}",
    }


def _beginning(trainer: PreferenceTrainer, rows: Sequence[Any]) -> str:
    """What of the prompts is computed once for all rows that go through together, and how few these are."""
    shared = common_beginning(row.prompt_ids for row in rows) if trainer.engine.packed else 0
    if shared < 2:
        return ""
    budget, own = trainer.args.micro_batch_tokens, sum(map(positions, rows)) / len(rows) - shared
    few = trainer.args.batch_size > 1 and shared + 2 * own > budget and shared > own
    more = f", of {budget:,} tokens here: a row alone, mostly (--micro-batch-tokens)" if few else ""
    return f"; all begin with the same {shared:,} tokens, computed once a micro-batch{more}"


def _planned(trainer: PreferenceTrainer, rows: Sequence[Any]) -> dict[str, str]:
    """The plan, and what shares its weights where they are shared."""
    plan = planned(trainer, rows)
    shared = zero.description if trainer.is_deepspeed_enabled else description if trainer.sharded else None
    if shared is None:
        return {"plan": plan}
    return {"plan": f"{plan}; counted before anything is shared", "sharding": shared(trainer.accelerator)}


def _adapted(config: PreferenceConfig) -> str:
    last = f" of the last {config.lora_layers} layers" if config.lora_layers else ""
    return shown_layers(config.lora_target_modules) + last


def _shared(processes: int) -> str:
    return f" over {processes} processes" if processes > 1 else ""


def _constants(config: PreferenceConfig) -> str:
    return "  ".join(f"{name}={value}" for name, value in config.full_constants.items())


def _printer(console: Console, config: PreferenceConfig) -> Callable[[str], None]:
    """Prints on the main process only, and keeps transformers to warnings."""
    transformers_logging.disable_progress_bar()
    main = config.process_index == 0
    return lambda text: console.print(text, highlight=False, markup=False, soft_wrap=True) if main else None
