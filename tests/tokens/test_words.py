"""Remembered words give the tokenizer's own ids, whatever the text; what is not certain is left to the tokenizer."""

from __future__ import annotations

import json

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokens.families import FAMILIES, SENTENCES, tokenizer_of

from penchant.records import PreferencePair
from penchant.tokens import EncodeSettings, PromptStyle, encode_pairs
from penchant.tokens import words as words_module
from penchant.tokens.words import Words, ids_of

GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CASES = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
THREE = (r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", GPT4)  # in turn, as DeepSeek's


def _split(*patterns):
    from tokenizers import Regex, pre_tokenizers

    steps = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    return pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(False, use_regex=False)])


def _tokenizer(kind):
    from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    kinds = {
        "gpt2": lambda: pre_tokenizers.ByteLevel(False),
        "digits": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(False)]),
        "gpt4": lambda: _split(GPT4),
        "cases": lambda: _split(CASES),
        "three": lambda: _split(*THREE),
        "nfc": lambda: _split(GPT4),
    }
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = kinds[kind]()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet))
    if kind == "nfc":
        backend.normalizer = normalizers.NFC()
    backend.add_special_tokens(["<s>", AddedToken("<mask>", lstrip=True), "<s>>"])
    backend.add_tokens(["hello", AddedToken("<raw>", normalized=False)])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", backend.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>")


KINDS = ("gpt2", "digits", "gpt4", "cases", "three", "nfc")
TOKENIZERS = {}


def tokenizer_with(kind):
    if kind not in TOKENIZERS:
        TOKENIZERS[kind] = _tokenizer(kind)
    return TOKENIZERS[kind]


PIECES = [
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "a",
    "B",
    "'s",
    "'LL",
    "'ſ",
    "12345",
    "½",
    "é",
    "e\u0301",
    "ß",
    "字",
    "か",
    "😊",
]
PIECES += [
    "\u00a0",
    "\u2028",
    "\x1c",
    "\x85",
    "\u200d",
    "_",
    "/",
    "<s>",
    "<s>>",
    "<mask>",
    "<raw>",
    ">\u0338",
    "hello",
    "K",
]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=60) | st.lists(st.sampled_from(PIECES), max_size=20).map("".join)


@pytest.mark.parametrize("kind", KINDS)
@given(text=TEXTS, special=st.booleans())
@example(text="", special=True)
@example(text="ab" * 5000, special=False)
@settings(max_examples=60, deadline=None)
def test_any_text_has_the_tokenizer_s_ids(kind, special, text):
    tokenizer = tokenizer_with(kind)
    found = ids_of(tokenizer, ["some text"] * 64 + [text], special=special)
    assert words_module._KEPT[tokenizer][1] is not None, "the words must be in use"
    assert found[-1] == tokenizer(text, add_special_tokens=special)["input_ids"]


@pytest.mark.parametrize("kind", KINDS)
def test_ordinary_text_needs_no_tokenizer(kind):
    words = Words.of(tokenizer_with(kind).backend_tokenizer)
    for text in (*SENTENCES, "<s>It’s 1 – “naïve” 字 😊, isn't it?<s>\n\n  Привет, שלום"):
        assert words.ids(text) is not None


def test_a_character_that_is_cut_otherwise_is_left_to_the_tokenizer():
    backend = tokenizer_with("gpt2").backend_tokenizer
    wrong = regex.compile(words_module._GPT2.replace(r" ?\p{L}+", r" ?[\p{L}#€]+")).findall
    words = Words(backend, wrong)
    assert words.ids("a#b") is None and words.ids("a€b") is None
    assert words.ids("é, a b") == backend.encode("é, a b", add_special_tokens=False).ids


def test_an_expression_that_loses_text_is_found_out():
    words = Words(tokenizer_with("gpt2").backend_tokenizer, regex.compile(r"\p{L}+| ").findall)
    assert words.ids("a 1") is None and words.ids("a b.") is None


@pytest.mark.parametrize("name", FAMILIES)
def test_a_batch_is_tokenised_as_its_rows_one_by_one(name):
    style = PromptStyle.of(tokenizer_of(name), "auto")
    texts = [
        "Because it is.",
        " led",
        "trailing \n",
        "😊 é e\u0301",
        "<think>\n\n</think>\n\nYes.",
        "x <|im_end|> y",
        "字",
    ]
    system = ({"role": "system", "content": "Be brief."},) if FAMILIES[name].system else ()
    prompts = ["Why?", "<s> [INST] </s>", "Two\n\nlines \n", (*system, {"role": "user", "content": "שלום 😊"})]
    rows = [
        PreferencePair(prompts[number % 4], text, f"{text} {number}", f"f:{number}")
        for number, text in enumerate(texts * 11)
    ]
    together = encode_pairs(rows, style, EncodeSettings())
    alone = [encode_pairs([row], style, EncodeSettings()) for row in rows]
    assert together.rows == [one.rows[0] for one in alone]
    assert together.merged == sum(one.merged for one in alone)


SPACED = {
    "prepended": ("llama2", None),
    "marked": ("gemma", None),
    "first": ("mistral-v3", None),
    "each": ("mistral-v3", {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}),
    "always": ("mistral-v3", {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": False}),
    "never": ("mistral-v3", {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": False}),
}


def spaced_facts(kind):
    joined = [("e", "▁"), ("]", "▁a"), ("e▁", "▁")] if kind == "always" else []
    name, pre_tokenizer = SPACED[kind]
    facts = json.loads(tokenizer_of(name).backend_tokenizer.to_str())
    if kind == "marked":
        facts["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
        facts["pre_tokenizer"] = {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        }
    facts["pre_tokenizer"] = pre_tokenizer or facts["pre_tokenizer"]
    vocabulary, merges = facts["model"]["vocab"], facts["model"]["merges"]
    for left, right in [("▁", "▁"), ("▁▁", "▁▁"), ("▁", "."), ("▁▁", "a"), ("e", "é"), ("é", "é"), *joined]:
        for piece in (left, right, left + right):
            vocabulary.setdefault(piece, len(vocabulary))
        merges.append([left, right])
    return facts


def tokenizer_from(facts):
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(facts)), bos_token="<s>")


def spaced_tokenizer(kind):
    if kind not in TOKENIZERS:
        TOKENIZERS[kind] = tokenizer_from(spaced_facts(kind))
    return TOKENIZERS[kind]


@pytest.mark.parametrize("kind", SPACED)
@given(text=TEXTS | st.text("ae] ▁.é\n", max_size=40), special=st.booleans())
@example(text="", special=True)
@example(text="ab" * 2000, special=False)
@example(text=" ▁  <s> a<s>a ", special=False)
@settings(max_examples=60, deadline=None)
def test_a_text_cut_before_its_spaces_has_the_tokenizer_s_ids(kind, special, text):
    tokenizer = spaced_tokenizer(kind)
    found = ids_of(tokenizer, ["some text"] * 64 + [text], special=special)
    assert words_module._KEPT[tokenizer][1] is not None, "the words must be in use"
    assert found[-1] == tokenizer(text, add_special_tokens=special)["input_ids"]


def test_a_vocabulary_whose_cuts_are_not_known_is_left_to_the_tokenizer():
    facts = spaced_facts("first")
    assert Words.of(tokenizer_from(facts).backend_tokenizer) is not None
    assert Words.of(tokenizer_from(facts | {"normalizer": {"type": "NFKC"}}).backend_tokenizer) is None
    facts["model"]["vocab"]["<0x0A>▁"] = len(facts["model"]["vocab"])
    facts["model"]["merges"].append(["<0x0A>", "▁"])
    assert Words.of(tokenizer_from(facts).backend_tokenizer) is None
    facts["model"]["merges"].pop()
    facts["model"]["ignore_merges"] = True
    assert Words.of(tokenizer_from(facts).backend_tokenizer) is None


def test_tokens_added_later_are_known():
    tokenizer = _tokenizer("gpt2")
    texts = ["one <new> token"] * 64
    before = ids_of(tokenizer, texts, special=False)
    tokenizer.add_tokens(["<new>"])
    after = ids_of(tokenizer, texts, special=False)
    assert after[0] == tokenizer(texts[0], add_special_tokens=False)["input_ids"] != before[0]


def test_a_tokenizer_that_draws_its_merges_is_asked():
    tokenizer = _tokenizer("gpt2")
    tokenizer.backend_tokenizer.model.dropout = 0.5
    assert Words.of(tokenizer.backend_tokenizer) is None
