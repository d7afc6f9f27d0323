"""Rules on the text of one row. Each takes an :class:`Example` and gives a :class:`Finding` or nothing."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from itertools import islice

from penchant.doctor.endings import stops_midway
from penchant.doctor.example import Example
from penchant.doctor.rule import Finding, Rule, Severity, rule
from penchant.errors import shorten

_NEARLY = 0.95
_LETTERS_JUDGED = 400
_REPEATED_PROMPT = 20

_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r\f") + b"\x7f"
_ODD_CHARACTERS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufffd\u202a-\u202e\u2066-\u2069\ufeff]")
"""U+FFFD stands where bytes were lost; the others turn the direction of writing around, or mark a file's start."""

_TOKEN = re.compile(r"<(?:[|｜][A-Za-z_▁0-9]{1,40}[|｜]|</?SYS>|/s|[be]os|(?:start|end)_of_turn)>")
_INSTRUCTION = re.compile(r"\[/?INST\]")
_HEADER = re.compile(r"###+ ?(?:Human|User|Assistant|Instruction|Response):")
_STRUCK_OUT = re.compile(r"<s>[^<>\n]{1,80}</s>")
"""HTML, unless it is the whole text."""
_ASKED = re.compile("^(?:User|Human):", re.MULTILINE)


@rule(
    "D007",
    "near-identical sides",
    Severity.WARNING,
    why="Almost all tokens are on both sides and cancel; the few that differ get the whole push, and the likelihood of "
    "the chosen answer tends to fall with the rejected one's (Pal et al. 2024, arXiv 2402.13228).",
    remedy="Drop the pair unless the small difference is the lesson, as with a corrected digit.",
)
def near_identical(row: Example) -> Finding | None:
    """Equal but for case and white space, or for a middle part under 5 % of the longer answer."""
    if not row.paired:
        return None
    chosen, rejected = row.answers
    if chosen.lstrip()[:1].casefold() != rejected.lstrip()[:1].casefold():
        return None
    longest, shortest = max(len(chosen), len(rejected)), min(len(chosen), len(rejected))
    if shortest >= 0.9 * longest:
        shared = _shared_ends(chosen, rejected)
        if shared >= _NEARLY * longest:
            return Finding(f"{longest - shared} of {longest} characters differ", shared / longest)
    if shortest >= 0.5 * longest and _plain(chosen[:80])[:20] == _plain(rejected[:80])[:20]:
        return Finding("only case or white space differs") if _plain(chosen) == _plain(rejected) else None
    return None


def _plain(text: str) -> str:
    return "".join(text.casefold().split())


def _shared_ends(a: str, b: str) -> int:
    """Characters in the longest common beginning and, after it, the longest common ending."""
    start = _shared_start(a, b)
    rest = min(len(a), len(b)) - start
    return start + _shared_start(a[len(a) - rest :][::-1], b[len(b) - rest :][::-1])


def _shared_start(a: str, b: str) -> int:
    """By halving: slices are compared in C, so no character is looked at from Python."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


@rule(
    "D008",
    "answer looks cut off",
    Severity.WARNING,
    why="An answer that stops in the middle of a sentence is followed by an end-of-turn token, so the model learns to "
    "stop there.",
    remedy="Regenerate with a larger token limit, or drop the row. If only rejected answers are cut, the model learns "
    "completeness and little else.",
)
def cut_off(row: Example) -> Finding | None:
    """A code fence that is never closed; an ending such as "the", "of", a comma or a bare "3."; a last sentence without
    a full stop, where the one before it or the line before it, of its kind, has one."""
    for name, answer in zip(row.names, row.answers, strict=True):
        if "`" in answer and answer.count("```") % 2:
            return Finding(f"{name} leaves a code block open", 2.0)
        if stops_midway(answer):
            return Finding(f"{name} ends with {shorten(answer.rstrip()[-30:])}")
    return None


@rule(
    "D009",
    "answer repeats the prompt",
    Severity.WARNING,
    why="The prompt's tokens then carry loss as if they were the answer, on both sides or, worse, on one.",
    remedy="Take the prompt off the answers; where they hold a whole transcript, give it as messages.",
)
def repeats_prompt(row: Example) -> Finding | None:
    """An answer that begins with the last turn before it, word for word."""
    prompt = row.turns[-1].strip()
    if len(prompt) < _REPEATED_PROMPT:
        return None
    names = [row.names[k] for k, answer in enumerate(row.answers) if answer.lstrip().startswith(prompt)]
    return Finding(f"{' and '.join(names)} begin{'s' if len(names) == 1 else ''} with the prompt") if names else None


@rule(
    "D010",
    "unusual order of turns",
    Severity.WARNING,
    why="Chat templates differ in what they do with it: some refuse, some join turns, some leave one out.",
    remedy="Join turns of one speaker, and put one system turn first.",
)
def turn_order(row: Example) -> Finding | None:
    """A system turn after the first, two turns of one speaker in a row, or a conversation the assistant begins."""
    roles = row.roles
    if len(roles) == 1:
        return None
    for number, (before, role) in enumerate(zip(("", *roles), roles, strict=False), 1):
        if role == "system" and number > 1:
            return Finding(f"turn {number} is the system's")
        if role == before and role != "tool":
            return Finding(f"turns {number - 1} and {number} are both the {role}'s")
        if role == "assistant" and before in ("", "system"):
            return Finding("the assistant speaks before the user")
    return None


@rule(
    "D011",
    "template tokens or headers inside the text",
    Severity.WARNING,
    why="A marker such as <|im_end|> inside a text becomes the special token itself: a turn ends where none does, and "
    "the model learns to write markers.",
    remedy="Strip what another model's template left behind. Where the text is about templates, keep it.",
)
def template_leftovers(row: Example) -> Finding | None:
    """Markers of common chat templates in answers or prompt; an answer that begins with "Assistant:", or holds a turn
    of "User:" and one of "Assistant:" after it."""
    whole = row.whole
    # A single character is looked for many times as fast as a word, and most rows have none of these.
    if not (
        "<" in whole
        or ("[" in whole and "INST]" in whole)
        or ("#" in whole and "###" in whole)
        or (":" in whole and ("\nAssistant:" in whole or "\n\nHuman:" in whole))
    ):
        return None
    for name, text in row.texts():
        found = _marker(text)
        if found:
            return Finding(f"{name} holds {shorten(found)}", 1.0 if name == "prompt" else 2.0)
        if name != "prompt" and (said := _speaks_for_both(text)):
            return Finding(f"{name} {said}", 2.0)
    return None


def _marker(text: str) -> str:
    """The first marker of a template in a text, of each kind in turn; empty where there is none."""
    found = None
    if "<" in text:
        found = _TOKEN.search((_STRUCK_OUT.sub("", text).strip() or text) if "</s>" in text else text)
    if found is None and "INST]" in text:
        found = _INSTRUCTION.search(text)
    if found is None and "###" in text:
        found = next((one for one in _HEADER.finditer(text) if not one[0].startswith("####")), None)
    if found is not None:
        return found[0]
    return next((turn for turn in ("\n\nHuman:", "\n\nAssistant:") if turn in text), "")


def _speaks_for_both(answer: str) -> str:
    """How an answer names its speaker, as only a transcript does; empty for one that does not."""
    if answer.lstrip().startswith("Assistant:"):
        return "begins with 'Assistant:'"
    asked = _ASKED.search(answer) if "\nAssistant:" in answer else None
    if asked is None or answer.find("\nAssistant:", asked.end()) < 0:
        return ""
    return f"holds the turns '{asked[0]}' and 'Assistant:'"


@rule(
    "D012",
    "control or replacement characters",
    Severity.WARNING,
    why="They are rare tokens that mean nothing; U+FFFD marks text that was decoded wrongly and is lost, U+FEFF the "
    "start of a file that was put into another.",
    remedy="Read the source again with its right encoding, or drop the row. U+0080 to U+009F most often come of "
    "Windows-1252 that was read as Latin-1: U+0092 was an apostrophe, U+0093 and U+0094 quotation marks.",
)
def odd_characters(row: Example) -> Finding | None:
    """Control characters but tab, line and page breaks, U+0080 to U+009F too; U+FFFD, U+FEFF; marks that turn the
    writing direction."""
    data = row.whole.encode()
    odd = len(data) - len(data.translate(None, _CONTROLS))
    if not odd and (row.whole.isascii() or not _ODD_CHARACTERS.search(row.whole)):
        return None
    found = [(name, character) for name, text in row.texts() for character in _ODD_CHARACTERS.findall(text)]
    name, first = found[0]
    return Finding(f"{name} holds U+{ord(first):04X}; {len(found)} in all", len(found))


@rule(
    "D013",
    "answer in another script than the prompt",
    Severity.NOTE,
    why="If one side changes the script and the other does not, the pair may teach a language, not a quality.",
    remedy="Read some. Translations and language lessons are right as they are. Only scripts are told apart: English "
    "and French look the same to this rule.",
)
def script_change(row: Example) -> Finding | None:
    """Exactly one side of a pair is mostly in a script that the prompt is not in."""
    if not row.paired or row.whole.isascii():
        return None
    of_prompt = _script(row.turns[-1])
    scripts = [_script(answer) for answer in row.answers]
    if of_prompt is None or None in scripts or sum(script != of_prompt for script in scripts) != 1:
        return None
    side = 0 if scripts[0] != of_prompt else 1
    return Finding(f"the prompt is {of_prompt}, {row.names[side]} is {scripts[side]}")


_ASCII = re.compile(r"[\x00-\x7f]+")


def _script(text: str) -> str | None:
    """The script of at least nine tenths of the first letters, by Unicode's names; ``None`` if mixed or too few."""
    letters = "".join(islice(filter(str.isalpha, text[: 4 * _LETTERS_JUDGED]), _LETTERS_JUDGED))
    if len(letters) < 20:
        return None
    others = _ASCII.sub("", letters)
    counts = Counter(map(_script_of_letter, others)) + Counter(Latin=len(letters) - len(others))
    name, count = counts.most_common(1)[0]
    return name if count >= 0.9 * len(letters) else None


def _script_of_letter(letter: str) -> str:
    word = unicodedata.name(letter, "UNKNOWN").split()[0]
    return "Chinese or Japanese" if word in ("CJK", "HIRAGANA", "KATAKANA") else word.capitalize()


@rule(
    "D015",
    "chosen answer is not rated above the rejected one",
    Severity.WARNING,
    why="The row's own ratings say that it is no preference, or the opposite one. Public sets made of "
    "ratings have such rows where two ratings are equal.",
    remedy="Drop ties; look at the others, whose sides may be swapped: penchant convert makes pairs of ratings.",
)
def rated_otherwise(row: Example) -> Finding | None:
    """The columns with the two answers' ratings are equal or the other way round, and the row is no stated tie."""
    if row.gap is None or row.gap > 0 or row.tie or not row.paired:
        return None
    return Finding(f"rated {-row.gap:g} below the rejected" if row.gap else "both are rated the same", 1 - row.gap)


RULES: tuple[Rule, ...] = (
    rated_otherwise,
    near_identical,
    cut_off,
    repeats_prompt,
    turn_order,
    template_leftovers,
    odd_characters,
    script_change,
)
