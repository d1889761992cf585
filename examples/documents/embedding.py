"""Sentence vectors from WordLlama: 256 numbers, 16 MB of weights that come inside the package's wheel (MIT).

A small model: the mean of learnt word vectors. Put a larger one here; nothing else changes.
"""

from functools import cache
from pathlib import Path

import wordllama


@cache
def _model() -> wordllama.WordLlamaInference:
    # The folder of the package: nothing is downloaded.
    return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)


def vectors_of(texts: list[str]) -> list[list[float]]:
    return [[round(float(number), 6) for number in vector] for vector in _model().embed(texts, norm=True)]
