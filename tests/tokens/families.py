"""Chat templates of common model families, written for these tests, and small tokenizers to go with them.

Each family has its own special tokens, and what a whole answer looks like after the generation prompt: ``lead``, the
answer, ``tail``, ``end``.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

ADD = "{% if add_generation_prompt %}"
EACH = "{% for m in messages %}"


class Family(NamedTuple):
    """One template. ``spm`` takes a tokenizer in SentencePiece's manner, not one on bytes; a ``legacy`` one puts a
    space after special tokens too, not only before the text's first word."""

    template: str
    specials: tuple[str, ...]
    end: str
    bos: str | None = None
    eos: str | None = None
    lead: str = ""
    tail: str = ""
    spm: bool = False
    legacy: bool = False
    rstrip: tuple[str, ...] = ()
    system: bool = True
    opened: str = ""


def turns(before: str, after: str, generation: str, *, start: str = "", names: str = "{{ m.role }}") -> str:
    """A template that puts every turn between two strings."""
    each = f"{EACH}{before.replace('ROLE', names)}{{{{ m.content }}}}{after}{{% endfor %}}"
    return f"{start}{each}{ADD}{generation}{{% endif %}}"


def bracketed(user: str, assistant: str, *, system: str = "{{ m.content }}\n\n") -> str:
    """A template with a string for each role's turn, ``TEXT`` standing for its content, and no generation prompt."""
    parts = [("user", user), ("assistant", assistant), ("system", system)]
    body = "".join(f"{{% if m.role == '{role}' %}}{text}{{% endif %}}" for role, text in parts)
    return f"{{{{ bos_token }}}}{EACH}{body}{{% endfor %}}"


CHATML_ENDS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHATML = turns("<|im_start|>ROLE\n", "<|im_end|>\n", "<|im_start|>assistant\n")
QWEN3 = (
    EACH + "<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.last and '</think>' not in m.content %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}" + ADD + "<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
THINKING = (  # a prompt opens the thought, and a finished turn has one, if empty
    EACH + "<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}<think>\n{% if '</think>' in m.content %}"
    "{{ m.content.split('</think>')[0].split('<think>')[-1].lstrip('\n') }}{% else %}{{ '\n' }}{% endif %}</think>\n\n"
    "{{ m.content.split('</think>')[-1].lstrip('\n') }}{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    + ADD
    + "<|im_start|>assistant\n<think>\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system turn here') }}{% endif %}"
    + EACH
    + "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
    "{% endfor %}" + ADD + "<start_of_turn>model\n{% endif %}"
)
R1 = (
    "{{ bos_token }}" + EACH + "{% if m.role == 'user' %}<｜User｜>{{ m.content }}"
    "{% elif m.role == 'assistant' %}<｜Assistant｜>{{ m.content.split('</think>')[-1] }}<｜end▁of▁sentence｜>"
    "{% else %}{{ m.content }}{% endif %}{% endfor %}" + ADD + "<｜Assistant｜><think>\n{% endif %}"
)
LLAMA3 = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
COHERE = ("<BOS_TOKEN>", "<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>")
DEEPSEEK = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>")
GRANITE = ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>")
PHI = ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<|endoftext|>")
SENTENCE = {"bos": "<s>", "eos": "</s>", "end": "</s>", "spm": True}
LEGACY = SENTENCE | {"legacy": True}

FAMILIES: dict[str, Family] = {
    "chatml": Family(CHATML, CHATML_ENDS, "<|im_end|>", eos="<|im_end|>"),
    "chatml-on-a-base-model": Family(CHATML, CHATML_ENDS, "<|im_end|>", eos="<|endoftext|>"),
    "smollm": Family(
        "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a small helper.<|im_end|>\n{% endif %}"
        + CHATML,
        CHATML_ENDS,
        "<|im_end|>",
        eos="<|im_end|>",
    ),
    "qwen2": Family(
        "{% if messages[0].role != 'system' %}<|im_start|>system\nBe of use.<|im_end|>\n{% endif %}" + CHATML,
        CHATML_ENDS,
        "<|im_end|>",
        eos="<|endoftext|>",
    ),
    "qwen3-thinking": Family(QWEN3, CHATML_ENDS, "<|im_end|>", eos="<|im_end|>", lead="<think>\n\n</think>\n\n"),
    "thinking-always": Family(
        THINKING, CHATML_ENDS, "<|im_end|>", eos="<|im_end|>", lead="\n</think>\n\n", opened="<think>\n"
    ),
    "llama2": Family(
        bracketed(
            "[INST] {{ m.content | trim }} [/INST]",
            " {{ m.content | trim }} {{ eos_token }}",
            system="<<SYS>>\n{{ m.content }}\n<</SYS>>\n\n",
        ),
        ("<s>", "</s>"),
        lead=" ",
        tail=" ",
        **LEGACY,
    ),
    "llama3": Family(
        turns(
            "<|start_header_id|>ROLE<|end_header_id|>\n\n",
            "<|eot_id|>",
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            start="{{ bos_token }}",
        ),
        LLAMA3,
        "<|eot_id|>",
        bos="<|begin_of_text|>",
        eos="<|end_of_text|>",
    ),
    "mistral-v1": Family(
        bracketed("[INST] {{ m.content }} [/INST]", "{{ m.content }}{{ eos_token }}"), ("<s>", "</s>"), **LEGACY
    ),
    "mistral-v3": Family(
        bracketed("[INST] {{ m.content }}[/INST]", " {{ m.content }}{{ eos_token }}"),
        ("<s>", "</s>", "[INST]", "[/INST]"),
        lead=" ",
        **SENTENCE,
    ),
    "gemma": Family(
        GEMMA,
        ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
        "<end_of_turn>",
        bos="<bos>",
        eos="<eos>",
        spm=True,
        system=False,
    ),
    "phi3": Family(
        turns("<|ROLE|>\n", "<|end|>\n", "<|assistant|>\n"),
        PHI,
        "<|end|>",
        eos="<|endoftext|>",
        spm=True,
        rstrip=PHI[:4],
    ),
    "phi4": Family(
        turns("<|im_start|>ROLE<|im_sep|>", "<|im_end|>", "<|im_start|>assistant<|im_sep|>"),
        (*CHATML_ENDS, "<|im_sep|>"),
        "<|im_end|>",
        eos="<|endoftext|>",
    ),
    "command-r": Family(
        turns(
            "<|START_OF_TURN_TOKEN|><|ROLE_TOKEN|>",
            "<|END_OF_TURN_TOKEN|>",
            "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
            start="{{ bos_token }}",
            names="{{ 'CHATBOT' if m.role == 'assistant' else m.role | upper }}",
        ),
        (*COHERE, "<|SYSTEM_TOKEN|>"),
        "<|END_OF_TURN_TOKEN|>",
        bos="<BOS_TOKEN>",
        eos="<|END_OF_TURN_TOKEN|>",
    ),
    "deepseek-llm": Family(
        bracketed("User: {{ m.content }}\n\n", "Assistant: {{ m.content }}{{ eos_token }}")
        + "{% if add_generation_prompt %}Assistant:{% endif %}",
        DEEPSEEK[:2],
        DEEPSEEK[1],
        bos=DEEPSEEK[0],
        eos=DEEPSEEK[1],
        lead=" ",
    ),
    "deepseek-v3": Family(
        bracketed("<｜User｜>{{ m.content }}", "<｜Assistant｜>{{ m.content }}{{ eos_token }}")
        + "{% if add_generation_prompt %}<｜Assistant｜>{% endif %}",
        DEEPSEEK,
        DEEPSEEK[1],
        bos=DEEPSEEK[0],
        eos=DEEPSEEK[1],
    ),
    "deepseek-r1": Family(R1, DEEPSEEK, DEEPSEEK[1], bos=DEEPSEEK[0], eos=DEEPSEEK[1], opened="<think>\n"),
    "zephyr": Family(turns("<|ROLE|>\n", "{{ eos_token }}\n", "<|assistant|>\n"), ("<s>", "</s>"), **LEGACY),
    "granite": Family(
        turns(
            "<|start_of_role|>ROLE<|end_of_role|>",
            "<|end_of_text|>\n",
            "<|start_of_role|>assistant<|end_of_role|>",
        ),
        GRANITE,
        "<|end_of_text|>",
        bos="<|end_of_text|>",
        eos="<|end_of_text|>",
    ),
    "olmo": Family(
        "{{ eos_token }}"
        + EACH
        + "<|{{ m.role }}|>\n{{ m.content }}"
        + "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% if not loop.last %}\n{% endif %}{% endfor %}"
        + ADD
        + "\n<|assistant|>\n{% endif %}",
        ("<|endoftext|>",),
        "<|endoftext|>",
        eos="<|endoftext|>",
    ),
    "vicuna": Family(
        bracketed("USER: {{ m.content }} ", "ASSISTANT: {{ m.content }}{{ eos_token }}")
        + "{% if add_generation_prompt %}ASSISTANT:{% endif %}",
        ("<s>", "</s>"),
        lead=" ",
        **SENTENCE,
    ),
    "no-end-of-turn": Family(
        turns("### ROLE:\n", "\n\n", "### assistant:\n"), ("<|endoftext|>",), "<|endoftext|>", eos="<|endoftext|>"
    ),
}

SENTENCES = (
    "Why is the sky blue, and how does a user name the colour?",
    "Because the air scatters blue light more than red. It is so every day.",
    "An answer may have\nseveral lines,\n\n  spaces, words and numbers 1 2 3.",
) * 3


@cache
def tokenizer_of(name: str) -> Any:
    """A small tokenizer with the family's special tokens and template."""
    from transformers import PreTrainedTokenizerFast

    family = FAMILIES[name]
    backend = _spm(family.legacy) if family.spm else _byte_level()
    _mark_specials(backend, family)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=family.bos, eos_token=family.eos, pad_token=family.eos
    )
    tokenizer.chat_template = family.template
    return tokenizer


def _mark_specials(backend: Any, family: Family) -> None:
    from tokenizers import AddedToken

    backend.add_special_tokens(
        [AddedToken(text, special=True, normalized=False, rstrip=text in family.rstrip) for text in family.specials]
    )


def _byte_level() -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    # Line breaks stay together and apart from words, as in the tokenizers since GPT-4's.
    words = Regex(r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s*[\r\n]+|\s+(?!\S)|\s+")
    split = pre_tokenizers.Split(words, "isolated")
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(SENTENCES, trainer)
    return backend


def _spm(legacy: bool) -> Any:
    """Pieces that carry the space before a word, bytes for what is unknown, a space before the first word."""
    import json

    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    draft = Tokenizer(models.BPE())
    draft.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    draft.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=200, show_progress=False))
    learnt = json.loads(draft.to_str())["model"]
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [piece for piece in learnt["vocab"] if "\n" not in piece]
    merges = [tuple(merge) for merge in learnt["merges"] if not any("\n" in part for part in merge)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, unk_token="<unk>"))
    if legacy:
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    strip = decoders.Strip(" ", 1, 0)
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), strip])
    return backend
