"""Two comments on a post, as Stanford's Human Preferences have them: ``labels`` is 1 where A is preferred, 0 for B."""

from __future__ import annotations

from penchant.data.formats.fields import Row, answer_text, describe, number, pair, text, truth
from penchant.data.formats.layout import Layout
from penchant.errors import InputError
from penchant.records import PreferencePair


def convert(row: Row, source: str) -> PreferencePair:
    first = truth(row["labels"])
    if first is None:
        what, fix = '"labels" is neither 1 (A is preferred) nor 0 (B is)', "Drop the row"
        raise InputError(what, where=source, got=describe(row["labels"]), fix=fix, kind="label")
    sides = ("A", "B") if first else ("B", "A")
    chosen, rejected = (answer_text(row[f"human_ref_{side}"], f'"human_ref_{side}"', source) for side in sides)
    numbers = {
        term: number(row[f"score_{side}"], f'"score_{side}"', source)
        for term, side in zip(("chosen_scores", "rejected_scores"), sides, strict=True)
        if row.get(f"score_{side}") is not None
    }
    return pair(_nonempty(row["history"], source), chosen, rejected, source, numbers, row)


def _nonempty(value: object, source: str) -> str:
    post = text(value, '"history"', source)
    if not post.strip():
        raise InputError('"history" is empty', where=source, got=describe(post), fix="Drop the row", kind="empty")
    return post


LAYOUT = Layout(
    name="shp",
    title="SHP pairs",
    columns=("history", "human_ref_A", "human_ref_B", "labels"),
    convert=convert,
    optional=("score_A", "score_B"),
    known="stanfordnlp/SHP",
)
