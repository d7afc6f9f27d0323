"""An answer that a model gave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """A sampled answer: its text, its length in tokens (end-of-turn included), and whether it ended by itself."""

    text: str
    tokens: int
    ended: bool
