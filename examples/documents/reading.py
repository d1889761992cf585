"""The text of a PDF or an HTML page."""

import io
from html.parser import HTMLParser

from pypdf import PdfReader
from pypdf.errors import PyPdfError

HIDDEN = ("script", "style", "head")


class Unreadable(Exception):
    """The document holds no text that can be read."""


def read(content: bytes) -> str:
    text = _pdf(content) if content.startswith(b"%PDF") else _html(content)
    if not text.strip():
        raise Unreadable("the document holds no text")
    return text


def _pdf(content: bytes) -> str:
    try:
        return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    except PyPdfError as error:
        raise Unreadable(f"no PDF that can be read: {error}") from None


def _html(content: bytes) -> str:
    try:
        page = _Page()
        page.feed(content.decode())
    except UnicodeDecodeError:
        raise Unreadable("neither a PDF nor a page in UTF-8") from None
    return " ".join(page.texts)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden = 0 if tag == "body" else self._hidden + (tag in HIDDEN)  # `</head>` may be left out

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in HIDDEN))

    def handle_data(self, data: str) -> None:
        if not self._hidden and data.strip():
            self.texts.append(" ".join(data.split()))
