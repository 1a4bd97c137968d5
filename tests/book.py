"""The guide as a book: mdBook builds it without a warning, and every link of its pages leads to a page, a file and a heading of
the book.

usage: book.py MDBOOK   (the program, or its name)
"""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "target" / "book"
# Pages that mdBook adds: links of all pages once more, and those of a page at an unknown address.
ADDED = {"print.html", "toc.html", "404.html"}


class Page(HTMLParser):
    """Anchors of a page and what it refers to."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.targets = set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, _, attributes):
        found = dict(attributes)
        self.anchors.add(found.get("id"))
        self.targets += [found[name] for name in ("href", "src") if found.get(name)]


def is_found(target, page, pages):
    """Whether a link of a page leads to something in the book; what lies on the web is not asked for."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return True
    file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not file.exists() or not file.is_relative_to(BOOK):
        return False
    return not parts.fragment or file not in pages or unquote(parts.fragment) in pages[file].anchors


def main():
    built = subprocess.run([sys.argv[1], "build", ROOT / "docs"], capture_output=True, text=True, check=False)
    said = built.stdout + built.stderr
    assert built.returncode == 0 and "WARN" not in said and "ERROR" not in said, said
    pages = {path: Page(path) for path in BOOK.rglob("*.html")}
    listed = (ROOT / "docs" / "SUMMARY.md").read_text(encoding="utf-8").count(".md)")
    assert len(pages) >= listed, f"{len(pages)} pages of {listed} that docs/SUMMARY.md lists"
    held = [(page, target) for page in pages if page.name not in ADDED for target in pages[page].targets]
    wrong = [f"{page.name}: {target}" for page, target in held if not is_found(target, page, pages)]
    print(f"{len(pages)} pages, {len(held)} links")
    assert not wrong, "lead nowhere in the book:\n  " + "\n  ".join(wrong)


if __name__ == "__main__":
    main()
