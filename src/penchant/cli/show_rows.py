"""``penchant show``: rows of preference data as the model sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from penchant.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from penchant.doctor.tokens import TokenRow

_AROUND = 3
_MOST = 1200


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
    examiner = TokenExaminer(style, EncodeSettings(max_length, truncation))
    console = Console(highlight=False, markup=False)
    console.print(style.describe(), soft_wrap=True)
    for row in wanted:
        console.print(f"\n{row.source}", style="bold", soft_wrap=True)
        if row.record is None:
            console.print(f"refused: {row.fault}", style="red", soft_wrap=True)
            continue
        if isinstance(row.record, TokenPair | TokenAnswer):
            raise InputError("the row is tokens already, and show starts from text", where=row.source)
        for _, seen in examiner.tokenised([row.record]):
            if isinstance(seen, InputError):
                console.print(f"refused: {seen}", style="red", soft_wrap=True)
            else:
                _print_row(console, seen, full)


def _print_row(console: Console, row: TokenRow, full: bool) -> None:
    """The row within max_length, or what it would be with room for it."""
    from penchant.tokens.show import print_part

    prompt, answers = row.fitted or row.whole[:2]
    tokenizer = row.style.tokenizer
    if row.fitted is None:
        over = f"longer than max_length {row.settings.max_length}; left out of training, shown whole"
        console.print(f"dropped: {over}", style="red", soft_wrap=True)
    gone = len(row.whole.prompt) - len(prompt)
    most = None if full else _MOST
    before = f"{gone} before" if gone else ""
    print_part(console, "prompt [no loss]", prompt, "dim", tokenizer, most=most, cut=before)
    for name, ids, whole, merged in zip(row.example.names, answers, row.whole.answers, row.whole.merged, strict=True):
        good = row.example.label if row.example.label is not None else name == "chosen"
        title = name if row.example.label is None else ("desirable" if good else "undesirable")
        gone = len(whole) - len(ids)
        cut = f"{gone} after, no end of turn" if gone else ""
        print_part(console, f"{title} [loss]", ids, "green" if good else "red", tokenizer, most=most, cut=cut)
        _print_boundary(console, prompt, ids, merged, tokenizer)


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
