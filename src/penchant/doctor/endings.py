"""Whether an answer stops in the middle, by its last words and by how the lines before the last one end."""

from __future__ import annotations

import re

_STOPS = ".!?…。！？।۔؟"
_CLOSERS = "\"'”’»)]*_`」』） "
_LONG_LINE, _LONG_LINE_CJK = 60, 30
"""From here a line without a full stop is no heading, where nothing else shows how the answer writes its sentences."""

# fmt: off
_LEADING_ON = frozenset((
    "the", "an", "and", "or", "of", "from", "into", "than", "because", "if", "your", "their", "our", "my", "with",
    "its", "his", "to", "for", "are", "is", "was", "were", "that", "which", "when", "by", "as", "at", "in", "on",
))
# fmt: on
_OPENERS = "\"'“‘«([*_"
_HANGERS = ",:([{-–+=×*/&<#.)"
"""The last characters of what the next two patterns find."""
_HANGING = re.compile(r"(?:[,:(\[{]|\s[-–+=×*/&<]|\n\s*(?:[-*•+]|#+))$")
"""A comma or an open bracket, an operator, or a list's mark with nothing behind it."""
_BARE_NUMBER = re.compile(r"\n\s*(\d{1,3})([.)])$")
_ITEM = re.compile(r"\s*(?:[-*•+]|\(?(?:\d{1,3}|[A-Za-z])[.)])\s")
_AFTER_STOP = re.compile(
    rf"[{_STOPS}](?:[{re.escape(_CLOSERS.strip())}]*\s+(?=\S)|(?<=[。！？])(?=[^{re.escape(_CLOSERS)}]))"
)
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff]")


def stops_midway(answer: str) -> bool:
    """Whether the answer ends with something that leads on, or without the full stop that it puts elsewhere."""
    text = answer.rstrip()
    if not text[-1:].isalpha():
        return len(text) >= _LONG_LINE and text[-1] in _HANGERS and _hangs(text)
    start = text.rfind("\n") + 1
    last = text[start:]
    word = last[last.rfind(" ") + 1 :].lstrip(_OPENERS)
    if len(text) >= _LONG_LINE and word[:1].lower() + word[1:] in _LEADING_ON:
        return True
    if word[0] in "#@" or "http" in last:
        return False
    mark = _ITEM.match(last)
    *earlier, sentence = _AFTER_STOP.split(last[mark.end() :] if mark else last)
    if earlier:
        return _is_begun(sentence)
    before = _line_like(last, text[: start - 1], mark is not None) if start else None
    if before is None:
        return _is_long(last)
    return before.rstrip(_CLOSERS)[-1:] in _STOPS and _is_begun(sentence)


def _hangs(text: str) -> bool:
    """Whether nothing stands behind the last mark, or behind a number that goes on with a list."""
    if _HANGING.search(text[-20:]):
        return True
    number = _BARE_NUMBER.search(text[-20:])
    return number is not None and f"{int(number[1]) - 1}{number[2]} " in text


def _is_begun(sentence: str) -> bool:
    """Two words at least, and neither a label's value nor the name of who is quoted."""
    words = sentence.rpartition(": ")[2]
    enough = len(words) >= 6 if _CJK.match(words[-1:]) else " " in words
    return enough and sentence[0] not in "-–—"


def _line_like(last: str, before: str, item: bool) -> str | None:
    """The nearest line before the last one of its kind: an item of a list, or a line too long to be a heading of it."""
    end = len(before)
    while end >= 0:
        start = before.rfind("\n", 0, end) + 1
        line = before[start:end].rstrip()
        if (item or 4 * len(line) >= 3 * len(last)) and line[-1:] != ":" and (_ITEM.match(line) is not None) == item:
            return line
        end = start - 1
    return None


def _is_long(line: str) -> bool:
    """Long enough for a sentence, in a script that has full stops or spaces, and no list of words with commas."""
    if _CJK.match(line[-1]):
        return len(line) >= _LONG_LINE_CJK
    spaces = line.count(" ")
    return len(line) >= _LONG_LINE and spaces >= len(line) // 12 and 4 * line.count(",") < spaces
