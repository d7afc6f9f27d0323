"""A true-to-life row of every layout, what it says, and a change that makes it wrong."""

from __future__ import annotations

from typing import Any, NamedTuple

USER = {"role": "user", "content": "Name a colour."}
RED = {"role": "assistant", "content": "Red."}
BREAD = {"role": "assistant", "content": "Bread."}
HUMAN = {"from": "human", "value": "Name a colour."}
TURNS = (USER,)
TEXT = "Name a colour."
TRANSCRIPT = "\n\nHuman: Name a colour.\n\nAssistant:"


class True_(NamedTuple):
    """``says`` is the record in short: prompt, answers, and labels, scores or numbers; ``wrong`` the changed columns,
    and words of the message."""

    row: dict[str, Any]
    says: tuple[Any, ...]
    wrong: dict[str, Any]
    words: str


def gpt(value: str) -> dict[str, str]:
    return {"from": "gpt", "value": value}


ROWS: dict[str, True_] = {
    "prompt-pairs": True_(
        {"prompt": TEXT, "chosen": "Red.", "rejected": "Bread.", "id": 7},
        (TEXT, "Red.", "Bread.", {}),
        {"rejected": None},
        '"rejected" must be a string or a list of messages (got null)',
    ),
    "orca-pairs": True_(
        {"system": "Be brief.", "question": TEXT, "chosen": "Red.", "rejected": "Bread."},
        (({"role": "system", "content": "Be brief."}, USER), "Red.", "Bread.", {}),
        {"question": ""},
        '"question" is empty',
    ),
    "alpaca-pairs": True_(
        {
            "instruction": "Translate.",
            "input": "rouge",
            "history": [["Hello?", "Hi."]],
            "system": "",
            "chosen": "red",
            "rejected": "rude",
        },
        (
            (
                {"role": "user", "content": "Hello?"},
                {"role": "assistant", "content": "Hi."},
                {"role": "user", "content": "Translate.\nrouge"},
            ),
            "red",
            "rude",
            {},
        ),
        {"history": [["Hello?"]]},
        '"history" round 1 must be a question with its answer',
    ),
    "swift-pairs": True_(
        {"messages": [USER, RED], "rejected_response": "Bread."},
        (TURNS, "Red.", "Bread.", {}),
        {"messages": [USER]},
        '"messages" does not end with the assistant\'s turn',
    ),
    "rated-pairs": True_(
        {
            "instruction": TEXT,
            "chosen_response": "Red.",
            "rejected_response": "Bread.",
            "chosen_avg_rating": 4.5,
            "rejected_avg_rating": 1,
        },
        (TEXT, "Red.", "Bread.", {"chosen_scores": 4.5, "rejected_scores": 1.0}),
        {"chosen_avg_rating": "good"},
        "\"chosen_avg_rating\" must be a number (got 'good')",
    ),
    "transcripts": True_(
        {"chosen": f"{TRANSCRIPT} Red.", "rejected": f"{TRANSCRIPT} Bread."},
        (TURNS, "Red.", "Bread.", {}),
        {"rejected": "\n\nHuman: Name food.\n\nAssistant: Bread."},
        '"rejected" does not answer the same conversation as "chosen" (got the user turn \'Name food.\' as turn 1)',
    ),
    "conversation-pairs": True_(
        {"chosen": [USER, RED], "rejected": [USER, BREAD]},
        (TURNS, "Red.", "Bread.", {}),
        {"rejected": [RED, BREAD]},
        '"rejected" does not answer the same conversation',
    ),
    "sharegpt": True_(
        {
            "conversations": [HUMAN],
            "chosen": gpt("Red."),
            "rejected": gpt("Bread."),
            "tools": '[{"name": "look"}]',
        },
        (TURNS, "Red.", "Bread.", {}),
        {"chosen": HUMAN},
        '"chosen" is not the assistant\'s turn',
    ),
    "shp": True_(
        {
            "history": TEXT,
            "human_ref_A": "Bread.",
            "human_ref_B": "Red.",
            "labels": 0,
            "score_A": 3,
            "score_B": 12,
            "domain": "colours_train",
        },
        (TEXT, "Red.", "Bread.", {"chosen_scores": 12.0, "rejected_scores": 3.0}),
        {"labels": 2},
        '"labels" is neither 1 (A is preferred) nor 0 (B is) (got 2)',
    ),
    "stack-exchange-pairs": True_(
        {"qid": 4, "question": TEXT, "response_j": "Red.", "response_k": "Bread.", "date": "2015/01/01"},
        (TEXT, "Red.", "Bread.", {}),
        {"response_k": "Red."},
        "states no preference",
    ),
    "webgpt": True_(
        {
            "question": {"dataset": "eli5", "full_text": TEXT},
            "answer_0": "Bread.",
            "answer_1": "Red.",
            "score_0": -0.5,
            "score_1": 0.5,
        },
        (TEXT, "Red.", "Bread.", {"chosen_scores": 0.5, "rejected_scores": -0.5, "is_tie": 0.0}),
        {"question": {"dataset": "eli5"}},
        '"question" has no "full_text"',
    ),
    "annotations": True_(
        {
            "prompt": TEXT,
            "completion_a": "Bread.",
            "completion_b": "Red.",
            "preference": "b-is-slightly-better",
            "completion_a_is_acceptable": "no",
            "completion_b_is_acceptable": "yes",
        },
        (TEXT, "Red.", "Bread.", {"margin": 1.0, "chosen_label": 1.0, "rejected_label": 0.0, "is_tie": 0.0}),
        {"preference": "b"},
        "\"preference\" is no verdict of five steps (got 'b'). Known: a-is-better",
    ),
    "arena": True_(
        {
            "model_a": "x",
            "model_b": "y",
            "conversation_a": [USER, BREAD],
            "conversation_b": [USER, RED],
            "winner": "model_b",
        },
        (TURNS, "Red.", "Bread.", {"is_tie": 0.0}),
        {"winner": "y"},
        "\"winner\" is no verdict (got 'y')",
    ),
    "alpaca-eval": True_(
        {"instruction": TEXT, "output_1": "Bread.", "output_2": "Red.", "preference": 1.75, "annotator": "judge"},
        (TEXT, "Red.", "Bread.", {"preference_probs": 0.75, "is_tie": 0.0}),
        {"preference": 0.5},
        '"preference" must be from 1 to 2, or 0 (got 0.5)',
    ),
    "helpsteer-preferences": True_(
        {"prompt": TEXT, "response_1": "Red.", "response_2": "Bread.", "preference_strength": -2},
        (TEXT, "Red.", "Bread.", {"margin": 2.0, "is_tie": 0.0}),
        {"preference_strength": 4},
        '"preference_strength" must be a number from -3 to 3 (got 4)',
    ),
    "token-pairs": True_(
        {"prompt_ids": [1, 2], "chosen_input_ids": [3, 4], "rejected_ids": [3, 5]},
        ([1, 2], [3, 4], [3, 5]),
        {"prompt_ids": [1, -2]},
        '"prompt_ids" must be a list of token ids',
    ),
    "token-answers": True_(
        {"prompt_ids": [1, 2], "completion_ids": [3], "label": True},
        ([1, 2], [3], True),
        {"completion_ids": []},
        '"completion_ids" holds no tokens',
    ),
    "labelled-completions": True_(
        {"prompt": TEXT, "completion": "Red.", "label": True},
        (TEXT, "Red.", True),
        {"label": 0.5},
        '"label" is neither true nor false',
    ),
    "labelled-messages": True_(
        {"messages": [USER, RED], "kto_tag": False},
        (TURNS, "Red.", False),
        {"kto_tag": "no"},
        '"kto_tag" is neither true nor false',
    ),
    "sharegpt-labelled": True_(
        {"conversations": [HUMAN, gpt("Red.")], "label": 1},
        (TURNS, "Red.", True),
        {"conversations": [HUMAN]},
        '"conversations" does not end with the assistant\'s turn',
    ),
    "alpaca-labelled": True_(
        {"instruction": TEXT, "input": "", "output": "Red.", "kto_tag": True},
        (TEXT, "Red.", True),
        {"output": " "},
        '"output" is an empty answer',
    ),
    "ultrafeedback": True_(
        {
            "instruction": TEXT,
            "models": ["x", "y"],
            "completions": [
                {"model": "x", "response": "Bread.", "overall_score": 3.5, "fine-grained_score": 2},
                {"model": "y", "response": "Red.", "overall_score": 8, "fine-grained_score": 4.5},
            ],
        },
        (TEXT, ("Bread.", "Red."), (3.5, 8.0)),
        {"completions": [{"response": "Red."}]},
        '"completions" entry 1 has no "overall_score"',
    ),
    "nectar": True_(
        {
            "prompt": f"{TRANSCRIPT} ",
            "answers": [{"answer": "Bread.", "model": "x", "rank": 2.0}, {"answer": "Red.", "model": "y", "rank": 1}],
        },
        (TURNS, ("Bread.", "Red."), (-2.0, -1.0)),
        {"answers": [{"answer": "Red.", "rank": None}]},
        '"answers" entry 1 "rank" must be a number (got null)',
    ),
    "stack-exchange": True_(
        {"qid": 4, "question": TEXT, "answers": [{"text": "Red.", "pm_score": 5}, {"text": "Bread.", "pm_score": 0}]},
        (TEXT, ("Red.", "Bread."), (5.0, 0.0)),
        {"answers": []},
        '"answers" is an empty list',
    ),
    "ranked-completions": True_(
        {
            "context": [USER],
            "completions": [{"rank": 0, "completion": [RED]}, {"rank": 1, "completion": [BREAD]}],
        },
        (TURNS, ("Red.", "Bread."), (0.0, -1.0)),
        {"completions": [{"rank": 0, "completion": [USER]}]},
        '"completions" entry 1 "completion" does not end with the assistant\'s turn',
    ),
    "ranked-lists": True_(
        {"prompt": TEXT, "responses": ["Bread.", "Red.", "Blue."], "ranks": [3, 1, 2]},
        (TEXT, ("Bread.", "Red.", "Blue."), (-3.0, -1.0, -2.0)),
        {"ranks": [1, 2]},
        "the row has 3 answers and 2 ratings. Give one rating for each answer",
    ),
    "helpsteer": True_(
        {"prompt": TEXT, "response": "Red.", "helpfulness": 3, "correctness": 4, "verbosity": 1},
        (TEXT, ("Red.",), (3.0,)),
        {"helpfulness": None},
        '"helpfulness" must be a number (got null)',
    ),
    "rated-answers": True_(
        {"prompt": [USER], "completion": "Red.", "rating": "4.5"},
        (TURNS, ("Red.",), (4.5,)),
        {"rating": "five"},
        "\"rating\" must be a number (got 'five')",
    ),
}
