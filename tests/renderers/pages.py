"""A page as a browser would take it apart: tags, attributes, text, plots and policy."""

import re
from base64 import b64encode
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser

_LOADING = {"src", "srcset", "data", "action", "poster", "background", "xlink:href"}


class Page(HTMLParser):
    """Collects what the tests look at."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.scopes: list[tuple[str, str]] = []
        self.text = ""
        self.kinds: list[tuple[str, str]] = []
        self.policy: dict[str, str] = {}
        self._silent = False
        self.feed(source)
        self.plots = re.findall(r"<svg.*?</svg>", source, flags=re.DOTALL)
        self.title = unescape(source.partition("<title>")[2].partition("</title>")[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.attributes += found.items()
        self._silent = tag in {"script", "style"}
        if "scope" in found:
            self.scopes.append((tag, found["scope"]))
        if "data-kind" in found:
            self.kinds.append(("", found["data-kind"]))
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(part.strip().split(" ", 1) for part in found["content"].split(";"))

    def handle_endtag(self, tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        self.text += data
        if self.kinds and not self.kinds[-1][0] and data.strip():  # what a case shows first is its id
            self.kinds[-1] = (data.strip(), self.kinds[-1][1])

    @property
    def ids(self) -> set[str]:
        return {value for name, value in self.attributes if name == "id"}

    @property
    def links(self) -> set[str]:
        return {value for name, value in self.attributes if name == "href"}

    @property
    def loads(self) -> list[str]:
        """What the page would fetch."""
        return [value for name, value in self.attributes if name in _LOADING] + [link for link in self.links if link[0] != "#"]

    @property
    def inline_code(self) -> list[str]:
        """Handlers and styles in attributes."""
        return [name for name, _ in self.attributes if name.startswith("on") or name == "style"]

    def digest(self, tag: str) -> str:
        """Return the hash by which a policy names the content of an element."""
        content = self.source.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        return f"sha256-{b64encode(sha256(content.encode()).digest()).decode()}"
