"""Two transcripts that differ in the last answer: ``chosen`` and ``rejected`` as Anthropic's HH data has them.

Turns begin with a blank line and ``Human:`` or ``Assistant:``.
"""

from __future__ import annotations

import re

from penchant.data.formats.fields import Row, describe, pair, text
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import shared_prompt, split_answer
from penchant.errors import InputError
from penchant.records import Message, PreferencePair

_SPEAKER = re.compile(r"\n\n(Human|Assistant):")
_NEXT = "\n\nAssistant:"


def convert(row: Row, source: str) -> PreferencePair:
    before_chosen, chosen = split_answer(read_transcript(row["chosen"], '"chosen"', source), '"chosen"', source)
    before_rejected, rejected = split_answer(
        read_transcript(row["rejected"], '"rejected"', source), '"rejected"', source
    )
    return pair(shared_prompt(before_chosen, before_rejected, source), chosen, rejected, source, row=row)


def read_transcript(value: object, name: str, source: str) -> tuple[Message, ...]:
    """The turns of a transcript, without the white space around each."""
    before, *parts = _SPEAKER.split(f"\n\n{text(value, name, source).lstrip()}")
    if before.strip() or not parts:
        what = f'{name} is no transcript: turns begin with a blank line and "Human:" or "Assistant:"'
        raise InputError(what, where=source, got=describe(value), kind="turns")
    return tuple(
        Message(role="user" if who == "Human" else "assistant", content=said.strip())
        for who, said in zip(parts[::2], parts[1::2], strict=True)
    )


def transcript_prompt(value: object, name: str, source: str) -> tuple[Message, ...]:
    """The turns of a transcript that ends where the assistant is to speak."""
    turns = read_transcript(value, name, source)
    return turns[:-1] if turns[-1]["role"] == "assistant" and not turns[-1]["content"] else turns


LAYOUT = Layout(
    name="transcripts",
    title="chosen/rejected transcripts",
    columns=("chosen", "rejected"),
    convert=convert,
    fits=lambda row: isinstance(row["chosen"], str) and _NEXT in row["chosen"],
    known="Anthropic/hh-rlhf",
)
