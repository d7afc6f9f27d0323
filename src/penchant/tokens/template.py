"""How a prompt is put to the model, and which token ends the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jinja2.exceptions import TemplateError

from penchant.errors import InputError, shorten
from penchant.records import Prompt

_MARK = "PENCHANTANSWER"


@dataclass(frozen=True, slots=True)
class PromptStyle:
    """Renders prompts and ends answers for one tokenizer.

    Attributes:
        tokenizer: A transformers tokenizer.
        chat: Whether prompts go through the tokenizer's chat template; a plain string is then one user turn. Without
            it strings are text to be continued.
        end_of_turn: The token id that ends every whole answer.
    """

    tokenizer: Any
    chat: bool
    end_of_turn: int

    @classmethod
    def of(cls, tokenizer: Any, chat_template: str) -> PromptStyle:
        """The style for ``--chat-template auto`` (use the tokenizer's if it has one) or ``none``.

        Raises:
            InputError: if the word is neither.
        """
        if chat_template not in ("auto", "none"):
            raise InputError(f"no chat template {chat_template!r}", fix='Choose "auto" or "none"')
        chat = chat_template == "auto" and tokenizer.chat_template is not None
        return cls(tokenizer, chat, _end_of_turn(tokenizer) if chat else tokenizer.eos_token_id)

    def render(self, prompt: Prompt, source: str) -> str:
        """The text the model sees before the answer's first token.

        Raises:
            InputError: if a conversation meets a tokenizer without a template, or the template refuses it.
        """
        if not self.chat:
            if isinstance(prompt, str):
                return prompt
            raise InputError(
                "the prompt is a conversation, and no chat template is in use",
                where=source,
                fix="Take a model whose tokenizer has one, drop --chat-template none, or give the prompt as a string",
            )
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
        try:
            return str(self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
        except TemplateError as error:
            raise InputError(
                f"the model's chat template refuses this prompt: {error}", where=source, got=shorten(prompt)
            ) from error

    def describe(self) -> str:
        """One line for the run's summary."""
        ending = f"answers end with {self.tokenizer.convert_ids_to_tokens(self.end_of_turn)!r}"
        if self.chat:
            return f"the model's chat template (a string prompt is one user turn); {ending}"
        return f"plain text, no chat template; {ending}"


def _end_of_turn(tokenizer: Any) -> int:
    """The special token that the template puts after an assistant's turn, else the end-of-sequence token."""
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": _MARK}]
    rendered = str(tokenizer.apply_chat_template(turns, tokenize=False))
    suffix = rendered.rpartition(_MARK)[2]
    special = set(tokenizer.all_special_ids)
    ids = tokenizer(suffix, add_special_tokens=False)["input_ids"]
    return int(next((token for token in ids if token in special), tokenizer.eos_token_id))
