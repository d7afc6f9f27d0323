"""From text to token ids: the prompt once, the boundary in token space, one end-of-turn token."""

from penchant.tokens.encode import EncodeSettings, Encoding, encode_answers, encode_pairs
from penchant.tokens.template import PromptStyle

__all__ = ["EncodeSettings", "Encoding", "PromptStyle", "encode_answers", "encode_pairs"]
