"""Judges that are models: a reward model's score, or the implicit reward of a policy against its reference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from penchant.diagnostics import implicit_rewards
from penchant.errors import InputError
from penchant.evaluation.checkpoints import common_base
from penchant.evaluation.judges.question import ModelSettings, Question, Reply
from penchant.evaluation.prompts import digest
from penchant.evaluation.whose_reward import whose_reward
from penchant.logps import choose_engine
from penchant.logps.passes import passes
from penchant.logps.store import hash_weights
from penchant.models import DTYPES, LoadedModel, load_model
from penchant.tokens import PromptStyle
from penchant.tokens.tokenise import tokenise


class _Model:
    """Rates whole answers, those of similar length together."""

    name: str
    identity: str
    compares = False
    bradley_terry = True

    def __init__(self, settings: ModelSettings) -> None:
        self.settings = settings

    def _limit(self, model: Any) -> int:
        return int(self.settings.max_length or getattr(model.config, "max_position_embeddings", None) or 1 << 20)

    def replies(self, questions: Sequence[Question]) -> Iterator[tuple[int, Reply]]:
        """A row that does not fit the model, or gets a rating that is no number, has a fault."""
        fitting = []
        for index, question in enumerate(questions):
            row = self._encode(question)
            if isinstance(row, str):
                yield index, Reply(None, "", row, answered=False)
            else:
                fitting.append((index, row))
        for part in self._parts([row for _, row in fitting]):
            ratings = self._rate([fitting[place][1] for place in part])
            for (index, _), rating in zip([fitting[place] for place in part], ratings, strict=True):
                fault = None if math.isfinite(rating) else f"the model's score is {rating}"
                yield index, Reply(None if fault else rating, str(rating), fault)

    def _encode(self, question: Question) -> Any:
        """A row of token ids, or why there is none."""
        raise NotImplementedError

    def _parts(self, rows: list[Any]) -> Iterable[list[int]]:
        """Which rows go through the model together."""
        raise NotImplementedError

    def _rate(self, rows: list[Any]) -> list[float]:
        raise NotImplementedError


class RewardJudge(_Model):
    """A sequence classifier with one label, as transformers loads it.

    The conversation goes through the chat template with the answer in it; a model without one gets prompt and answer
    as a pair of texts.

    Args:
        name: A folder or a hub name.
        settings: See :class:`ModelSettings`.

    Raises:
        InputError: if it cannot be loaded, has weights missing, or has several labels.
    """

    def __init__(self, name: str, settings: ModelSettings) -> None:
        super().__init__(settings)
        self.name = name
        self._tokenizer, self._model = _load_classifier(name, settings)
        self._chat = settings.chat_template == "auto" and self._tokenizer.chat_template is not None
        template = self._tokenizer.chat_template if self._chat else None
        self.identity = digest("reward", hash_weights(self._model), template, settings.dtype)
        self._most = self._limit(self._model)

    def _encode(self, question: Question) -> list[int] | str:
        prompt, (answer,) = question.prompt, question.answers
        if self._chat:
            turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
            turns = [*turns, {"role": "assistant", "content": answer}]
            text = self._tokenizer.apply_chat_template(turns, tokenize=False)
            ids = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        elif isinstance(prompt, str):
            ids = self._tokenizer(prompt, answer)["input_ids"]
        else:
            return "the prompt is a conversation, and the reward model has no chat template"
        return ids if len(ids) <= self._most else f"{len(ids)} tokens, more than {self._most}"

    def _parts(self, rows: list[list[int]]) -> Iterable[list[int]]:
        return passes([(row, [[]]) for row in rows], max_tokens=self.settings.max_tokens, packed=False)

    @torch.no_grad()
    def _rate(self, rows: list[list[int]]) -> list[float]:
        device, pad, width = self._model.device, self._model.config.pad_token_id, max(map(len, rows))
        ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=device)
        scores: list[float] = self._model(input_ids=ids, attention_mask=mask).logits[:, 0].double().tolist()
        return scores


def _load_classifier(name: str, settings: ModelSettings) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    if settings.dtype not in DTYPES:
        raise InputError(f"no dtype {settings.dtype!r}", fix=f"Choose one of {', '.join(DTYPES)}")
    options = {"trust_remote_code": settings.trust_remote_code}
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
        model, report = AutoModelForSequenceClassification.from_pretrained(
            name, dtype=DTYPES[settings.dtype], use_safetensors=True, output_loading_info=True, **options
        )
    except Exception as error:
        cause = " ".join(str(error).split()).rstrip(".")
        fix = "Give a folder or hub name of a sequence classifier with safetensors weights"
        raise InputError(f"cannot load the reward model {name!r}: {cause}", fix=fix) from error
    missing = sorted(report["missing_keys"])
    if missing:
        what = f"{len(missing)} of the reward model's weights are not in its files and would be random"
        raise InputError(what, where=name, got=missing[0], fix="A causal language model has no reward head")
    if model.config.num_labels != 1:
        raise InputError("a reward model has one label", where=name, got=f"{model.config.num_labels} labels")
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    return tokenizer, model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


class ImplicitJudge(_Model):
    """A method's implicit reward: for DPO, beta times the log-ratio of policy and reference.

    Args:
        name: The policy: a folder, an adapter, a GGUF file or a hub name.
        settings: See :class:`ModelSettings`.

    Raises:
        InputError: if a model cannot be loaded, a reference is needed and unknown, or the tokenizers differ.
    """

    def __init__(self, name: str, settings: ModelSettings) -> None:
        super().__init__(settings)
        asked: dict[str, Any] = {"method": settings.method, "beta": settings.beta, "length_normalize": None}
        self._method, self._constants = whose_reward([name], say=lambda line: None, **asked)
        reference = settings.reference or common_base([name])
        if self._method.needs_reference and reference is None:
            fix = "Give --reference MODEL, or a method without a reference, such as --method simpo"
            raise InputError(f"the implicit reward of {self._method.name!r} needs a reference", where=name, fix=fix)
        names = [name, reference] if self._method.needs_reference and reference else [name]
        self._models = [self._load(one) for one in names]
        if len({tuple(sorted(one.tokenizer.get_vocab().items())) for one in self._models}) > 1:
            raise InputError("policy and reference have different tokenizers", where=name, got=str(reference))
        tokenizer = self._models[0].tokenizer
        self._engines = [choose_engine(one.model, tokenizer.pad_token_id) for one in self._models]
        self._style = PromptStyle.of(tokenizer, settings.chat_template)
        self._most = self._limit(self._models[0].model)
        self.name = f"{self._method.name} reward of {name}" + (f" over {reference}" if len(names) > 1 else "")
        hashes = [hash_weights(one.model) for one in self._models]
        template = tokenizer.chat_template if self._style.chat else None
        kept = (self._method.name, self._method.per_token, settings.dtype, template)
        self.identity = digest("implicit", hashes, kept, self._constants)

    def _load(self, name: str) -> LoadedModel:
        loaded = load_model(name, dtype=self.settings.dtype, trust_remote_code=self.settings.trust_remote_code)
        loaded.model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        return loaded

    def _encode(self, question: Question) -> tuple[list[int], list[int]] | str:
        try:
            text = self._style.render(question.prompt, "the prompt")
        except InputError as error:
            return str(error)
        ((prompt, (answer,), _),) = tokenise([text], [question.answers], self._style)
        count = len(prompt) + len(answer)
        return (prompt, answer) if count <= self._most else f"{count} tokens, more than {self._most}"

    def _parts(self, rows: list[tuple[list[int], list[int]]]) -> Iterable[list[int]]:
        groups = [(prompt, [answer]) for prompt, answer in rows]
        packed = all(engine.packed for engine in self._engines)
        return passes(groups, max_tokens=self.settings.max_tokens, packed=packed)

    @torch.no_grad()
    def _rate(self, rows: list[tuple[list[int], list[int]]]) -> list[float]:
        groups = [(prompt, [answer]) for prompt, answer in rows]
        logps = []
        for loaded, engine in zip(self._models, self._engines, strict=True):
            with engine.engaged(loaded.model):
                batch = engine.lay_out(groups, loaded.model.device)
                logps.append(engine.logps(loaded.model, batch).double().cpu())
        lengths = torch.tensor([len(answer) for _, answer in rows], dtype=torch.float64)
        ref = logps[1] if len(logps) > 1 else None
        ratings: list[float] = implicit_rewards(self._method, self._constants, logps[0], ref, lengths).tolist()
        return ratings
