"""Two conversations that differ in their last turn: ``chosen`` and ``rejected`` as lists of messages."""

from __future__ import annotations

from penchant.data.formats.fields import Row, describe, from_text, nearest, pair, quoted
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import read_turns, shared_prompt, split_answer
from penchant.errors import InputError
from penchant.records import Message, PreferencePair


def convert(row: Row, source: str) -> PreferencePair:
    before_chosen, chosen = _conversation(row, "chosen", source)
    before_rejected, rejected = _conversation(row, "rejected", source)
    prompt = shared_prompt(before_chosen, before_rejected, source)
    return pair(prompt, chosen, rejected, source, row=row)


def _conversation(row: Row, column: str, source: str) -> tuple[tuple[Message, ...], str]:
    value = from_text(row[column])
    if not isinstance(value, list | tuple):
        raise _no_prompt(row, column, source)
    before, answer = split_answer(read_turns(value, f'"{column}"', source), f'"{column}"', source)
    if not before:
        raise _no_prompt(row, column, source)
    return before, answer


def _no_prompt(row: Row, column: str, source: str) -> InputError:
    """Answers alone mean that the prompt is in a column of another name more often than that there is none."""
    spare = [name for name in row if name not in LAYOUT.columns]
    renamed = [(near, wanted) for wanted in ("prompt", "conversations") if (near := nearest(wanted, spare))]
    fix = f'Rename {quoted(renamed[0][0])} to "{renamed[0][1]}"' if renamed else 'Add a "prompt" column'
    what = f'with no "prompt" column, "{column}" must be the whole conversation as a list of messages'
    return InputError(what, where=source, got=describe(row[column]), fix=fix)


LAYOUT = Layout(
    name="conversation-pairs",
    title="chosen/rejected conversations",
    columns=("chosen", "rejected"),
    convert=convert,
    known="TRL's implicit prompt, UltraFeedback binarised",
)
