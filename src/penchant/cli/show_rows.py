"""``penchant show``: rows of preference data as the model sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from penchant.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from penchant.doctor.example import Example
    from penchant.records import TokenAnswer, TokenPair
    from penchant.tokens import EncodeSettings, PromptStyle
    from penchant.tokens.tokenise import Tokenised

_AROUND = 3
_MOST = 1200
_LABELS = {True: "desirable", False: "undesirable"}
_TIED = ("one answer", "the other")
_GOOD = ("chosen", "desirable")


def show(
    data: Annotated[list[str], Parameter(consume_multiple=True, negative="")],
    *,
    model: str,
    rows: Annotated[int, Parameter(name=["--rows", "-n"])] = 3,
    skip: int = 0,
    full: bool = False,
    max_length: int = 1024,
    truncation: str = "drop",
    chat_template: str = "auto",
    trust_remote_code: bool = False,
    format: str | None = None,
) -> None:
    """Show rows as the model sees them: prompt, answers, what carries loss, and the tokens at the boundary.

    Parameters
    ----------
    data
        One or more files of preference pairs or labelled answers.
    model
        A folder, a .gguf file or a hub name; its tokenizer is loaded, not its weights.
    rows
        How many rows.
    skip
        How many rows to pass over first.
    full
        Print long texts whole.
    max_length
        Most tokens of prompt and answer.
    truncation
        What happens to longer rows: drop, keep_start (cut the answer) or keep_end (cut the prompt).
    chat_template
        auto (the tokenizer's, if it has one) or none (plain text).
    trust_remote_code
        Let code that comes with the model run.
    format
        The data's layout, if it should not be recognised from its fields.
    """
    from itertools import islice

    from rich.console import Console

    from penchant.cli.train import require_training
    from penchant.doctor import read_rows

    if rows < 1 or skip < 0:
        raise InputError("--rows must be at least 1 and --skip at least 0", got=f"{rows} and {skip}")
    wanted = list(islice(read_rows(data, format), skip, skip + rows))
    if not wanted:
        raise InputError("the data has no row after those that are passed over", where="--skip", got=str(skip))
    require_training()
    from penchant.doctor.tokens import TokenExaminer
    from penchant.models import load_tokenizer
    from penchant.records import TokenAnswer, TokenPair
    from penchant.tokens import EncodeSettings, PromptStyle

    style = PromptStyle.of(load_tokenizer(model, trust_remote_code=trust_remote_code), chat_template)
    settings = EncodeSettings(max_length, truncation)
    examiner = TokenExaminer(style, settings)
    console = Console(highlight=False, markup=False)
    console.print(style.describe(), soft_wrap=True)
    for row in wanted:
        console.print(f"\n{row.source}", style="bold", soft_wrap=True)
        if row.record is None:
            console.print(f"refused: {row.fault}", style="red", soft_wrap=True)
            continue
        if isinstance(row.record, TokenPair | TokenAnswer):
            console.print("tokens already: taken as they are", soft_wrap=True)
            _print_row(console, *_of_tokens(row.record), style, settings, full)
            continue
        for _, seen in examiner.tokenised([row.record]):
            if isinstance(seen, InputError):
                console.print(f"refused: {seen}", style="red", soft_wrap=True)
                continue
            if seen.example.tie:
                told = "a tie: left out of training, unless the method takes ties (penchant methods --needs ties)"
                console.print(told, style="yellow", soft_wrap=True)
            _print_row(console, seen.whole, _titles(seen.example), style, settings, full)


def _titles(example: Example) -> tuple[str, ...]:
    """What the answers are called."""
    if example.label is not None:
        return (_LABELS[example.label],)
    return _TIED if example.tie else example.names


def _of_tokens(record: TokenPair | TokenAnswer) -> tuple[Tokenised, tuple[str, ...]]:
    """A row that is tokens already, and what its answers are called."""
    from penchant.records import TokenAnswer
    from penchant.tokens.tokenise import Tokenised

    titles = (_LABELS[record.label],) if isinstance(record, TokenAnswer) else ("chosen", "rejected")
    answers = tuple(record.answers[: len(titles)])
    return Tokenised(record.prompt_ids, answers, (False,) * len(answers)), titles


def _print_row(
    console: Console,
    whole: Tokenised,
    titles: tuple[str, ...],
    style: PromptStyle,
    settings: EncodeSettings,
    full: bool,
) -> None:
    """The row within max_length, or what it would be with room for it."""
    from penchant.tokens.show import print_part
    from penchant.tokens.tokenise import fit

    fitted = fit(whole, settings, style)
    prompt, answers = fitted or whole[:2]
    if fitted is None:
        over = f"longer than max_length {settings.max_length}; left out of training, shown whole"
        console.print(f"dropped: {over}", style="red", soft_wrap=True)
    gone = len(whole.prompt) - len(prompt)
    most = None if full else _MOST
    before = f"{gone} before" if gone else ""
    print_part(console, "prompt [no loss]", prompt, "dim", style.tokenizer, most=most, cut=before)
    for title, ids, uncut, merged in zip(titles, answers, whole.answers, whole.merged, strict=True):
        gone = len(uncut) - len(ids)
        cut = f"{gone} after, no end of turn" if gone else ""
        colour = "green" if title in _GOOD else "yellow" if title in _TIED else "red"
        print_part(console, f"{title} [loss]", ids, colour, style.tokenizer, most=most, cut=cut)
        _print_boundary(console, prompt, ids, merged, style.tokenizer)


def _print_boundary(console: Console, prompt: list[int], answer: list[int], merged: bool, tokenizer: Any) -> None:
    """The last tokens of the prompt and the first of the answer, each on its own."""
    from rich.text import Text

    from penchant.tokens.show import visible

    def pieces(ids: list[int]) -> str:
        return " ".join(f"[{visible([one], tokenizer)}]" for one in ids)

    note = "  (tokenised on its own: a token would have straddled the boundary)" if merged else ""
    parts = [("  boundary ", "bold"), (f"{pieces(prompt[-_AROUND:])}", "dim"), (" | ", "bold yellow")]
    ends = "" if len(answer) <= _AROUND + 1 else " ... "
    tail = pieces(answer[-1:]) if ends else ""
    shown = answer[:_AROUND] if ends else answer
    console.print(Text.assemble(*parts, f"{pieces(shown)}{ends}{tail}{note}"), soft_wrap=True)
