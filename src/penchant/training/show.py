"""Print a row as the model sees it: the prompt without loss, the answers with it."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from penchant.records import TokenAnswer, TokenPair

_MOST = 600


def show_first(console: Console, row: TokenPair | TokenAnswer, tokenizer: Any) -> None:
    """Print the first row decoded, special tokens included, with what carries the loss marked."""
    console.print(f"first row ({row.source}), as the model sees it; only the answers carry loss", highlight=False)
    _part(console, "prompt   [no loss]", row.prompt_ids, tokenizer, "dim")
    if isinstance(row, TokenPair):
        _part(console, "chosen   [loss]   ", row.chosen_ids, tokenizer, "green")
        _part(console, "rejected [loss]   ", row.rejected_ids, tokenizer, "red")
    else:
        kind = "desirable" if row.label else "undesirable"
        _part(console, f"{kind} [loss]", row.completion_ids, tokenizer, "green" if row.label else "red")


def _part(console: Console, title: str, ids: list[int], tokenizer: Any, style: str) -> None:
    text = tokenizer.decode(ids).replace("\n", "⏎")
    if len(text) > _MOST:
        text = f"{text[: _MOST // 2]} … {text[-_MOST // 2 :]}"
    console.print(Text.assemble((f"  {title} {len(ids):>4} tokens  ", "bold"), (text, style)), soft_wrap=True)
