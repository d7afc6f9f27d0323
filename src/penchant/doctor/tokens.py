"""Rules on rows as token ids. Each takes a :class:`TokenRow` and gives a :class:`Finding` or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from penchant.doctor.example import Example
from penchant.doctor.rule import Finding, Record, Rule, Severity, Verdict, rule
from penchant.errors import InputError, shorten
from penchant.tokens import EncodeSettings, PromptStyle, Tokenised, fit, tokenise


class TokenRow(NamedTuple):
    """A row with its prompt as the template renders it, its tokens, and what truncation leaves of them."""

    example: Example
    rendered: str
    whole: Tokenised
    fitted: tuple[list[int], tuple[list[int], ...]] | None
    settings: EncodeSettings
    style: PromptStyle
    markers: re.Pattern[str]
    tools: tuple[str, ...]


@rule(
    "D201",
    "template refuses the prompt",
    Severity.ERROR,
    why="Training stops at the row, before the first step.",
    remedy="Put the prompt into the order of turns that this model knows (some know no system turn), or drop the row.",
    drops=True,
)
def refused_by_template(fault: InputError) -> Finding:
    """The chat template raises an error on this prompt."""
    return Finding(fault.what)


@rule(
    "D202",
    "template leaves out part of the prompt",
    Severity.WARNING,
    why="The answers then refer to something that the model never sees.",
    remedy="Look at the row with penchant show. Thoughts of earlier turns are left out on purpose by some templates.",
)
def lost_in_template(row: TokenRow) -> Finding | None:
    """A turn's text, but for the white space around it, or a tool's name is not in the rendered prompt."""
    for number, turn in enumerate(row.example.turns, 1):
        if turn.strip() not in row.rendered:
            return Finding(f"turn {number} ({row.example.roles[number - 1]}) is not in the rendering as it stands")
    for tool in row.tools:
        if tool not in row.rendered:
            return Finding(f"the tool {shorten(tool)} is not in the rendering")
    return None


def _tools(row: Record) -> tuple[str, ...]:
    """The names of the tools that a row calls and offers."""
    turns = () if isinstance(row.prompt, str) else row.prompt
    called = [call["function"] for turn in turns for call in turn.get("tool_calls", ())]
    offered = [tool.get("function", tool) for tool in row.template_args.get("tools", ())]
    names = [one.get("name") for one in (*called, *offered) if isinstance(one, Mapping)]
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


@rule(
    "D203",
    "beginning-of-sequence token missing or doubled",
    Severity.WARNING,
    why="Models trained with exactly one at the start lose quality with none or two.",
    remedy="Take the token's text out of the prompt, or correct the model's chat template.",
)
def sequence_start(row: TokenRow) -> Finding | None:
    """The prompt starts with two of them, or with none although the tokenizer puts one before plain text."""
    tokenizer, prompt = row.style.tokenizer, row.whole.prompt
    start = tokenizer.bos_token_id
    if start is None or start == row.style.end_of_turn:
        return None
    if prompt[:2] == [start, start]:
        return Finding(f"the prompt begins with {tokenizer.bos_token} twice")
    if prompt[0] != start and tokenizer("a")["input_ids"][0] == start:
        return Finding(f"the prompt begins without {tokenizer.bos_token}")
    return None


@rule(
    "D204",
    "the model's special tokens spelled out in the text",
    Severity.WARNING,
    why="In a prompt they become the tokens themselves: a turn ends, or begins, inside somebody's text.",
    remedy="Strip them, or put a space inside. In answers the end-of-turn token stays text; others become tokens.",
)
def special_tokens_in_text(row: TokenRow) -> Finding | None:
    """A special token of this tokenizer stands in a text, other than the ending at an answer's end."""
    ending = row.style.tokenizer.convert_ids_to_tokens(row.style.end_of_turn)
    for name, text in row.example.texts():
        found = row.markers.search(text if name == "prompt" else text.removesuffix(ending))
        if found:
            return Finding(f"{name} holds {found[0]!r}", 1.0 if name != "prompt" else 2.0)
    return None


@rule(
    "D205",
    "token across the boundary of prompt and answer",
    Severity.NOTE,
    why="Tokenised together, the prompt's last and the answer's first characters make one token, which generation "
    "could never produce. penchant tokenises such answers on their own; other tools cut the prompt there.",
    remedy="Nothing with penchant. Else end prompts without a space, and begin answers with it.",
)
def straddles(row: TokenRow) -> Finding | None:
    """The joint text's tokens do not begin with the prompt's."""
    names = [name for name, merged in zip(row.example.names, row.whole.merged, strict=True) if merged]
    return Finding(f"the first token of {' and '.join(names)}") if names else None


@rule(
    "D206",
    "tokens do not give the answer back",
    Severity.WARNING,
    why="The model learns another text than the one that was judged: characters were normalised, or are unknown.",
    remedy="Write the text in the form that the tokenizer keeps (NFC, most often), or accept the loss.",
)
def round_trip(row: TokenRow) -> Finding | None:
    """Decoding the answer's tokens does not give the answer, byte for byte."""
    decode = row.style.tokenizer.decode
    before = decode(row.whole.prompt, clean_up_tokenization_spaces=False)
    for name, answer, ids in zip(row.example.names, row.example.answers, row.whole.answers, strict=True):
        wanted = row.style.complete(answer)
        found = decode(row.whole.prompt + ids[:-1], clean_up_tokenization_spaces=False)[len(before) :]
        if found != wanted:
            at = next((k for k, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), len(found))
            return Finding(f"{name} differs from character {at + 1}: {shorten(found[at : at + 20])}")
    return None


@rule(
    "D207",
    "row longer than max_length",
    Severity.WARNING,
    why="Dropped rows teach nothing; cut answers teach how to begin and never how to end; cut prompts lose their "
    "beginning, where instructions stand.",
    remedy="Raise --max-length as far as memory allows, or leave long rows out knowingly.",
)
def too_long(row: TokenRow) -> Finding | None:
    """Prompt and longer answer together have more tokens than ``--max-length``; what the cut takes, and from whom."""
    prompt, answers = row.whole.prompt, row.whole.answers
    over = len(prompt) + max(map(len, answers)) - row.settings.max_length
    if over <= 0:
        return None
    if row.fitted is None:
        sizes = ", ".join(f"{name} {len(ids)}" for name, ids in zip(row.example.names, answers, strict=True))
        return Finding(f"dropped: prompt {len(prompt)}, {sizes} tokens", over)
    kept, parts = row.fitted
    takes = [("prompt", len(prompt) - len(kept), len(prompt))]
    takes += [(n, len(a) - len(b), len(a)) for n, a, b in zip(row.example.names, answers, parts, strict=True)]
    return Finding(
        "cut: " + ", ".join(f"{gone} of {size} tokens of {name}" for name, gone, size in takes if gone), over
    )


@rule(
    "D208",
    "difference lies behind the cut",
    Severity.WARNING,
    why="After the cut both sides are the same tokens: the pair says nothing and is dropped.",
    remedy="Raise --max-length, or use --truncation keep_end, which cuts the prompt instead.",
)
def same_after_cut(row: TokenRow) -> Finding | None:
    """A pair whose answers are equal as far as ``--max-length`` reaches."""
    if row.fitted is None or len(row.fitted[1]) < 2 or row.fitted[1][0] != row.fitted[1][1]:
        return None
    return Finding(f"the first {len(row.fitted[1][0])} tokens are the same")


@rule(
    "D209",
    "template's prompt is not how its answers begin",
    Severity.NOTE,
    why="The generation prompt opens something, a thought for instance, that finished turns do not have. Answers are "
    "put after the generation prompt, as at inference.",
    remedy="See with penchant show that an answer may follow the prompt as it is; else correct the template.",
)
def unfaithful(style: PromptStyle) -> Verdict | None:
    """A finished turn of the template does not begin with its generation prompt."""
    if style.faithful:
        return None
    return Verdict("a finished answer is rendered differently from the generation prompt", Severity.NOTE)


ROW_RULES: tuple[Rule, ...] = (
    lost_in_template,
    sequence_start,
    special_tokens_in_text,
    straddles,
    round_trip,
    too_long,
    same_after_cut,
)
RULES: tuple[Rule, ...] = (refused_by_template, *ROW_RULES, unfaithful)


class TokenExaminer:
    """The rules on tokens, for one tokenizer and one way of cutting."""

    def __init__(self, style: PromptStyle, settings: EncodeSettings) -> None:
        self.style, self.settings = style, settings
        tokens = {str(token) for token in style.tokenizer.added_tokens_decoder.values() if token.special}
        longest_first = sorted(tokens, key=len, reverse=True)
        self._markers = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def tokenised(self, rows: Sequence[Record]) -> Iterator[tuple[int, TokenRow | InputError]]:
        """The rows as tokens, each with its index; the template's refusals first."""
        rendered: list[str] = []
        places: list[int] = []
        for index, row in enumerate(rows):
            try:
                rendered.append(self.style.render(row.prompt, row.source, row.template_args))
                places.append(index)
            except InputError as fault:
                yield index, fault
        examples = [Example.of(rows[index]) for index in places]
        tokens = self._tokenise(rendered, examples)
        for index, example, text, whole in zip(places, examples, rendered, tokens, strict=True):
            fitted = fit(whole, self.settings, self.style) if whole.prompt else None
            yield (
                index,
                TokenRow(example, text, whole, fitted, self.settings, self.style, self._markers, _tools(rows[index])),
            )

    def see(self, rows: Sequence[Record]) -> Iterator[tuple[int, Rule, Finding]]:
        """Findings in some rows, each with the row's index."""
        for index, row in self.tokenised(rows):
            if isinstance(row, InputError):
                yield index, refused_by_template, refused_by_template.check(row)
                continue
            for one in ROW_RULES:
                finding = one.check(row)
                if finding is not None:
                    yield index, one, finding

    @property
    def looked_at(self) -> dict[Rule, int]:
        """Every rule looks at all rows."""
        return {}

    def _tokenise(self, rendered: list[str], examples: list[Example]) -> list[Tokenised]:
        """Pairs and labelled answers may stand in one list; each kind is tokenised together."""
        result: dict[int, Tokenised] = {}
        for count in {len(example.answers) for example in examples}:
            part = [index for index, example in enumerate(examples) if len(example.answers) == count]
            prompts, answers = [rendered[index] for index in part], [examples[index].answers for index in part]
            result |= zip(part, tokenise(prompts, answers, self.style), strict=True)
        return [result[index] for index in range(len(examples))]

    def close(self) -> Iterator[tuple[Rule, Verdict]]:
        """What the template itself deserves to hear."""
        verdict = unfaithful.check(self.style)
        if verdict is not None:
            yield unfaithful, verdict
