"""Held-out pairs under several checkpoints: log-probs, implicit rewards, and the exact KL per token."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from penchant.data import read_preferences
from penchant.diagnostics import implicit_rewards
from penchant.errors import InputError
from penchant.evaluation.pairs import HeldOut, Rewards
from penchant.logps import AnswerBatch, choose_engine
from penchant.logps.passes import passes
from penchant.models import LoadedModel, load_model
from penchant.objectives import Method
from penchant.records import Array, PreferencePair, TokenPair
from penchant.tokens import EncodeSettings, PromptStyle, encode_pairs


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """How pairs are read, tokenised and computed; ``max_tokens`` positions go through the model at once."""

    max_length: int = 1024
    truncation: str = "drop"
    chat_template: str = "auto"
    dtype: str = "float32"
    max_tokens: int = 4096
    kl: bool = True
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True)
class _Scored:
    """Sums of log-probs, shape (pairs, 2): chosen, rejected."""

    logps: Array
    kl: Array | None


def evaluate_models(
    models: Sequence[str],
    data: Sequence[str],
    *,
    method: Method,
    constants: Mapping[str, Any],
    reference: str | None,
    settings: EvaluateSettings,
    format: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[list[Rewards], HeldOut]:
    """The rewards of several checkpoints on the same pairs, one model in memory at a time (two for the KL).

    Args:
        models: Folders, adapters, GGUF files or hub names.
        data: Files of preference pairs.
        method: Whose implicit reward is computed.
        constants: Its constants.
        reference: The reference model; left out, the base that all the adapters name.
        settings: See :class:`EvaluateSettings`.
        format: The data's layout, if it should not be recognised.
        say: Takes a line of what was found.

    Raises:
        InputError: if a model or a file is wrong, the tokenizers disagree, or a reference is needed and unknown.
    """
    if len(set(models)) < len(models):
        raise InputError("a model is given twice", where="--model", got=", ".join(models))
    base = reference or common_base(models)
    if method.needs_reference and base is None:
        fix = "Give --reference MODEL, or a method without a reference, such as --method simpo"
        raise InputError(f"method {method.name!r} needs a reference and not every model is an adapter", fix=fix)
    rows = read_preferences(list(data), unpaired=False, format=format)
    say(f"data       {rows.summary()}")
    loaded = _load(base if base is not None else models[0], settings, say, "reference" if base else "model")
    tokens, kept = encode_held_out(rows.rows, loaded.tokenizer, settings, say)
    vocabulary = loaded.tokenizer.get_vocab()
    scored_reference = _score(loaded, tokens, settings, None) if base else None
    results = []
    for name in models:
        if base is None and name == models[0]:
            policy = loaded
        else:
            if base is None or not settings.kl:
                loaded = None  # type: ignore[assignment]  # its memory, before the next is loaded
                gc.collect()
            policy = _load(name, settings, say, "model")
        if policy.tokenizer.get_vocab() != vocabulary:
            raise InputError("its tokenizer is not that of the first model", where=name, fix="Evaluate it on its own")
        scored = _score(policy, tokens, settings, loaded.model if base and settings.kl else None)
        ref = scored_reference.logps if scored_reference is not None else None
        results.append(rewards_of(name, method, constants, scored.logps, ref, tokens, scored.kl))
        del policy
    return results, held_out_of(kept, tokens)


def common_base(models: Sequence[str]) -> str | None:
    """The base that every model, an adapter each, was trained from; nothing if they are not, or differ."""
    bases = set()
    for name in models:
        path = Path(name) / "adapter_config.json"
        if not path.is_file():
            return None
        try:
            bases.add(json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path"))
        except (OSError, ValueError) as error:
            raise InputError(f"the adapter's settings cannot be read: {error}", where=str(path)) from error
    return bases.pop() if len(bases) == 1 else None


def _load(name: str, settings: EvaluateSettings, say: Callable[[str], None], role: str) -> LoadedModel:
    loaded = load_model(name, dtype=settings.dtype, trust_remote_code=settings.trust_remote_code)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded.model.to(device).eval()
    say(f"{role:<10} {loaded.description}")
    return loaded


def encode_held_out(
    pairs: Sequence[PreferencePair], tokenizer: Any, settings: EvaluateSettings, say: Callable[[str], None]
) -> tuple[list[TokenPair], list[PreferencePair]]:
    """Token pairs, and the pairs that they come from."""
    style = PromptStyle.of(tokenizer, settings.chat_template)
    encode = EncodeSettings(settings.max_length, settings.truncation)
    encoding = encode_pairs(pairs, style, encode)
    say("tokens     " + "; ".join(encoding.report(encode)))
    by_source = {pair.source: pair for pair in pairs}
    tokens = list(encoding.rows)
    return tokens, [by_source[row.source] for row in tokens]


@torch.no_grad()
def _score(loaded: LoadedModel, rows: list[TokenPair], settings: EvaluateSettings, reference: Any) -> _Scored:
    """Log-probs by the engine, and with a reference model in memory KL(model, reference) per token."""
    model, pad = loaded.model, loaded.tokenizer.pad_token_id
    device = next(model.parameters()).device
    with torch.enable_grad():
        engine = choose_engine(model, pad)
    groups = [(row.prompt_ids, row.answers) for row in rows]
    logps = np.empty((len(rows), 2))
    kl = np.empty(len(rows)) if reference is not None else None
    with engine.engaged(model):
        for part in passes(groups, max_tokens=settings.max_tokens, packed=engine.packed):
            batch = engine.lay_out([groups[i] for i in part], device)
            logps[part] = engine.logps(model, batch).double().cpu().numpy().reshape(-1, 2)
    if kl is not None:
        for part in passes(groups, max_tokens=settings.max_tokens, packed=False):
            kl[part] = _kl(model, reference, [rows[i] for i in part], pad, device)
    return _Scored(logps, kl)


def _kl(model: Any, reference: Any, rows: list[TokenPair], pad: int, device: Any) -> Array:
    """Mean over both answers' tokens of the KL between the next-token distributions, over the whole vocabulary."""
    prompts = [row.prompt_ids for row in rows for _ in range(2)]
    answers = [answer for row in rows for answer in (row.chosen_ids, row.rejected_ids)]
    batch = AnswerBatch.of(prompts, answers, pad_id=pad, device=device)
    logp_NV, ref_NV = (
        one(
            input_ids=batch.ids_BT, attention_mask=batch.attention_BT, logits_to_keep=batch.keep_BT, use_cache=False
        ).logits.float()
        for one in (model, reference)
    )
    logp_NV, ref_NV = logp_NV.log_softmax(-1), ref_NV.log_softmax(-1)
    kl_N = (logp_NV.exp() * (logp_NV - ref_NV)).sum(-1).cpu().double()
    pair_N = batch.row_N.cpu() // 2
    sums = torch.zeros(len(rows), dtype=torch.float64).index_add(0, pair_N, kl_N)
    result: Array = (sums / torch.bincount(pair_N, minlength=len(rows))).numpy()
    return result


def rewards_of(
    name: str,
    method: Method,
    constants: Mapping[str, Any],
    logps: Array,
    reference: Array | None,
    rows: Sequence[TokenPair],
    kl: Array | None = None,
) -> Rewards:
    """Implicit rewards from sums of log-probs, shape ``(pairs, 2)``: chosen, rejected."""
    lengths = np.array([[len(row.chosen_ids), len(row.rejected_ids)] for row in rows], dtype=float)
    values = implicit_rewards(method, constants, logps, reference if method.needs_reference else None, lengths)
    return Rewards(name, values[:, 0], values[:, 1], kl)


def held_out_of(pairs: Sequence[PreferencePair], rows: Sequence[TokenPair]) -> HeldOut:
    """What is known of the pairs besides rewards."""
    prompts: dict[Any, int] = {}
    clusters = [prompts.setdefault(tuple(row.prompt_ids), len(prompts)) for row in rows]
    difference = np.array([len(row.chosen_ids) - len(row.rejected_ids) for row in rows])
    groups = {
        "source": [pair.source.rpartition(":")[0] for pair in pairs],
        "user turns": [str(_turns(pair)) for pair in pairs],
    }
    return HeldOut(np.array(clusters), difference, groups)


def _turns(pair: PreferencePair) -> int:
    if isinstance(pair.prompt, str):
        return 1
    return sum(turn["role"] == "user" for turn in pair.prompt)
