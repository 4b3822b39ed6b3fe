"""What mkdocs calls while it builds the site: adds the pages that are made from the code, and what pages link to."""

from __future__ import annotations

from typing import Any

from mkdocs.structure.files import File, Files

from scripts.documenting.made import MADE
from scripts.documenting.outside import ROOT, in_site, linked, relinked


def on_files(files: Files, config: Any) -> Files:
    for name, make in MADE.items():
        files.append(File.generated(config, name, content=make()))
    pages = [f"docs/{file.src_uri}" for file in files.documentation_pages() if file.src_uri not in MADE]
    # A page that is made may lead out of docs/, too: what the settings' page does.
    wanted = {target for page in pages for target in linked(page)} | {"config/pushpull.toml"}
    for target in sorted(wanted):
        files.append(File.generated(config, in_site(target), abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    return relinked(markdown, page.file.src_uri)
