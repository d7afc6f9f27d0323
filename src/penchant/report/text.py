"""What models and data wrote, as text that a page can show and no browser obeys.

Escaping of markup is the template's business (everything is escaped); here are the characters that would turn the
direction of a line, hide, or not be shown at all.
"""

from __future__ import annotations

import math
import unicodedata

from penchant.evaluation.statistics import Share

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


def percent(share: float) -> str:
    """A share, see :func:`percents`.

    >>> percent(0.834), percent(0.997), percent(1.0)
    ('83 %', '99.7 %', '100 %')
    """
    return percents(share)[0]


def percents(*shares: float) -> list[str]:
    """Shares in percent, with as many decimals, up to three, as tell them from each other and from 0, 50 and 100 %.

    >>> percents(0.505, 0.502, 0.508)
    ['50.5 %', '50.2 %', '50.8 %']
    """
    distinct = {round(one, 5) for one in (*shares, 0.0, 0.5, 1.0) if not math.isnan(one)}
    decimals = next(count for count in range(4) if len({f"{100 * one:.{count}f}" for one in distinct}) == len(distinct))
    return [f"{100 * one:.{decimals}f} %" for one in shares]


def with_interval(share: Share, what: str = "95 % interval ") -> tuple[str, str]:
    """A share and its interval, with the decimals of :func:`percents`."""
    value, low, high = percents(share.value, share.low, share.high)
    return value, "one prompt alone gives no interval" if math.isnan(share.low) else f"{what}{low} to {high}"


def counted(number: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "prompt"), counted(1200, "prompt")
    ('1 prompt', '1,200 prompts')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def in_brief(share: Share) -> str:
    """A share with its interval and count, for tables and charts."""
    value, interval = with_interval(share, "")
    return f"{value} [{interval}] of {share.n:,}"
