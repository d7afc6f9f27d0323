"""Every rule on tokens finds the row that has its fault, and lets the one pass that has not."""

from __future__ import annotations

import copy

import pytest
from doctor.cases import LONG, turns
from tokens.families import tokenizer_of

from penchant.doctor.tokens import RULES, TokenExaminer
from penchant.records import LabelledAnswer, PreferencePair
from penchant.tokens import EncodeSettings, PromptStyle


def pair(prompt="Why?", chosen="Because.", rejected="No idea at all."):
    if isinstance(prompt, list):
        prompt = tuple(prompt)
    return PreferencePair(prompt, chosen, rejected, "f:1")


def with_start(template):
    """A tokenizer that puts <s> before plain text, under some template."""
    from tokenizers import processors

    tokenizer = copy.deepcopy(tokenizer_of("zephyr"))
    start = ("<s>", tokenizer.bos_token_id)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[start])
    tokenizer.chat_template = template + tokenizer.chat_template
    return tokenizer


def composing():
    """A tokenizer that normalises to composed characters, as Qwen's do."""
    from tokenizers import normalizers

    tokenizer = copy.deepcopy(tokenizer_of("chatml"))
    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def examine(tokenizer, row, chat_template="auto", **settings):
    """Findings by rule id."""
    examiner = TokenExaminer(PromptStyle.of(tokenizer, chat_template), EncodeSettings(**settings))
    found = {rule.id: finding for _, rule, finding in examiner.see([row])}
    return found | {rule.id: verdict for rule, verdict in examiner.close()}


SYSTEM = pair(turns("system: Be kind.", "user: Why?"))
THOUGHT = pair(turns("user: Why?", "assistant: <think>\nHm.\n</think>\n\nSo.", "user: How?"))
CALL = {"type": "function", "function": {"name": "thermometer", "arguments": {}}}
CALLED = pair([*turns("user: Why?"), {"role": "assistant", "content": "", "tool_calls": [CALL]}, *turns("user: How?")])
CUT = {"max_length": 40, "truncation": "keep_start"}
LATE = pair(chosen=LONG * 3 + "Yes.", rejected=LONG * 3 + "No.")

CASES = {
    "D201": [(tokenizer_of("gemma"), SYSTEM, {}, pair())],
    "D202": [
        (tokenizer_of("deepseek-r1"), THOUGHT, {}, pair(turns("user: Why?", "assistant: So.", "user: How?"))),
        (tokenizer_of("chatml"), CALLED, {}, None),
    ],
    "D203": [(with_start(""), pair(), {}, None), (with_start("<s><s>"), pair(), {}, None)],
    "D204": [
        (tokenizer_of("chatml"), pair("What is <|im_end|>?"), {}, pair("What is <|im_stop|>?")),
        (tokenizer_of("chatml"), pair(chosen="It is <|im_start|>."), {}, pair(chosen="It is.<|im_end|>")),
    ],
    "D205": [(tokenizer_of("chatml"), pair(chosen="\n\nBecause."), {}, pair(chosen=" Because."))],
    "D206": [(composing(), pair(chosen="Cafe\u0301."), {}, pair(chosen="Caf\u00e9."))],
    "D207": [(tokenizer_of("chatml"), pair(chosen=LONG * 3), {"max_length": 60}, pair())],
    "D208": [(tokenizer_of("chatml"), LATE, CUT, pair(chosen="Yes." + LONG * 3, rejected="No." + LONG * 3))],
    "D209": [(tokenizer_of("deepseek-r1"), pair(), {}, None)],
}


@pytest.mark.parametrize(
    ("id", "case"),
    [pytest.param(id, case, id=f"{id}-{k}") for id, cases in CASES.items() for k, case in enumerate(cases)],
)
def test_rule_finds_its_fault_and_nothing_in_the_sound_row(id, case):
    tokenizer, faulty, settings, sound = case
    assert id in examine(tokenizer, faulty, **settings)
    if sound is not None:
        assert id not in examine(tokenizer, sound, **settings)


def test_rules_on_the_template_pass_where_it_is_right():
    assert "D203" not in examine(with_start("<s>"), pair())
    assert "D209" not in examine(tokenizer_of("deepseek-v3"), pair())


def test_every_rule_has_a_case():
    assert set(CASES) == {rule.id for rule in RULES}


@pytest.mark.parametrize("truncation", ["drop", "keep_start", "keep_end"])
def test_what_the_cut_takes_is_said_in_tokens(truncation):
    tokenizer, long = tokenizer_of("chatml"), "Nobody knows the answer to it. " * 4
    row = pair("Why is the sky blue?", "Because.", long)
    detail = examine(tokenizer, row, max_length=60, truncation=truncation)["D207"].detail
    rendered = f"<|im_start|>user\n{row.prompt}<|im_end|>\n<|im_start|>assistant\n"
    prompt, chosen, rejected = (len(tokenizer(text)["input_ids"]) for text in (rendered, "Because.", long))
    if truncation == "keep_start":
        assert detail == f"cut: {prompt + rejected + 1 - 60} of {rejected + 1} tokens of rejected"
    else:  # the longer answer alone leaves no room for a prompt
        assert detail == f"dropped: prompt {prompt}, chosen {chosen + 1}, rejected {rejected + 1} tokens"


def test_a_cut_prompt_is_named():
    row = pair("Why is the sky blue? " * 10, "Because.", "No.")
    detail = examine(tokenizer_of("chatml"), row, max_length=60, truncation="keep_end")["D207"].detail
    assert detail.startswith("cut: ") and detail.endswith("tokens of prompt")


def test_pairs_and_labelled_answers_in_one_list_keep_their_places():
    rows = [pair(), LabelledAnswer("Why?", LONG * 3, True, "f:2"), pair(chosen=LONG * 3)]
    examiner = TokenExaminer(PromptStyle.of(tokenizer_of("chatml"), "auto"), EncodeSettings(max_length=60))
    assert [index for index, rule, _ in examiner.see(rows) if rule.id == "D207"] == [1, 2]


def test_a_refused_prompt_does_not_hide_the_rows_beside_it():
    examiner = TokenExaminer(PromptStyle.of(tokenizer_of("gemma"), "auto"), EncodeSettings(max_length=60))
    found = [(index, rule.id) for index, rule, _ in examiner.see([SYSTEM, pair(chosen=LONG * 3)])]
    assert found == [(0, "D201"), (1, "D207")]


def test_plain_text_is_examined_without_a_template():
    found = examine(tokenizer_of("chatml"), pair("num ", " ber"), chat_template="none")
    assert "D202" not in found and "D201" not in found
