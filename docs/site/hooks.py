"""What the site does to the pages.

The README is its first page, a link to a file outside ``docs/`` becomes the name of that file, and an executed notebook becomes a page with
what its cells showed, and an option stays on one line.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]*\)")
OPTION = re.compile(r"(?<=[\s>])--[a-z][\w-]*(?![^<>]*>)")
NOTEBOOK = re.compile(r"(\[(?!this notebook)[^\]]*\]\()([\w-]+)\.ipynb\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the README as ``index.md``, with its links as seen from ``docs/``, and each notebook as a page and its pictures."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"\]\((?!https?://|#|docs/)", "](../", text).replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=text))
    for path in sorted((ROOT / "docs").glob("*.ipynb")):
        page, pictures = of_notebook(path)
        files.append(File.generated(config, f"{path.stem}.md", content=page))
        for name, data in pictures.items():
            files.append(File.generated(config, name, content=data))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Name files of the repository that are no pages instead of linking to them; lead to the page of a notebook, not to its file."""
    return NOTEBOOK.sub(r"\1\2.md)", OUTSIDE.sub(r"`\1`", markdown))


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Keep the name of an option on one line; browsers break lines after its hyphens."""
    return OPTION.sub(r'<span class="option">\g<0></span>', html)


def of_notebook(path: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and the PNGs that it shows by their path in the site."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                name = f"pictures/{path.stem}-{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![What the cell above shows]({name})")
            elif "text/html" in data:
                parts.append("".join(data["text/html"]).replace("\n", " "))
            else:
                text = "".join(output.get("text", data.get("text/plain", "")))
                parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts) + "\n", pictures
