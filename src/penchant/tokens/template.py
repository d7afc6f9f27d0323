"""How a prompt is put to the model, and which token ends the answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from penchant.errors import InputError, shorten
from penchant.records import Prompt, TemplateArgs

_MARK = "PENCHANTANSWER"
_OPEN_TAG = re.compile(r"<\w+>\s*$")
NO_ARGS: TemplateArgs = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PromptStyle:
    """Renders prompts and ends answers for one tokenizer.

    Attributes:
        tokenizer: A transformers tokenizer.
        chat: Whether prompts go through the tokenizer's chat template; a plain string is then one user turn. Without
            it strings are text to be continued.
        end_of_turn: The token id that ends every whole answer.
        lead: What the template writes between its generation prompt and an answer, e.g. the space of Llama 2.
        tail: What it writes between an answer and the end-of-turn token.
        faithful: Whether a finished turn of the template begins with its generation prompt.
        specials: The special tokens that the template's generation prompt is made of.
        opened: The tag that the generation prompt ends with and leaves open, with the white space after it, e.g.
            ``<think>`` and a line break.
    """

    tokenizer: Any
    chat: bool
    end_of_turn: int
    lead: str = ""
    tail: str = ""
    faithful: bool = True
    specials: tuple[str, ...] = ()
    opened: str = ""

    @classmethod
    def of(cls, tokenizer: Any, chat_template: str) -> PromptStyle:
        """The style for ``--chat-template auto`` (use the tokenizer's if it has one) or ``none``.

        Raises:
            InputError: if the word is neither.
        """
        if chat_template not in ("auto", "none"):
            raise InputError(f"no chat template {chat_template!r}", fix='Choose "auto" or "none"')
        chat = chat_template == "auto" and tokenizer.chat_template is not None
        return (
            cls(tokenizer, chat, *_finished_turn(tokenizer)) if chat else cls(tokenizer, chat, tokenizer.eos_token_id)
        )

    def render(self, prompt: Prompt, source: str, template_args: TemplateArgs = NO_ARGS) -> str:
        """The text the model sees before the answer's first token.

        Raises:
            InputError: if a conversation meets a tokenizer without a template, or the template refuses it.
        """
        if not self.chat:
            if template_args:
                raise InputError(
                    "the row has tools or switches for a chat template, and none is in use",
                    where=source,
                    got=shorten(sorted(template_args)),
                    fix="Take a model whose tokenizer has one, or drop the columns",
                )
            if isinstance(prompt, str):
                return prompt
            raise InputError(
                "the prompt is a conversation, and no chat template is in use",
                where=source,
                fix="Take a model whose tokenizer has one, drop --chat-template none, or give the prompt as a string",
            )
        from jinja2.exceptions import TemplateError  # comes with transformers, which this room does without

        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    messages, add_generation_prompt=True, tokenize=False, **template_args
                )
            )
        except TemplateError as error:
            raise InputError(
                f"the model's chat template refuses this prompt: {error}", where=source, got=shorten(prompt)
            ) from error

    def last_special(self, prompt: str) -> int:
        """Where the last of the template's special tokens begins in a rendered prompt; 0 where there is none."""
        return max(0, *(prompt.rfind(token) for token in self.specials)) if self.specials else 0

    def complete(self, answer: str) -> str:
        """The answer as the template writes it in a finished turn, up to the end-of-turn token.

        White space that the answer brings is not doubled, nor a thought that it opens itself or goes on with; an
        end-of-turn token written out at its end is taken off, because one is put there anyway.
        """
        ending = self.tokenizer.convert_ids_to_tokens(self.end_of_turn)
        while answer.endswith(ending):
            answer = answer[: -len(ending)]
        opening = self.lead.split()
        led = answer.lstrip().startswith(opening[0]) if opening else answer[:1].isspace()
        tag = self.opened.rstrip()
        if tag and answer.lstrip().startswith(tag):
            led, answer = True, answer.lstrip().removeprefix(tag).removeprefix(self.opened[len(tag) :])
        elif tag:
            led = led or tag.replace("<", "</") in answer
        closed = self.tail.isspace() and answer[-1:].isspace()
        return f"{'' if led else self.lead}{answer}{'' if closed else self.tail}"

    def describe(self) -> str:
        """One line for the run's summary."""
        ending = f"answers end with {self.tokenizer.convert_ids_to_tokens(self.end_of_turn)!r}"
        if not self.chat:
            return f"plain text, no chat template; {ending}"
        if self.lead:
            ending = f"answers begin with {self.lead!r} and end with {ending.removeprefix('answers end with ')}"
        differs = "" if self.faithful else "; the template renders a finished answer differently from its own prompt"
        if self.opened:
            differs += f"; the prompt ends with an open {self.opened.rstrip()}, which an answer goes on with"
        return f"the model's chat template (a string prompt is one user turn); {ending}{differs}"


def _finished_turn(tokenizer: Any) -> tuple[int, str, str, bool, tuple[str, ...], str]:
    """How the template writes a finished turn: the attributes of :class:`PromptStyle` after ``chat``, in order.

    The end is the first added token after the answer, special by name or not: a base model's tokenizer names only its
    end-of-sequence token, and that is not what the template ends a turn with. Without one it is end-of-sequence.

    Raises:
        InputError: if the template cannot render one question with one answer.
    """
    from jinja2.exceptions import TemplateError

    question = {"role": "user", "content": "Hello"}
    try:
        prompt = str(tokenizer.apply_chat_template([question], add_generation_prompt=True, tokenize=False))
        turns = [question, {"role": "assistant", "content": _MARK}]
        before, mark, after = str(tokenizer.apply_chat_template(turns, tokenize=False)).rpartition(_MARK)
    except TemplateError as error:
        what = f"the model's chat template refuses a question with an answer: {error}"
        raise InputError(what, fix="Use --chat-template none") from error
    if not mark:
        raise InputError("the model's chat template leaves the answer out", fix="Use --chat-template none")
    faithful = before.startswith(prompt)
    lead = before[len(prompt) :] if faithful else ""
    added = {str(token): number for number, token in tokenizer.added_tokens_decoder.items() if str(token).strip()}
    specials = tuple(token for token in added if token in prompt)
    tag = _OPEN_TAG.search(prompt)
    opened = tag[0] if tag else ""
    present = [token for token in added if token in after]
    if not present:
        return int(tokenizer.eos_token_id), lead, "", faithful, specials, opened
    end = min(present, key=lambda token: (after.index(token), -len(token)))
    return added[end], lead, after[: after.index(end)], faithful, specials, opened
