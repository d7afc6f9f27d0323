"""For each rule on text, rows that have the fault and rows that have not."""

from __future__ import annotations

from typing import Any, NamedTuple

LONG = "The answer is long enough to be read, and it ends as a sentence should end, with a full stop."
OPEN = "The answer is long enough to be read, and it ends in the middle of a sentence as if somebody had"
RMS = "The story begins on April 14, 1912, the day the RMS"
CHINESE = "北京是世界著名的古都和现代化国际城市。北京的名胜古迹很多,例如故宫、天坛、颐和园、长城,并且在冬天的时候"


class Case(NamedTuple):
    """Rows after a sound first row, which settles the layout; ``held_out`` is the evaluation set."""

    faulty: list[Any]
    sound: list[Any]
    held_out: list[Any] | None = None


def pair(prompt: Any = "Why is the sky blue, in one line?", chosen: Any = LONG, rejected: Any = "No idea.") -> Any:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def labelled(prompt: str = "Why?", completion: str = "Because.", label: Any = True) -> Any:
    return {"prompt": prompt, "completion": completion, "label": label}


def annotation(preference: str) -> Any:
    return {"prompt": "Why?", "completion_a": LONG, "completion_b": "No idea.", "preference": preference}


def turns(*words: str) -> list[dict[str, str]]:
    """Messages from ``role: content`` words."""
    return [dict(zip(("role", "content"), word.split(": ", 1), strict=True)) for word in words]


USER, SYSTEM, ASSISTANT = "user: Why is it so?", "system: Be kind.", "assistant: Because it is."

CASES: dict[str, list[Case]] = {
    "D001": [Case([{"prompt": "Why?", "chosen": "x"}], [pair()]), Case([["no", "object"]], [pair()])],
    "D002": [Case([pair("Why?", "Because.", "Because.")], [pair("Why?", "Because.", "Because!")])],
    "D003": [
        Case([pair(chosen="")], [pair(chosen="a")]),
        Case([pair(rejected=" \n\t")], [pair(rejected=".")]),
        Case([pair(prompt=" ")], [pair(prompt="?")]),
    ],
    "D004": [
        Case(
            [pair(turns(USER), turns("user: Another question", ASSISTANT), turns("assistant: No."))],
            [pair(turns(USER), turns(USER, ASSISTANT), turns("assistant: No."))],
        )
    ],
    "D005": [
        Case([pair(turns(USER, ASSISTANT))], [pair(turns(USER))]),
        Case([pair(turns(SYSTEM))], [pair(turns(SYSTEM, USER))]),
        Case([pair(turns(USER), turns(USER, ASSISTANT, USER))], [pair(turns(USER), turns(USER, ASSISTANT))]),
    ],
    "D006": [
        Case([labelled(), labelled(label=0.5)], [labelled(), labelled(label=0)]),
        Case([labelled(), labelled(label="yes")], [labelled(), labelled(label=1)]),
    ],
    "D007": [
        Case([pair(chosen=LONG, rejected=LONG.replace("full", "Full"))], [pair(chosen=LONG, rejected=OPEN)]),
        Case([pair(chosen="Yes.\n\nIt is so.", rejected="Yes. It is so. ")], [pair(chosen="Yes.", rejected="No.")]),
        Case([pair(chosen="x" * 99 + "1", rejected="x" * 99 + "2")], [pair(chosen="x" * 99, rejected="y" * 99)]),
    ],
    "D008": [
        Case([pair(chosen=OPEN)], [pair(chosen=OPEN + ".")]),
        Case([pair(rejected="```python\nx = 1")], [pair(rejected="```python\nx = 1\n```")]),
        Case([pair(chosen=OPEN + " said,")], [pair(chosen="- milk\n- eggs\n- a loaf of bread")]),
        Case([pair(chosen=f"{LONG}\n\n{RMS}")], [pair(chosen=f"{LONG}\n\n{RMS} Titanic sailed into the ice.")]),
        Case([pair(chosen=f"{LONG} The other")], [pair(chosen=f"{LONG} #OneTag")]),
        Case([pair(chosen=f"{LONG}\n- {LONG}\n- Then add")], [pair(chosen=f"{LONG}\n- {OPEN} said\n- {OPEN} gone")]),
        Case([pair(chosen=f"1. {LONG}\n\n2. {LONG}\n\n3.")], [pair(chosen=f"1. {LONG}\n\nThat gives:\n\n42.")]),
        Case([pair(chosen=f"{LONG} The sum is 198 +")], [pair(chosen=f"{LONG}\n\n---")]),
        Case([pair(chosen=f"{LONG}\n\nNote:")], [pair(chosen=f"{LONG}\n\nAnswer: Illinois")]),
        Case([pair(chosen=f"{LONG}\nIn")], [pair(chosen=f"{OPEN} said\nFort Wayne, IN")]),
        Case([pair(chosen=CHINESE + "人们还会")], [pair(chosen=CHINESE + "人们还会来。")]),
        Case(
            [pair(chosen="The waves roll on beneath the light of the moon,\nAnd every ship must come to the")],
            [pair(chosen="The waves roll on beneath the light of the moon\nAnd every ship must come home to the bay")],
        ),
        Case(
            [pair(chosen=OPEN)], [pair(chosen="red, green, blue, yellow, orange, brown, pink, grey, black and white")]
        ),
    ],
    "D009": [
        Case(
            [pair("Please tell me why the sky is blue.", "Please tell me why the sky is blue. Because.")],
            [pair("Please tell me why the sky is blue.", "You ask me why the sky is blue. Because.")],
        )
    ],
    "D010": [
        Case([pair(turns(USER, "user: Hello?"))], [pair(turns(USER, ASSISTANT, "user: Hello?"))]),
        Case([pair(turns(USER, SYSTEM))], [pair(turns(SYSTEM, USER))]),
        Case([pair(turns(ASSISTANT, USER))], [pair(turns(USER, ASSISTANT, USER))]),
    ],
    "D011": [
        Case([pair(chosen="Done.<|im_end|>")], [pair(chosen="a <| b |> c in F#")]),
        Case([pair(prompt="[INST] Why? [/INST]")], [pair(prompt="Why [1]?")]),
        Case([pair(rejected="No.\n\nHuman: And now?")], [pair(rejected="Human: a word.")]),
        Case([pair(rejected="No.</s>")], [pair(rejected="<s>struck out</strike>")]),
        Case([pair(rejected="<|start_header_id|>")], [pair(rejected="x <y> z")]),
        Case([pair(chosen="Assistant: Hello there!")], [pair(chosen="My assistant: a parrot.")]),
        Case([pair(chosen="\n### Assistant: Hello!")], [pair(chosen="#### Response: it came late.")]),
        Case([pair(chosen="### Human: And?\n### Assistant: So.")], [pair(chosen="### Humans: a history")]),
        Case([pair(chosen="Paris.\n\n### Instruction:\nWhat next?")], [pair(chosen="### Instructions\nMix it.")]),
        Case([pair(chosen="Paris.\nUser: And Spain?\nAssistant: Madrid.")], [pair(chosen="Form:\nUser: Ann\nAge: 9")]),
        Case([pair(chosen="Paris.<eos>")], [pair(chosen="Use <s>text</s> around it.")]),
        Case([pair(chosen="<s>Paris.</s>")], [pair(chosen="<s>Old</s> and <s>older</s> text.")]),
    ],
    "D012": [
        Case([pair(chosen="bell\x07.")], [pair(chosen="tab\tand\r\nlines.\n")]),
        Case([pair(chosen="lost \ufffd\ufffd.")], [pair(chosen="déjà vu, ☃, שלום")]),
        Case([pair(prompt="é\x00")], [pair(prompt="é")]),
        Case([pair(chosen="It\x92s a dog.")], [pair(chosen="It’s a dog,\xa0and «that» is all.")]),
        Case([pair(prompt="What is a \x80 note?")], [pair(prompt="What is a € note?")]),
    ],
    "D013": [
        Case(
            [
                pair(
                    chosen="Потому что небо рассеивает синий свет сильнее.", rejected="Because of the sun, I would say."
                )
            ],
            [pair(chosen="Parce que le ciel est à côté de la mer, déjà.", rejected="Because of the sun, I would say.")],
        ),
        Case(
            [
                pair(
                    "为什么天空是蓝色的呢请用一句话回答我的这个问题好吗",
                    LONG,
                    "因为大气散射蓝色的光比散射红色的光要强得多的缘故吧",
                )
            ],
            [pair(chosen="Потому что небо синее, вот и всё.", rejected="Не знаю, спросите кого-нибудь.")],
        ),
    ],
    "D014": [Case([annotation(""), annotation("tie")], [annotation("tie")])],
    "D015": [
        Case([pair() | {"score_chosen": 4, "score_rejected": 6}], [pair() | {"score_chosen": 7, "score_rejected": 6}]),
        Case([pair() | {"chosen_rating": 4.0, "rejected_rating": 4}], [pair() | {"chosen_rating": 4.0}]),
    ],
    "D101": [
        Case([pair(), pair()], [pair(), pair(rejected="No.")]),
        Case([pair(), pair("why is the  sky blue, in one line? ")], [pair(), pair("Why is it blue, in one line?")]),
        Case([labelled(), labelled()], [labelled(), labelled(label=False)]),
    ],
    "D102": [
        Case([pair("A?", "x", "y"), pair("A?", "y", "x")], [pair("A?", "x", "y"), pair("B?", "y", "x")]),
        Case([labelled(), labelled(label=False)], [labelled(), labelled(completion="No.", label=False)]),
    ],
    "D103": [
        Case([pair("Why is it?")], [pair("Who is it?")], held_out=[pair("why is  it?", "x", "y")]),
        Case([pair()], [pair("Who?")], held_out=[pair()]),
        Case(
            [pair(turns(SYSTEM, "user: Name a fruit"))], [pair(turns(SYSTEM, USER))], held_out=[pair("Name a fruit.")]
        ),
        Case([pair("Who wrote Hamlet")], [pair("Who wrote Macbeth")], held_out=[pair("Who wrote Hamlet?")]),
        Case([pair("谁写了红楼梦")], [pair("谁写了西游记")], held_out=[pair("谁写了红楼梦？")]),
        Case(
            [pair(turns(SYSTEM, USER, ASSISTANT, "user: And then?"), "x", "y")],
            [pair(turns(USER, "assistant: Nobody knows.", "user: And then?"), "x", "y")],
            held_out=[pair(turns(USER, ASSISTANT, "user: And then"), "v", "w")],
        ),
        Case(
            [pair(turns(USER, "assistant: Nobody knows.", "user: continue"))],
            [pair(turns(USER, "assistant: Nobody knows.", "user: continue"), OPEN)],
            held_out=[pair(turns(USER, ASSISTANT, "user: Continue."))],
        ),
        Case(
            [pair(turns(SYSTEM, "user: Hi"), "x", "y")],
            [pair(turns("system: You are a pirate.", "user: Hi"), "x", "y")],
            held_out=[pair(turns(SYSTEM, "user: hi!"), "v", "w")],
        ),
        Case([pair("?")], [pair("...")], held_out=[pair("?")]),
    ],
    "D104": [
        Case(
            [pair(f"Question {i}?", "long " * 9, "short") for i in range(40)],
            [pair(f"Question {i}?", *(("long one", "short") if i % 2 else ("short", "long one"))) for i in range(40)],
        ),
        Case(
            [labelled(f"Question {i}?", "long " * 9 if i % 2 else "short", bool(i % 2)) for i in range(40)],
            [labelled(f"Question {i}?", "long " * (i % 7) + "one", bool(i % 2)) for i in range(40)],
        ),
    ],
    "D105": [
        Case(
            [labelled(f"Question {i}?", "Yes.", i % 10 == 0) for i in range(50)],
            [labelled(f"Question {i}?", "Yes.", i % 2 == 0) for i in range(50)],
        )
    ],
    "D107": [Case([annotation("a-is-better"), annotation("tie")], [annotation("a-is-better")])],
    "D106": [Case([labelled(), labelled("B?")], [labelled(), labelled("B?", label=False)])],
}
