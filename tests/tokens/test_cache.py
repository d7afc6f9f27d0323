"""Token rows come back as they were made, and only for the very same rows, tokenizer and template."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from penchant.errors import InputError
from penchant.records import LabelledAnswer, PreferencePair, RankedAnswers, TokenAnswer, TokenPair
from penchant.tokens import (
    EncodeSettings,
    PromptStyle,
    TokenCache,
    cache,
    encode_answers,
    encode_lists,
    encode_pairs,
    whole,
)

PAIRS = [
    PreferencePair(f"Name number {k}.", f"It is {k}.", " no\n" * (k % 7 + 1), f"data.jsonl:{k}") for k in range(40)
]
SETTINGS = EncodeSettings(max_length=64)


@pytest.fixture(autouse=True)
def every_row_is_worth_keeping(monkeypatch):
    monkeypatch.setattr(whole, "WORTH_KEEPING", 1)


@pytest.fixture
def style(tiny_tokenizer):
    return PromptStyle.of(tiny_tokenizer, "auto")


def entries(folder):
    return sorted(folder.iterdir()) if folder.exists() else []


def test_a_second_time_the_rows_come_from_the_cache(style, tmp_path):
    kept = TokenCache(tmp_path / "new" / "folder")
    plain = encode_pairs(PAIRS, style, SETTINGS)
    first, second = (encode_pairs(PAIRS, style, SETTINGS, kept) for _ in range(2))
    assert (first.cached, second.cached) == (False, True)
    assert plain.rows == first.rows == second.rows
    assert replace(second, cached=False) == plain
    assert "tokens from the cache" in second.report(SETTINGS)


def test_another_length_or_numbers_of_the_rows_find_the_same_tokens(style, tmp_path):
    kept = TokenCache(tmp_path)
    encode_pairs(PAIRS, style, SETTINGS, kept)
    short = EncodeSettings(max_length=30, truncation="keep_start")
    weighed = [replace(pair, numbers={"weight": 2.0}, source="other.jsonl:1") for pair in PAIRS]
    found = encode_pairs(weighed, style, short, kept)
    assert found.cached and found.rows == encode_pairs(weighed, style, short).rows


@pytest.mark.parametrize(
    "change",
    [
        {"chosen": "It is not."},
        {"prompt": "Name number 3. "},
        {"prompt": ({"role": "user", "content": "Name number 3."},)},
        {"template_args": {"enable_thinking": False}},
        {"rejected": "It is 3.", "chosen": " no\n" * 4},
    ],
)
def test_any_change_of_a_row_is_seen(style, tmp_path, change):
    kept = TokenCache(tmp_path)
    encode_pairs(PAIRS, style, SETTINGS, kept)
    changed = [*PAIRS[:3], replace(PAIRS[3], **change), *PAIRS[4:]]
    found = encode_pairs(changed, style, SETTINGS, kept)
    assert not found.cached and found.rows == encode_pairs(changed, style, SETTINGS).rows


def test_another_template_tokenizer_or_code_is_seen(style, tiny_tokenizer, tmp_path, monkeypatch):
    kept = TokenCache(tmp_path)
    encode_pairs(PAIRS, style, SETTINGS, kept)
    plain = PromptStyle.of(tiny_tokenizer, "none")
    assert not encode_pairs(PAIRS, plain, SETTINGS, kept).cached
    before = tiny_tokenizer.chat_template
    monkeypatch.setattr(tiny_tokenizer, "chat_template", before + "{# another #}")
    assert not encode_pairs(PAIRS, PromptStyle.of(tiny_tokenizer, "auto"), SETTINGS, kept).cached
    monkeypatch.undo()
    monkeypatch.setattr(cache, "version", lambda name: "0.0.0")
    key = cache.key_of([("a", ("b",), {})], style)
    monkeypatch.undo()
    assert key != cache.key_of([("a", ("b",), {})], style)


def test_a_template_that_writes_the_date_is_of_that_day(style, tiny_tokenizer, monkeypatch):
    monkeypatch.setattr(tiny_tokenizer, "chat_template", tiny_tokenizer.chat_template + "{# strftime_now #}")
    keys = []
    for day in ("2026-01-01", "2026-01-02"):
        clock = type("date", (), {"today": staticmethod(lambda day=day: cache.datetime.datetime.fromisoformat(day))})
        monkeypatch.setattr(cache.datetime, "date", clock)
        keys.append(cache.key_of([("a", ("b",), {})], style))
    assert keys[0] != keys[1]


@pytest.mark.parametrize("damage", [b"", b"PK", None])
def test_a_damaged_entry_is_made_again(style, tmp_path, damage):
    kept = TokenCache(tmp_path)
    rows = encode_pairs(PAIRS, style, SETTINGS, kept).rows
    (entry,) = entries(tmp_path)
    data = entry.read_bytes()
    middle = len(data) // 2
    entry.write_bytes(damage if damage is not None else data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    again = encode_pairs(PAIRS, style, SETTINGS, kept)
    assert not again.cached and again.rows == rows
    assert encode_pairs(PAIRS, style, SETTINGS, kept).cached


def test_a_run_killed_while_it_writes_leaves_no_entry(style, tmp_path, monkeypatch):
    def killed(rows):
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "_batch", killed)
    with pytest.raises(KeyboardInterrupt):
        encode_pairs(PAIRS, style, SETTINGS, TokenCache(tmp_path))
    assert entries(tmp_path) == []


def test_the_oldest_entries_and_drafts_go(style, tmp_path, monkeypatch):
    kept = TokenCache(tmp_path)
    for number, part in enumerate((PAIRS[:10], PAIRS[10:20], PAIRS[20:30])):
        encode_pairs(part, style, SETTINGS, kept)
        os.utime(entries(tmp_path)[0], (time.time() - 100 + number,) * 2)
    (tmp_path / "draft.part").write_bytes(b"half")
    os.utime(tmp_path / "draft.part", (1, 1))
    monkeypatch.setattr(cache, "MOST_BYTES", max(path.stat().st_size for path in entries(tmp_path)) + 10)
    encode_pairs(PAIRS[30:], style, SETTINGS, kept)
    assert len(entries(tmp_path)) == 1
    assert encode_pairs(PAIRS[30:], style, SETTINGS, kept).cached


def test_labelled_answers(style, tmp_path):
    rows = [LabelledAnswer(pair.prompt, pair.chosen, bool(k % 2), pair.source) for k, pair in enumerate(PAIRS)]
    first, second = (encode_answers(rows, style, SETTINGS, TokenCache(tmp_path)) for _ in range(2))
    assert second.cached and first.rows == second.rows


def test_lists_of_any_number_of_answers_and_third_answers(style, tmp_path):
    rows = [
        RankedAnswers(pair.prompt, (pair.chosen, *"abcde"[: k % 4 + 1]), tuple(range(k % 4 + 2)), pair.source)
        for k, pair in enumerate(PAIRS)
    ]
    first, second = (encode_lists(rows, style, SETTINGS, TokenCache(tmp_path)) for _ in range(2))
    assert second.cached and first.rows == second.rows
    golden = [replace(pair, gold="Nine.") if k % 2 else pair for k, pair in enumerate(PAIRS)]
    first, second = (encode_pairs(golden, style, SETTINGS, TokenCache(tmp_path)) for _ in range(2))
    assert second.cached and first.rows == second.rows and first.rows[1].gold_ids and not first.rows[0].gold_ids


def test_where_the_cache_is(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert TokenCache.named("none") is None
    assert TokenCache.named("auto").folder == tmp_path / "penchant" / "tokens"
    assert str(TokenCache.named("here").folder) == "here"


def test_a_folder_that_cannot_be_made(style, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="tokens cannot be kept"):
        encode_pairs(PAIRS, style, SETTINGS, TokenCache(tmp_path / "file" / "folder"))


def test_rows_that_are_tokens_already_are_fitted_and_checked(style):
    pair = TokenPair([1, 2], [3, 4], [3, 5], "tokens.jsonl:1", {"weight": 2.0})
    assert encode_pairs([pair], style, SETTINGS).rows == [pair]
    assert encode_pairs([PAIRS[0], pair], style, SETTINGS).rows[1] == pair
    cut = encode_pairs([pair, PAIRS[0]], style, EncodeSettings(max_length=50, truncation="keep_start"))
    assert cut.rows[0] == pair
    answers = [TokenAnswer([1], [2], True, "t:1", []), TokenAnswer([3], [4], False, "t:2", [])]
    assert [row.mismatched_ids for row in encode_answers(answers, style, SETTINGS).rows] == [[4], [2]]
    with pytest.raises(InputError, match=r"tokens.jsonl:1: the row has a token that the model does not"):
        encode_pairs([replace(pair, chosen_ids=[10**6])], style, SETTINGS)
