"""A judge: of two answers to a question, the concise complete one is better."""

LEAST_WORDS = 8
SHORTER_BY = 0.8


def complete(answer: str) -> bool:
    """A full sentence of some length: the rule must not reward saying nothing."""
    return len(answer.split()) >= LEAST_WORDS and answer.rstrip("\"')]*").endswith((".", "!", "?"))


def better(prompt: str, first: str, second: str) -> str:
    """A complete answer beats one that is not; of two complete ones the clearly shorter wins."""
    if complete(first) != complete(second):
        return "first" if complete(first) else "second"
    words = len(first.split()), len(second.split())
    if not complete(first) or min(words) > SHORTER_BY * max(words):
        return "tie"
    return "first" if words[0] < words[1] else "second"
