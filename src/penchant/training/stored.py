"""Fill a reference store with rows before the first step, and train from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from accelerate import PartialState

from penchant.data import read_preferences
from penchant.errors import InputError
from penchant.logps import Engine, Group, ReferenceStore, Source, Stored, check_engine, choose_engine
from penchant.logps.passes import passes
from penchant.logps.store import address
from penchant.models import automatic_dtype, disable_dropout, load_model
from penchant.records import TokenAnswer, TokenRow
from penchant.spool import Chosen, Spool
from penchant.tokens import EncodeSettings, PromptStyle, encode_answers, encode_pairs
from penchant.training.precision import fast_float32

_ANSWERS_PER_SHARD, _SECONDS_PER_SHARD = 512, 30
_SAMPLE = 4


@dataclass(frozen=True, slots=True)
class Filling:
    """What a store held of some rows, and what was computed now."""

    asked: int
    computed: int
    seconds: float
    checked: int
    damaged: Sequence[str]

    def __str__(self) -> str:
        found = f"{self.asked - self.computed} of {self.asked} prompts found, {self.checked} of them checked"
        found += "".join(f", damaged shard left out ({damage})" for damage in self.damaged)
        if not self.computed:
            return found
        return f"{found}, {self.computed} computed now ({self.computed / self.seconds:.1f} prompts/s)"


def stored_reference(model: Any, engine: Engine, folder: str, rows: Iterable[Any], **options: Any) -> Stored:
    """A reference read from a store that holds all of the rows; what it lacks is computed first, and told in its
    description.

    The model must not have been trained yet: its log-probs, with an adapter switched off, are the reference's.
    Options are those of :func:`fill`.

    Raises:
        InputError: if the folder is no store, cannot be written, or holds something else for these rows.
    """
    about = options.pop("about", None)
    store = ReferenceStore(folder, Source.of(model, engine), about)
    filling = fill(store, model, engine, all_groups(rows), **options)
    return Stored(model, store, str(filling))


def fill_from_files(
    data: Sequence[str],
    *,
    model: str,
    store: str,
    unpaired: bool,
    format: str | None,
    dtype: str,
    max_length: int,
    truncation: str,
    chat_template: str,
    asked: str,
    max_tokens: int,
    trust_remote_code: bool,
) -> Iterator[str]:
    """Fill a store with what training on these files would ask it for, and describe it line by line.

    Raises:
        InputError: if anything given is wrong.
    """
    if max_tokens < 1:
        raise InputError("max_tokens must be at least 1", got=str(max_tokens))
    check_engine(asked)
    rows = read_preferences(list(data), unpaired=unpaired, format=format)
    yield f"data       {rows.summary()}"
    with fast_float32():
        device = PartialState().device
        if dtype == "auto":
            dtype = automatic_dtype(device)
        loaded = load_model(model, dtype=dtype, trust_remote_code=trust_remote_code)
        yield f"model      {loaded.description}"
        encode: Any = encode_answers if unpaired else encode_pairs
        settings = EncodeSettings(max_length, truncation)
        encoded = encode(rows.rows, PromptStyle.of(loaded.tokenizer, chat_template), settings)
        yield "tokens     " + "; ".join(encoded.report(settings))
        disable_dropout(loaded.model)
        engine = choose_engine(loaded.model.to(device).eval(), loaded.tokenizer.pad_token_id, asked=asked)
        yield f"engine     {engine.description}"
        kept = ReferenceStore(store, Source.of(loaded.model, engine), {"model": loaded.name})
        groups = all_groups(encoded.rows)
        yield f"filled     {fill(kept, loaded.model, engine, groups, device=device, max_tokens=max_tokens)}"
    yield from kept.report()


def group_of(row: TokenRow) -> Group:
    """What a training row asks the reference: its answers, with a mismatched one where a baseline is estimated."""
    mismatched = row.mismatched_ids if isinstance(row, TokenAnswer) else []
    return row.prompt_ids, [*row.answers, *([mismatched] if mismatched else [])]


def all_groups(rows: Iterable[TokenRow]) -> Spool[Group]:
    """What all the rows ask, in their order, out of memory."""
    return Spool(map(group_of, rows))


def fill(
    store: ReferenceStore,
    model: Any,
    engine: Engine,
    groups: Sequence[Group],
    *,
    device: Any,
    max_tokens: int,
    process: tuple[int, int] = (0, 1),
    barrier: Callable[[], None] = lambda: None,
) -> Filling:
    """Compute what the store lacks of the groups, after a few that it holds were computed again and compared.

    Args:
        store: Where the rows go, shard by shard.
        model: What computes; an adapter is switched off.
        engine: The engine that training uses.
        groups: Prompts with their answers.
        device: Where the model is.
        max_tokens: Tokens in one forward pass.
        process: This process and how many there are; each computes its share.
        barrier: Waits for the other processes.

    Raises:
        InputError: if a stored row differs from the same row computed now.
    """
    damaged = tuple(store.damaged)
    missing = store.missing(groups)
    sample = list(islice(filter(store.holds, groups), _SAMPLE))
    for group, logps in computed(model, engine, sample, device, max_tokens):
        store.check([group], torch.tensor([sum(tokens) for tokens in logps], dtype=torch.float64))
    start = written = time.perf_counter()
    waiting: list[tuple[bytes, list[float]]] = []
    mine = Chosen(missing, (k for k, group in enumerate(missing) if owner(group, process[1]) == process[0]))
    for (prompt, answers), logps in computed(model, engine, mine, device, max_tokens):
        waiting += [(address(prompt, answer), tokens) for answer, tokens in zip(answers, logps, strict=True)]
        if len(waiting) >= _ANSWERS_PER_SHARD or time.perf_counter() - written > _SECONDS_PER_SHARD:
            store.add(waiting)
            waiting, written = [], time.perf_counter()
    store.add(waiting)
    barrier()
    if process[1] > 1:
        store.reload()
    return Filling(len(groups), len(missing), time.perf_counter() - start, len(sample), damaged)


def owner(group: Group, processes: int) -> int:
    """The process that computes a group: read off its tokens, since one that opens the store later finds more in it."""
    prompt, answers = group
    return address(prompt, answers[0])[0] % processes


@torch.no_grad()
def computed(
    model: Any, engine: Engine, groups: Sequence[Group], device: Any, max_tokens: int
) -> Iterator[tuple[Group, list[list[float]]]]:
    """Each group with its answers' token log-probs in nats, long groups last, without dropout of any kind."""
    model.eval()
    for places in passes(groups, max_tokens=max_tokens, packed=engine.packed):
        part = [groups[place] for place in places]
        batch = engine.lay_out(part, device)
        with engine.engaged(model), model.disable_adapter() if hasattr(model, "disable_adapter") else nullcontext():
            tokens = engine.token_logps(model, batch).cpu().split(batch.lengths.tolist())
        answers = iter(tokens)
        for group in part:
            yield group, [next(answers).tolist() for _ in group[1]]
