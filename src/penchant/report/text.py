"""What models and data wrote, as text that a page can show and no browser obeys.

Escaping of markup is the template's business (everything is escaped); here are the characters that would turn the
direction of a line, hide, or not be shown at all.
"""

from __future__ import annotations

import unicodedata

_BEGINNING, _END = 4000, 1000
"""Characters that are shown of a long text."""

_KEPT = "\n\t\u200c\u200d"
"""Line breaks, tabs, and the joiners that scripts and emoji need."""


def visible(text: object) -> str:
    """The text with every unprintable character but line breaks, tabs and joiners as its number.

    >>> visible("a\\u202eb")
    'a\\\\u202eb'
    """
    return "".join(one if _shown(one) else f"\\u{ord(one):04x}" for one in str(text))


def _shown(one: str) -> bool:
    return one.isprintable() or one in _KEPT or unicodedata.category(one) == "Zs"


def clipped(text: str) -> str:
    """The beginning and the end of a long text, made :func:`visible`, with what is left out between them counted.

    >>> len(clipped("a" * 100_000)) < 6_000
    True
    """
    left = len(text) - _BEGINNING - _END
    if left <= 0:
        return visible(text)
    return f"{visible(text[:_BEGINNING])} [… {left:,} characters …] {visible(text[-_END:])}"


def token_text(text: str) -> str:
    """A token's text with line breaks and tabs as signs that are followed by them; nothing for an empty token."""
    return visible(text).replace("\n", "⏎\n").replace("\t", "⇥\t")


def number(value: float | None, digits: int = 3) -> str:
    """A number in a sentence: so many significant digits, with a true minus sign.

    >>> number(-0.012345), number(12345.6), number(None), number(0.0)
    ('−0.0123', '12,300', 'unknown', '0')
    """
    if value is None or value != value:
        return "unknown"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    size = abs(value)
    text = (
        f"{float(f'{size:.{digits}g}'):,.10f}".rstrip("0").rstrip(".")
        if 1e-4 <= size < 1e7
        else f"{size:.{digits - 1}e}"
    )
    return f"−{text}" if value < 0 else text


def percent(value: float) -> str:
    """A share in whole percent.

    >>> percent(0.834)
    '83 %'
    """
    return f"{100 * value:.0f} %"
