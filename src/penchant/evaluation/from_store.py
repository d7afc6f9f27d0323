"""Held-out pairs from stores of log-probs: the tokenizer is loaded, and no weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from penchant.data import read_preferences
from penchant.errors import InputError
from penchant.evaluation.checkpoints import EvaluateSettings, common_base, encode_held_out, held_out_of, rewards_of
from penchant.evaluation.pairs import HeldOut, Rewards
from penchant.logps import ReferenceStore, Source
from penchant.logps.store import address
from penchant.models import load_tokenizer
from penchant.objectives import Method
from penchant.records import Array, TokenPair


def evaluate_stored(
    models: Sequence[str],
    data: Sequence[str],
    store: str,
    *,
    method: Method,
    constants: Mapping[str, Any],
    reference: str | None,
    settings: EvaluateSettings,
    format: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[list[Rewards], HeldOut]:
    """The rewards of several checkpoints whose log-probs ``penchant logps`` has computed.

    A checkpoint is known by the name under which it was stored; whether its weights are still the same cannot be seen
    without them, so the beginning of their hash is said. The KL needs the vocabulary and is not computed.

    Raises:
        InputError: if the store lacks a model or one of the pairs, or holds two of that name.
    """
    base = reference or common_base(models)
    if method.needs_reference and base is None:
        fix = "Give --reference with the name that is in the store, or a method without a reference"
        raise InputError(f"method {method.name!r} needs a reference and not every model is an adapter", fix=fix)
    rows = read_preferences(list(data), unpaired=False, format=format)
    say(f"data       {rows.summary()}")
    tokenizer = load_tokenizer(base or models[0], trust_remote_code=settings.trust_remote_code)
    tokens, kept = encode_held_out(rows.rows, tokenizer, settings, say)
    known = _manifests(Path(store))
    ref = _logps(base, known, store, tokens, data, say) if base is not None and method.needs_reference else None
    results = []
    for name in models:
        logps = _logps(name, known, store, tokens, data, say)
        results.append(rewards_of(name, method, constants, logps, ref, tokens))
    return results, held_out_of(kept, tokens)


def _manifests(store: Path) -> dict[str, list[Source]]:
    """What the store holds, by the name of the model."""
    if not store.is_dir():
        raise InputError("no such store", where=str(store), fix='Fill one with "penchant logps"')
    found: dict[str, list[Source]] = {}
    for path in sorted(store.glob("*/manifest.json")):
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            name = str(fields.pop("about", {}).get("model", ""))
            found.setdefault(name, []).append(Source(**fields))
        except (ValueError, OSError, TypeError, AttributeError) as error:
            raise InputError("a manifest of the store is damaged", where=str(path)) from error
    return found


def _logps(
    name: str,
    known: Mapping[str, list[Source]],
    store: str,
    tokens: Sequence[TokenPair],
    data: Sequence[str],
    say: Callable[[str], None],
) -> Array:
    """Sums of log-probs, shape ``(pairs, 2)``: chosen, rejected."""
    fill = f"Run penchant logps {' '.join(data)} --model {name} --store {store}"
    sources = known.get(name, [])
    if not sources:
        raise InputError(f"the store holds nothing of model {name!r}", where=store, got=", ".join(known), fix=fill)
    if len(sources) > 1:
        what = f"the store holds {len(sources)} models of the name {name!r}"
        got = "; ".join(f"{one.key}: weights {one.weights[:12]}, {one.dtype}" for one in sources)
        raise InputError(what, where=store, got=got, fix="Remove the folders of those that are not meant")
    kept = ReferenceStore(store, sources[0])
    say(f"stored     {name}: weights {sources[0].weights[:12]}, {sources[0].dtype}, {len(kept):,} answers")
    found = [
        [kept.sums.get(address(row.prompt_ids, ids)) for ids in (row.chosen_ids, row.rejected_ids)] for row in tokens
    ]
    lacking = sum(one is None for two in found for one in two)
    if lacking:
        what = f"the store lacks {lacking} of {2 * len(tokens)} answers of model {name!r}"
        raise InputError(what, where=store, fix=fill)
    return np.array(found, dtype=float)
