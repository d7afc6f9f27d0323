"""``penchant sample``: a model's own answers, the raw material of on-policy pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from penchant.errors import InputError, suggest


def sample(
    *,
    model: str,
    prompts: Path,
    output: Path,
    samples: int = 1,
    max_new_tokens: int = 256,
    temperature: float = 0.7,
    top_p: float = 1.0,
    seed: int = 0,
    batch_size: int = 32,
    max_prompt_tokens: int = 2048,
    chat_template: str = "auto",
    dtype: str = "float32",
    engine: str = "transformers",
    trust_remote_code: bool = False,
) -> None:
    """Sample answers to prompts into a JSONL file. Called again after a kill, it goes on.

    Parameters
    ----------
    model
        A folder, an adapter, a .gguf file, or a hub name.
    prompts
        A file with prompts (JSONL, JSON, Parquet, or text with one on each line), or preference data.
    output
        The JSONL file that is appended to.
    samples
        Answers per prompt.
    max_new_tokens
        Where an answer that does not end is cut.
    temperature
        0 takes the most probable token.
    top_p
        Sample from the most probable tokens that together have this probability.
    seed
        Fixes the answers, given the batch size.
    batch_size
        Answers drawn at once.
    max_prompt_tokens
        Longer prompts are left out and counted.
    chat_template
        auto (the tokenizer's, if it has one) or none (plain text).
    dtype
        Type of the weights: float32, bfloat16, float16 or float64.
    engine
        transformers or vllm.
    trust_remote_code
        Let code that comes with the model run.
    """
    from penchant.cli.train import require_models

    if engine not in ("transformers", "vllm"):
        raise InputError(f"no engine {engine!r}", fix=suggest(engine, ("transformers", "vllm")))
    require_models()
    from penchant.evaluation.prompts import read_prompts
    from penchant.evaluation.sampling import SampleSettings, sample_to_file

    settings = SampleSettings(
        samples=samples,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        batch_size=batch_size,
        max_prompt_tokens=max_prompt_tokens,
        chat_template=chat_template,
    )
    found = read_prompts(prompts)
    repeats = f" ({found.repeats} repeats left out)" if found.repeats else ""
    print(f"prompts    {len(found.prompts)} of {prompts}{repeats}")
    loaded, draw = _load(model, settings, dtype, engine, trust_remote_code)
    result = sample_to_file(loaded, found, output, settings, draw=draw, on_batch=_progress)
    if result.too_long:
        print(f"left out   {len(result.too_long)} prompts of over {max_prompt_tokens} tokens ({result.too_long[0]})")
    print(f"saved      {result.answers} answers in {output}, {result.drawn} of them drawn now")


def _load(model: str, settings: Any, dtype: str, engine: str, trust_remote_code: bool) -> tuple[Any, Any]:
    """The model; with vLLM, its tokenizer alone and a way to draw."""
    from penchant.models import LoadedModel, load_model, load_tokenizer

    if engine == "transformers":
        loaded = load_model(model, dtype=dtype, trust_remote_code=trust_remote_code)
        print(f"model      {loaded.description}")
        return loaded, None
    if (Path(model) / "adapter_config.json").is_file() or model.endswith(".gguf"):
        fix = "Merge it into a folder of weights, or leave --engine out"
        raise InputError("vLLM is given whole models here, no adapters and no GGUF files", where=model, fix=fix)
    from penchant.evaluation.sampling import draw_with_vllm
    from penchant.tokens import PromptStyle

    tokenizer = load_tokenizer(model, trust_remote_code=trust_remote_code)
    style = PromptStyle.of(tokenizer, settings.chat_template)
    return LoadedModel(None, tokenizer, f"{model} (vLLM, {dtype})", model), draw_with_vllm(
        model, style.end_of_turn, settings, dtype=dtype, trust_remote_code=trust_remote_code
    )


def _progress(done: int, total: int) -> None:
    print(f"           {done} of {total} answers", flush=True)
