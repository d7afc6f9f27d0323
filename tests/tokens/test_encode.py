"""The boundary is in token space, answers end once, and no row is lost in silence."""

from __future__ import annotations

import tracemalloc

import pytest

from penchant import spool
from penchant.data import read_preferences
from penchant.errors import InputError
from penchant.records import LabelledAnswer, PreferencePair
from penchant.tokens import EncodeSettings, PromptStyle, TokenCache, encode_answers, encode_pairs, whole
from penchant.tokens import cache as cache_room


def pair(prompt="Why?", chosen="Because.", rejected="No idea at all.", source="f:1"):
    return PreferencePair(prompt, chosen, rejected, source)


@pytest.fixture
def chat(tiny_tokenizer):
    return PromptStyle.of(tiny_tokenizer, "auto")


@pytest.fixture
def plain(tiny_tokenizer):
    return PromptStyle.of(tiny_tokenizer, "none")


def test_string_prompt_is_one_user_turn_and_answer_ends_once(chat, tiny_tokenizer):
    (row,) = encode_pairs([pair()], chat, EncodeSettings()).rows
    assert tiny_tokenizer.decode(row.prompt_ids) == "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    assert tiny_tokenizer.decode(row.chosen_ids) == "Because.<|im_end|>"
    assert tiny_tokenizer.decode(row.rejected_ids) == "No idea at all.<|im_end|>"


def test_messages_render_as_the_template_does(chat, tiny_tokenizer):
    turns = (
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Why?"},
    )
    (row,) = encode_pairs([pair(prompt=turns)], chat, EncodeSettings()).rows
    expected = tiny_tokenizer.apply_chat_template(list(turns), add_generation_prompt=True, tokenize=False)
    assert tiny_tokenizer.decode(row.prompt_ids) == expected


@pytest.mark.parametrize("answer", [" leading", "trailing \n", "a", "user", "\n\nlines", "emoji 😊 é", "x<|im_end|>"])
def test_decoding_the_answer_gives_it_back_with_one_ending(chat, tiny_tokenizer, answer):
    (row,) = encode_pairs([pair(chosen=answer)], chat, EncodeSettings()).rows
    assert tiny_tokenizer.decode(row.chosen_ids) == answer.removesuffix("<|im_end|>") + "<|im_end|>"
    assert row.chosen_ids.count(tiny_tokenizer.eos_token_id) == 1


def test_plain_text_continues_the_string(plain, tiny_tokenizer):
    (row,) = encode_pairs([pair(prompt="The sky is", chosen=" blue.")], plain, EncodeSettings()).rows
    assert tiny_tokenizer.decode(row.prompt_ids) == "The sky is"
    assert tiny_tokenizer.decode(row.chosen_ids) == " blue.<|im_end|>"


def test_token_across_the_boundary_is_counted_and_the_prompt_kept(plain, tiny_tokenizer):
    whole = tiny_tokenizer("number")["input_ids"]
    head = tiny_tokenizer("num")["input_ids"]
    assert whole[: len(head)] != head, "the fixture's tokenizer must merge here"
    encoding = encode_pairs([pair(prompt="num", chosen="ber", rejected="!")], plain, EncodeSettings())
    assert encoding.merged == 1
    assert encoding.rows[0].prompt_ids == head
    assert tiny_tokenizer.decode(encoding.rows[0].chosen_ids) == "ber<|im_end|>"


def lengths(row):
    return len(row.prompt_ids), len(row.chosen_ids), len(row.rejected_ids)


def test_drop_leaves_long_rows_out_and_counts_them(chat):
    rows = [pair(), pair(rejected="word " * 200, source="f:2")]
    encoding = encode_pairs(rows, chat, EncodeSettings(max_length=64))
    assert (len(encoding.rows), encoding.too_long) == (1, ["f:2"])
    assert "1 rows dropped" in " ".join(encoding.report(EncodeSettings(max_length=64)))


def test_keep_start_cuts_the_answer_without_a_false_ending(chat, tiny_tokenizer):
    encoding = encode_pairs(
        [pair(rejected="word " * 200)], chat, EncodeSettings(max_length=64, truncation="keep_start")
    )
    (row,) = encoding.rows
    assert encoding.cut == ["f:1"]
    assert len(row.prompt_ids) + len(row.rejected_ids) == 64
    assert row.rejected_ids[-1] != tiny_tokenizer.eos_token_id
    assert row.chosen_ids[-1] == tiny_tokenizer.eos_token_id


def test_keep_end_cuts_the_prompt_alike_for_both(chat, tiny_tokenizer):
    long = pair(prompt="word " * 200)
    (row,) = encode_pairs([long], chat, EncodeSettings(max_length=64, truncation="keep_end")).rows
    (whole,) = encode_pairs([long], chat, EncodeSettings(max_length=10_000)).rows
    assert len(row.prompt_ids) + max(lengths(row)[1:]) == 64
    assert whole.prompt_ids[-len(row.prompt_ids) :] == row.prompt_ids
    assert (row.chosen_ids, row.rejected_ids) == (whole.chosen_ids, whole.rejected_ids)


def test_pairs_equal_after_the_cut_are_dropped_and_counted(chat):
    rows = [pair(), pair(chosen="word " * 100 + "yes", rejected="word " * 100 + "no", source="f:2")]
    encoding = encode_pairs(rows, chat, EncodeSettings(max_length=64, truncation="keep_start"))
    assert encoding.same_after_cut == ["f:2"]
    assert len(encoding.rows) == 1


def test_pairs_that_are_the_same_tokens_are_not_called_cut(chat):
    rows = [pair(), pair(chosen="yes<|im_end|>", rejected="yes", source="f:2")]
    encoding = encode_pairs(rows, chat, EncodeSettings())
    assert (encoding.same, encoding.same_after_cut) == (["f:2"], [])
    assert encoding.report(EncodeSettings())[1] == "1 rows dropped, answers equal as tokens (first: f:2)"
    with pytest.raises(InputError, match="in all 1 the answers are the same"):
        encode_pairs(rows[1:], chat, EncodeSettings())


def test_no_rows_left_is_an_error(chat):
    with pytest.raises(InputError, match=r"no rows left: of 1 rows 1 are .* max_length"):
        encode_pairs([pair(prompt="word " * 50)], chat, EncodeSettings(max_length=8))


@pytest.mark.parametrize("settings", [{"truncation": "middle"}, {"max_length": 1}])
def test_settings_are_checked(settings):
    with pytest.raises(InputError):
        EncodeSettings(**settings)


def test_conversation_without_template_is_an_error(plain):
    with pytest.raises(InputError, match="f:1: the prompt is a conversation"):
        encode_pairs([pair(prompt=({"role": "user", "content": "Hi"},))], plain, EncodeSettings())


def answer(prompt, completion, source="f:1"):
    return LabelledAnswer(prompt, completion, True, source)


def test_mismatched_answers_come_from_another_prompt(chat, tiny_tokenizer):
    rows = [answer("A?", "one."), answer("A?", "two."), answer("B?", "three."), answer("A?", "four.")]
    encoded = encode_answers(rows, chat, EncodeSettings()).rows
    partners = [tiny_tokenizer.decode(row.mismatched_ids).removesuffix("<|im_end|>") for row in encoded]
    assert partners == ["three.", "three.", "four.", "three."]


def test_one_prompt_alone_cannot_give_a_baseline(chat):
    with pytest.raises(InputError, match="all rows have the same prompt"):
        encode_answers([answer("A?", "one."), answer("A?", "two.")], chat, EncodeSettings())


@pytest.mark.parametrize("kept", [True, False])
def test_memory_does_not_grow_with_the_rows(chat, monkeypatch, tmp_path, kept):
    monkeypatch.setattr(spool, "IN_MEMORY", 40)
    monkeypatch.setattr(whole, "_BATCH", 40)
    monkeypatch.setattr(whole, "WORTH_KEEPING", 1)
    monkeypatch.setattr(cache_room, "_BATCH", 40)
    cache = TokenCache(tmp_path) if kept else None

    def held(count):
        """Most bytes above the start while so many rows are read and tokenised, and bytes at the end."""
        tracemalloc.start()
        rows = read_preferences(
            ({"prompt": f"Number {k % 9}?", "chosen": "yes " * 40, "rejected": "no " * 40} for k in range(count)),
            unpaired=False,
        ).rows
        encoded = encode_pairs(rows, chat, EncodeSettings(), cache)
        assert len(encoded.rows) == count
        found = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return found

    held(200)  # what is made once
    few, many = held(240), held(640)
    assert all(more - less < 400 * 100 for less, more in zip(few, many, strict=True)), (few, many)
