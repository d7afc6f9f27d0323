"""``penchant convert``: preference data of any layout into another."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from penchant.cli.idle import refuse_idle
from penchant.errors import InputError


def convert(
    *paths: str,
    to: Literal["pairs", "unpaired", "ratings", "ranking", "chatml", "trl"],
    pairs: Literal["best-worst", "best-rest", "all"] = "best-worst",
    margin: float = 0.0,
    ties: Literal["drop", "keep", "both"] = "drop",
    strength: Literal["stated", "weight", "margin"] = "stated",
    threshold: float | None = None,
    turns: Literal["last", "all"] = "last",
    format: str | None = None,
) -> None:
    """Convert preference data into another layout; rows that cannot be are written beside it with the reason.

    Parameters
    ----------
    paths
        IN OUT, or several and OUT: files, folders or Hugging Face datasets in any layout that training reads, and last
        a .jsonl file that is not there yet; refused rows go to .refused.jsonl beside it.
    to
        pairs, unpaired (answers with labels), ratings (one answer with its score in each row), ranking (all answers to
        a prompt in each row), chatml (whole conversations) or trl (TRL's columns).
    pairs
        Which pairs a list of rated answers becomes: the best with the worst, the best with every other, or all.
    margin
        The least difference between the scores of a pair.
    ties
        Leave them out, keep them marked with is_tie, or write both orders, each with half the weight.
    strength
        Keep probabilities and ratings as they are stated, or turn a probability p into 2p - 1 as weight or margin.
    threshold
        For unpaired: the least score of a good answer. Without it a list's best is good and its worst is bad.
    turns
        Of labelled conversations the last assistant's turn, or all, each a row of its own with the same label.
    format
        The data's layout, if it should not be recognised from its fields.
    """
    from penchant.data.convert import Conversion
    from penchant.data.convert import convert as write
    from penchant.data.shaping import Pairing
    from penchant.data.write import check_writable

    *data, last = paths or ("",)
    if not data:
        raise InputError("two names are wanted, of what is read and of what is written", got=" ".join(paths))
    if to != "unpaired":
        refuse_idle({"--threshold": threshold}, "is given without --to unpaired", "Leave it out")
    if to in ("unpaired", "ratings", "ranking"):
        refuse_idle({"--margin": margin or None}, f"is of pairs, and --to {to} writes none", "Leave it out")
    out = Path(last)
    check_writable(out, "OUT")
    how = Conversion(to, Pairing(pairs, margin), ties, strength, threshold, turns)
    print(write(data, out, how, format).summary())
