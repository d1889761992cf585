"""The pipeline's workers: `python stages.py extract`, or analyze, summarize, embed.

What a stage returns is the next stage's task, in one step with the acknowledgement.
"""

import re
import sys
from collections import Counter
from dataclasses import asdict, dataclass

from reading import Unreadable, read

from streamqueue import DeadLetter, Worker

SENTENCES = 3  # of a summary
COMMON = 4  # letters up to which a word is no keyword


@dataclass
class Upload:
    name: str
    content: bytes


@dataclass
class Extracted:
    name: str
    text: str


@dataclass
class Analyzed(Extracted):
    words: int
    keywords: list[str]


@dataclass
class Summarized(Analyzed):
    summary: str


@dataclass
class Embedded:
    name: str
    words: int
    keywords: list[str]
    summary: str
    vector: list[float]


def extract(upload: Upload) -> Extracted:
    try:
        return Extracted(upload.name, read(upload.content))
    except Unreadable as error:
        raise DeadLetter(str(error)) from None  # trying again will not help


def analyze(document: Extracted) -> Analyzed:
    words = re.findall(r"[^\W\d_]+", document.text.lower())
    keywords = [word for word, _ in Counter(word for word in words if len(word) > COMMON).most_common(8)]
    return Analyzed(**asdict(document), words=len(words), keywords=keywords)


def summarize(document: Analyzed) -> Summarized:
    """The sentences with the most keywords, in their own order."""
    sentences = re.split(r"(?<=[.!?])\s+", " ".join(document.text.split()))
    best = sorted(sentences, key=lambda each: -sum(each.lower().count(word) for word in document.keywords))[:SENTENCES]
    return Summarized(**asdict(document), summary=" ".join(each for each in sentences if each in best))


def embed(documents: list[Summarized]) -> list[Embedded]:
    """All that waits in one pass through the model."""
    from embedding import vectors_of  # the other stages need no model

    vectors = vectors_of([each.summary for each in documents])
    return [
        Embedded(each.name, each.words, each.keywords, each.summary, vector)
        for each, vector in zip(documents, vectors, strict=True)
    ]


STAGES = {stage.__name__: stage for stage in (extract, analyze, summarize, embed)}

if __name__ == "__main__":
    worker = Worker()
    stage = STAGES[sys.argv[1]]
    worker.batch(stage) if stage is embed else worker.task(stage)
    worker.run()
