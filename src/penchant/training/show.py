"""Print the first row of a run as the model sees it: the prompt without loss, the answers with it."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from penchant.records import TokenList, TokenPair, TokenRow
from penchant.tokens.show import print_part

_MOST = 600


def show_first(console: Console, row: TokenRow, tokenizer: Any) -> None:
    """Print the row decoded, special tokens included, with what carries the loss marked."""
    what = f"first row ({row.source}), as the model sees it; only the answers carry loss"
    console.print(what, highlight=False, markup=False, soft_wrap=True)
    parts = [("prompt [no loss]", row.prompt_ids, "dim")]
    if isinstance(row, TokenPair):
        parts += [("chosen [loss]", row.chosen_ids, "green"), ("rejected [loss]", row.rejected_ids, "red")]
        parts += [("gold [loss]", row.gold_ids, "yellow")] if row.gold_ids else []
    elif isinstance(row, TokenList):
        rated = zip(row.answers, row.scores, strict=True)
        parts += [(f"answer {place}, {score:g} [loss]", ids, "green") for place, (ids, score) in enumerate(rated, 1)]
    else:
        kind, colour = ("desirable", "green") if row.label else ("undesirable", "red")
        parts.append((f"{kind} [loss]", row.completion_ids, colour))
    for title, ids, colour in parts:
        print_part(console, f"  {title}", ids, colour, tokenizer, most=_MOST)
