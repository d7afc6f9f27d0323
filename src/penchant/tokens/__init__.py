"""From text to token ids: the prompt once, the boundary in token space, one end-of-turn token."""

from penchant.tokens.cache import TokenCache
from penchant.tokens.encode import Encoding, encode_answers, encode_pairs
from penchant.tokens.lists import encode_lists
from penchant.tokens.template import PromptStyle
from penchant.tokens.tokenise import EncodeSettings, Tokenised, fit, prompt_ids, tokenise

__all__ = [
    "EncodeSettings",
    "Encoding",
    "PromptStyle",
    "TokenCache",
    "Tokenised",
    "encode_answers",
    "encode_lists",
    "encode_pairs",
    "fit",
    "prompt_ids",
    "tokenise",
]
