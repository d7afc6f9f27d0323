"""``penchant sample``: k answers to every prompt, in a file that goes on where a kill stopped it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from penchant.errors import InputError
from penchant.evaluation.answer import Answer
from penchant.evaluation.ledger import Ledger
from penchant.evaluation.prompts import PromptSet, digest, plain, prompt_key
from penchant.evaluation.sample import generate
from penchant.models import LoadedModel
from penchant.tokens import PromptStyle, prompt_ids


@dataclass(frozen=True, slots=True)
class SampleSettings:
    """How answers are drawn. All of it, the model with its number type and the prompts together decide every answer."""

    samples: int = 1
    max_new_tokens: int = 256
    temperature: float = 0.7
    top_p: float = 1.0
    seed: int = 0
    batch_size: int = 32
    max_prompt_tokens: int = 2048
    chat_template: str = "auto"

    def __post_init__(self) -> None:
        for name in ("samples", "max_new_tokens", "batch_size", "max_prompt_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1", got=str(getattr(self, name)))
        if not 0 <= self.temperature < float("inf"):
            raise InputError("temperature must be a number >= 0", got=str(self.temperature))
        if not 0 < self.top_p <= 1:
            raise InputError("top_p must be in (0, 1]", got=str(self.top_p))
        if self.temperature == 0 and self.samples > 1:
            raise InputError("at temperature 0 all samples of a prompt are the same", fix="Raise it, or --samples 1")


@dataclass(frozen=True, slots=True)
class SampleResult:
    """What a sampling run left: answers in the file, how many of them this call drew, and prompts left out."""

    path: Path
    answers: int
    drawn: int
    too_long: list[str]


@dataclass(frozen=True, slots=True)
class _Job:
    prompt: Any
    ids: list[int]
    index: int


Draw = Callable[[list[list[int]], int], list[Answer]]
"""Draws one answer to each prompt (token ids), with a seed."""


def sample_to_file(
    loaded: LoadedModel,
    prompts: PromptSet,
    output: Path,
    settings: SampleSettings,
    *,
    draw: Draw | None = None,
    on_batch: Callable[[int, int], None] = lambda done, total: None,
) -> SampleResult:
    """Draw the answers that the file does not hold yet.

    Batches are laid out from all prompts alike whether or not some are done, and each has a seed of its own, so that a
    run that was killed and called again holds the answers of one that was not.

    Args:
        loaded: The model.
        prompts: The prompts.
        output: JSON Lines; one row per answer with its prompt, sample index, batch seed and the run's settings key.
        settings: How to draw.
        draw: Draws a batch instead of transformers' ``generate``, such as vLLM.
        on_batch: Called with the numbers of answers in the file and in all.

    Raises:
        InputError: if the file holds answers of other settings, or a model or prompt is wrong.
    """
    style = PromptStyle.of(loaded.tokenizer, settings.chat_template)
    key = digest(loaded.name, loaded.description, asdict(settings), sorted(map(prompt_key, prompts.prompts)))
    ledger = Ledger(output, lambda row: f"{row['prompt_key']}/{row['sample']}")
    for row in ledger.rows.values():
        if row.get("run") != key:
            what = "the output file holds answers of another model, other prompts or other settings"
            raise InputError(what, where=str(output), fix="Give another --output")
    jobs, too_long = _jobs(prompts, style, settings)
    if not jobs:
        what = f"all {len(too_long)} prompts are longer than max_prompt_tokens"
        raise InputError(what, got=str(settings.max_prompt_tokens), fix="Raise --max-prompt-tokens")
    draw = draw or _by_transformers(loaded, style, settings)
    drawn = 0
    for number, batch in enumerate(_batches(jobs, settings.batch_size)):
        missing = [job for job in batch if f"{prompt_key(job.prompt)}/{job.index}" not in ledger.rows]
        if not missing:
            continue
        seed = int(digest(settings.seed, number), 16) % 2**32
        answers = draw([job.ids for job in batch], seed)
        new = [(job, answer) for job, answer in zip(batch, answers, strict=True) if job in missing]
        ledger.add(*(_row(job, answer, loaded.name, seed, settings, key) for job, answer in new))
        drawn += len(new)
        on_batch(len(ledger.rows), len(jobs))
    return SampleResult(output, len(ledger.rows), drawn, too_long)


def _jobs(prompts: PromptSet, style: PromptStyle, settings: SampleSettings) -> tuple[list[_Job], list[str]]:
    """One job per prompt and sample, the longest first, so that what does not fit in memory shows at once."""
    jobs, too_long = [], []
    texts = [style.render(prompt, source) for prompt, source in zip(prompts.prompts, prompts.sources, strict=True)]
    for prompt, source, ids in zip(prompts.prompts, prompts.sources, prompt_ids(texts, style), strict=True):
        if len(ids) > settings.max_prompt_tokens:
            too_long.append(source)
            continue
        jobs += [_Job(prompt, ids, index) for index in range(settings.samples)]
    return sorted(jobs, key=lambda job: -len(job.ids)), too_long


def _batches(jobs: Sequence[_Job], size: int) -> Iterator[Sequence[_Job]]:
    for start in range(0, len(jobs), size):
        yield jobs[start : start + size]


def _row(job: _Job, answer: Answer, model: str, seed: int, settings: SampleSettings, run: str) -> dict[str, Any]:
    return {
        "prompt": plain(job.prompt),
        "completion": answer.text,
        "sample": job.index,
        "tokens": answer.tokens,
        "ended": answer.ended,
        "model": model,
        "temperature": settings.temperature,
        "seed": settings.seed,
        "batch_seed": seed,
        "prompt_key": prompt_key(job.prompt),
        "run": run,
    }


def _by_transformers(loaded: LoadedModel, style: PromptStyle, settings: SampleSettings) -> Draw:
    loaded.model.to("cuda" if torch.cuda.is_available() else "cpu")

    def draw(prompts: list[list[int]], seed: int) -> list[Answer]:
        torch.manual_seed(seed)
        answers: list[Answer] = generate(
            loaded.model,
            loaded.tokenizer,
            prompts,
            max_new_tokens=settings.max_new_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            end_of_turn=style.end_of_turn,
        )
        return answers

    return draw


def draw_with_vllm(
    name: str, end_of_turn: int, settings: SampleSettings, *, dtype: str, trust_remote_code: bool = False
) -> Draw:
    """Draw with vLLM, which loads the model itself.

    A model's own generation settings are left out, as transformers' path does: what is not in ``settings`` is vLLM's
    default, and an answer ends where the chat template or the tokenizer says.

    Raises:
        InputError: if vLLM is not installed, or cannot be loaded.
    """
    try:
        from vllm import LLM, SamplingParams
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "vllm"
        what = "vLLM is not installed" if missing else f"vLLM cannot be loaded: {error}"
        raise InputError(what, fix="Run pip install vllm, or leave --engine out") from error
    options = {"dtype": dtype, "trust_remote_code": trust_remote_code, "generation_config": "vllm"}
    engine = LLM(model=name, seed=settings.seed, **options)

    def draw(prompts: list[list[int]], seed: int) -> list[Answer]:
        parameters = [
            SamplingParams(
                temperature=settings.temperature,
                top_p=settings.top_p,
                max_tokens=settings.max_new_tokens,
                seed=(seed + row) % 2**32,
                stop_token_ids=[end_of_turn],
            )
            for row in range(len(prompts))
        ]
        outputs = engine.generate([{"prompt_token_ids": ids} for ids in prompts], parameters)
        first = [output.outputs[0] for output in outputs]
        return [Answer(one.text.strip(), len(one.token_ids), one.finish_reason == "stop") for one in first]

    return draw
