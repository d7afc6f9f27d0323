"""Print tokens as the model sees them: decoded, special tokens included, and nothing that a terminal would obey."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text


def print_part(
    console: Console, title: str, ids: list[int], colour: str, tokenizer: Any, *, most: int | None, cut: str = ""
) -> None:
    """One part of a row: its title, its number of tokens, and its text on the next line.

    Args:
        console: Where to print.
        title: What the part is, and whether it carries loss.
        ids: Its tokens.
        colour: A style of rich.
        tokenizer: What decodes them.
        most: Characters to print; the middle of a longer text is left out. ``None`` prints all.
        cut: What was cut from the part, in words.
    """
    text = visible(ids, tokenizer)
    if most is not None and len(text) > most:
        text = f"{text[: most // 2]} [...] {text[-most // 2 :]}"
    counts = f"{len(ids):,} token{'s' * (len(ids) != 1)}{f', cut: {cut}' if cut else ''}"
    console.print(Text.assemble((f"{title} ", "bold"), f"{counts}\n", (text, colour)), soft_wrap=True)


def visible(ids: list[int], tokenizer: Any) -> str:
    """Tokens as text, with line breaks as signs and other unprintable characters as their numbers."""
    text = tokenizer.decode(ids, clean_up_tokenization_spaces=False).replace("\n", "⏎").replace("\t", "⇥")
    return "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in text)
