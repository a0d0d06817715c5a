"""The documentation's Python snippets run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SNIPPETS = [
    pytest.param(page, match.group(1), id=f"{page.stem}-{number}")
    for page in PAGES
    for number, match in enumerate(FENCE.finditer(page.read_text("utf-8")), 1)
]


@pytest.mark.parametrize(("page", "code"), SNIPPETS)
def test_snippet_runs(page: Path, code: str) -> None:
    exec(compile(code, str(page), "exec"), {"__name__": "__main__"})


def test_there_are_snippets_to_run() -> None:
    assert len(SNIPPETS) >= 3
