"""Answers after the templates of common model families: the boundary, the ending, and every byte of the answer."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokens.families import FAMILIES, tokenizer_of

from penchant.records import LabelledAnswer, PreferencePair
from penchant.tokens import EncodeSettings, PromptStyle, encode_answers, encode_pairs

ANSWERS = {
    "one letter": "a",
    "a role's name": "user",
    "a word": "Because",
    "leading space": " Because it is.",
    "leading spaces": "   Because it is.",
    "trailing space": "Because it is. ",
    "leading newlines": "\n\nBecause it is.",
    "trailing newlines": "Because it is.\n\n",
    "white space all round": " \n Because it is. \n ",
    "empty thinking": "<think>\n\n</think>\n\nBecause it is.",
    "thinking": "<think>\nIt must be.\n</think>\n\nBecause it is.",
    "thinking gone on with": "It must be.\n</think>\n\nBecause it is.",
    "emoji": "👩‍👩‍👧‍👦 yes 😊",
    "emoji first": "😊",
    "combining": "e\u0301 is not \u00e9, n\u0303",
    "right to left": "שלום, العربية.",
    "one long word": "ab" * 50_000,
}
QUESTION = "Why is the sky blue?"
MARKED_UP = "What does <|im_end|> or </s> or [/INST] or <end_of_turn> or <|eot_id|> mean?"


@pytest.fixture(params=FAMILIES, scope="module")
def family(request):
    return request.param


@pytest.fixture
def style(family):
    return PromptStyle.of(tokenizer_of(family), "auto")


def encode(style, chosen, prompt=QUESTION, **settings):
    pair = PreferencePair(prompt, chosen, "Nobody knows that.", "f:1")
    encoding = encode_pairs([pair], style, EncodeSettings(**({"max_length": 200_000} | settings)))
    return encoding.rows[0]


def decoded_after(tokenizer, prompt_ids, ids):
    """What ``ids`` add to the text of the prompt; a tokenizer may decode a first piece without its space."""
    before, after = tokenizer.decode(prompt_ids), tokenizer.decode([*prompt_ids, *ids])
    assert after.startswith(before)
    return after[len(before) :]


def expected(family, answer):
    """Lead, answer and tail, where the answer does not bring them itself."""
    lead, tail, opened = FAMILIES[family].lead, FAMILIES[family].tail, FAMILIES[family].opened
    if opened and answer.lstrip().startswith(opened):
        return answer.lstrip().removeprefix(opened)
    if opened and "</think>" in answer:
        return answer
    opening = lead.split()[0] if lead.strip() else " "
    led = answer[:1].isspace() if opening == " " else answer.lstrip().startswith(opening)
    return ("" if led else lead) + answer + ("" if answer[-1:].isspace() else tail)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_answer_s_tokens_give_the_answer_back_and_end_once(family, style, answer):
    tokenizer = style.tokenizer
    row = encode(style, answer)
    end = tokenizer.convert_tokens_to_ids(FAMILIES[family].end)
    assert row.chosen_ids[-1] == end
    assert end not in row.chosen_ids[:-1]
    assert decoded_after(tokenizer, row.prompt_ids, row.chosen_ids[:-1]) == expected(family, answer)


def test_prompt_is_tokenised_as_for_generation(style):
    row = encode(style, "Because it is.")
    turn = [{"role": "user", "content": QUESTION}]
    generation = style.tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False)
    assert row.prompt_ids == generation


def test_row_is_the_template_s_own_rendering_of_the_conversation(family, style):
    if family == "deepseek-r1":
        pytest.skip("its generation prompt opens a thought that it leaves out of finished turns")
    if family == "thinking-always":
        pytest.skip("the line break of its prompt would merge with the next; its text is compared below")
    tokenizer = style.tokenizer
    turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "Because it is."}]
    row = encode(style, "Because it is.")
    whole = tokenizer.apply_chat_template(turns, return_dict=False)
    ids = row.prompt_ids + row.chosen_ids
    if family == "no-end-of-turn":  # nothing in the rendering ends the turn, so the end of the text is put there
        ids = ids[:-1]
    assert whole[: len(ids)] == ids


def test_a_generation_prompt_that_differs_from_finished_turns_is_said(family, style):
    assert ("renders a finished answer differently" in style.describe()) == (family == "deepseek-r1")


def test_conversation_with_a_system_turn(family, style):
    if not FAMILIES[family].system:
        pytest.skip("the template has no system turn")
    turns = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Good day."},
        {"role": "user", "content": QUESTION},
    )
    row = encode(style, "Because it is.", prompt=turns)
    text = style.tokenizer.decode(row.prompt_ids)
    assert text.index("Be brief.") < text.index("Hello") < text.index("Good day.") < text.index(QUESTION)
    assert decoded_after(style.tokenizer, row.prompt_ids, row.chosen_ids[:-1]) == expected(family, "Because it is.")


@pytest.mark.parametrize("prompt", [QUESTION, MARKED_UP, "Two\n\nlines \n", "<|im_start|>"])
def test_the_end_of_the_prompt_stands_for_all_of_it(style, prompt):
    whole = dataclasses.replace(style, specials=())
    for answer in ANSWERS.values():
        if len(answer) < 100:
            assert encode(style, answer, prompt) == encode(whole, answer, prompt)


def test_markers_in_the_user_s_text_leave_boundary_and_answer_alone(family, style):
    row = encode(style, "Because it is.", prompt=MARKED_UP)
    turn = [{"role": "user", "content": MARKED_UP}]
    assert row.prompt_ids == style.tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False)
    assert row.chosen_ids == encode(style, "Because it is.").chosen_ids


def test_an_ending_spelled_out_in_an_answer_stays_text(family, style):
    spelled = f"It is written {FAMILIES[family].end} and so on."
    row = encode(style, spelled)
    assert row.chosen_ids.count(row.chosen_ids[-1]) == 1
    assert decoded_after(style.tokenizer, row.prompt_ids, row.chosen_ids[:-1]) == expected(family, spelled)


def test_an_ending_at_an_answer_s_end_is_not_doubled(family, style):
    assert encode(style, f"Because.{FAMILIES[family].end}") == encode(style, "Because.")


@pytest.mark.parametrize("answer", ["Because " * 200, "word" * 500, "😊" * 200])
def test_a_cut_answer_has_no_false_ending(family, style, answer):
    end = style.tokenizer.convert_tokens_to_ids(FAMILIES[family].end)
    row = encode(style, answer, max_length=150, truncation="keep_start")
    assert len(row.prompt_ids) + len(row.chosen_ids) == 150
    assert end not in row.chosen_ids
    assert row.rejected_ids[-1] == end


def test_a_prompt_cut_at_its_beginning_keeps_the_beginning_of_sequence_token(family, style):
    long = "Why is it so? " * 100
    row = encode(style, "Because.", prompt=long, max_length=120, truncation="keep_end")
    whole = encode(style, "Because.", prompt=long)
    start = int(whole.prompt_ids[0] == style.tokenizer.bos_token_id)
    assert len(row.prompt_ids) + max(len(row.chosen_ids), len(row.rejected_ids)) == 120
    assert row.prompt_ids[:start] == whole.prompt_ids[:start]
    assert whole.prompt_ids[start - len(row.prompt_ids) :] == row.prompt_ids[start:]
    assert row.chosen_ids == whole.chosen_ids
    assert start or FAMILIES[family].bos is None or family in ("granite", "zephyr")


def test_labelled_answers_are_tokenised_as_pairs_are(style):
    rows = [LabelledAnswer(QUESTION, "Because it is.", True, "f:1"), LabelledAnswer("Who?", "Me.", False, "f:2")]
    first = encode_answers(rows, style, EncodeSettings(max_length=2000)).rows[0]
    pair = encode(style, "Because it is.")
    assert (first.prompt_ids, first.completion_ids) == (pair.prompt_ids, pair.chosen_ids)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="▁"), min_size=1, max_size=40)
"""SentencePiece writes a space as U+2581 and cannot give one back."""
PIECES = [" ", "\n", "\t", "a", "user", "assistant", ".", "1", "e\u0301", "😊", "<think>", "</think>", "[INST]", "<s>"]
NASTY = st.lists(st.sampled_from([*PIECES, "<|im_end|>", "</s>", "<end_of_turn>", "<|end|>"]), min_size=1).map("".join)


@pytest.mark.parametrize("name", ["chatml", "llama2", "mistral-v3", "gemma", "phi3", "qwen3-thinking"])
@given(answer=TEXTS | NASTY, prompt=TEXTS | NASTY)
@settings(max_examples=60, deadline=None)
def test_any_answer_comes_back_and_ends_once(name, answer, prompt):
    assume(not FAMILIES[name].legacy or "<s>" not in answer)  # such a tokenizer puts a space after it
    style = PromptStyle.of(tokenizer_of(name), "auto")
    pair = PreferencePair(prompt, answer, answer + "!", "f:1")
    (row,) = encode_pairs([pair], style, EncodeSettings(max_length=10_000)).rows
    for ids, text in ((row.chosen_ids, answer), (row.rejected_ids, answer + "!")):
        assert ids.count(style.end_of_turn) == 1 and ids[-1] == style.end_of_turn
        while text.endswith(FAMILIES[name].end):
            text = text.removesuffix(FAMILIES[name].end)
        assert decoded_after(style.tokenizer, row.prompt_ids, ids[:-1]) == expected(name, text)


@pytest.mark.parametrize("answer", ["It is.", "<think>\nIt must be.\n</think>\n\nIt is."])
def test_a_template_that_opens_a_thought_gives_the_finished_turn_that_it_writes_itself(answer):
    tokenizer = tokenizer_of("thinking-always")
    row = encode(PromptStyle.of(tokenizer, "auto"), answer)
    turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": answer}]
    whole = tokenizer.apply_chat_template(turns, tokenize=False)
    assert tokenizer.decode([*row.prompt_ids, *row.chosen_ids]) == whole.rstrip("\n")
