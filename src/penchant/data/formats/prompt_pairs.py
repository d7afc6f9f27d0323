"""A prompt beside two answers: ``prompt``, ``chosen``, ``rejected``, each a string or a list of messages.

An answer as a list of messages holds the assistant's turn alone, or repeats the prompt before it as UltraFeedback does.
"""

from __future__ import annotations

from penchant.data.formats.fields import Row, pair
from penchant.data.formats.layout import Layout
from penchant.data.formats.turns import read_answer, read_prompt
from penchant.records import PreferencePair


def convert(row: Row, source: str) -> PreferencePair:
    prompt = read_prompt(row["prompt"], '"prompt"', source)
    chosen = read_answer(row["chosen"], '"chosen"', prompt, source)
    rejected = read_answer(row["rejected"], '"rejected"', prompt, source)
    return pair(prompt, chosen, rejected, source, row=row)


LAYOUT = Layout(
    name="prompt-pairs",
    title="prompt/chosen/rejected pairs",
    columns=("prompt", "chosen", "rejected"),
    convert=convert,
    known="TRL, OpenRLHF, most of the hub",
)
