"""Pages of the documentation site that lie elsewhere in the repository, for MkDocs (``hooks`` in mkdocs.yml).

The README is the start page, and the READMEs of plugins, the changelog, the model card and the like have
pages too. Links between all of them are written for the repository; here they are turned into links within
the site.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"(!?)\[([^\[\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
_BLOCK = re.compile(r"(^```.*?^```)", re.S | re.M)


def _elsewhere() -> dict[str, str]:
    """Path in the repository of each page that lies outside ``docs``, by its path in the site."""
    pages = {
        "index.md": "README.md",
        "contributing.md": "CONTRIBUTING.md",
        "changelog.md": "CHANGELOG.md",
        "notice.md": "NOTICE.md",
        "examples/web.md": "examples/web/README.md",
    }
    card = next((ROOT / "src/synctool/weights/bundled").glob("fcn-cls.v*.md"))
    pages["model-card.md"] = card.relative_to(ROOT).as_posix()
    for readme in sorted((ROOT / "plugins").glob("*/README.md")):
        pages[f"plugins/{readme.parent.name}.md"] = readme.relative_to(ROOT).as_posix()
    return pages


_PAGES = _elsewhere()
_IN_SITE = {source: page for page, source in _PAGES.items()}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from elsewhere."""
    for page, source in _PAGES.items():
        text = (ROOT / source).read_text("utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links of the repository into links of the site; what has no page keeps its words alone."""
    here = page.file.src_uri
    source = Path(_PAGES.get(here, f"docs/{here}"))

    def turned(found: re.Match[str]) -> str:
        mark, words, target, place = found[1], found[2], found[3], found[4] or ""
        if "://" in target or target.startswith(("mailto:", "/")):
            return found[0]
        path = os.path.normpath(source.parent / target).replace(os.sep, "/")
        if f"{path}/README.md" in _IN_SITE:
            path = f"{path}/README.md"
        if path not in _IN_SITE and not path.startswith("docs/"):
            return words
        path = _IN_SITE.get(path, path.removeprefix("docs/"))
        relative = os.path.relpath(path, os.path.dirname(here) or ".").replace(os.sep, "/")
        return f"{mark}[{words}]({relative}{place})"

    parts = _BLOCK.split(markdown)
    return "".join(part if i % 2 else _LINK.sub(turned, part) for i, part in enumerate(parts))
