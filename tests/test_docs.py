"""The documentation's Python snippets run as they stand."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

import unitape
from unitape.cli import _parsers

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


PARTS = [
    pytest.param(match.group(1), id=f"{page.stem}-{number}")
    for page in PAGES
    for number, match in enumerate(
        re.finditer(r"^```py\b[^\n]*\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL), 1
    )
    if "--8<--" not in match.group(1)
]
"""Snippets that need a network or stand within another one: they are read, not run."""


@pytest.mark.parametrize("code", PARTS)
def test_what_is_not_run_is_python_and_names_what_exists(code: str) -> None:
    tree = compile(code, "snippet", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    named = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ut"
    }
    assert named <= set(dir(unitape))


COMMANDS = sorted(
    {
        line.partition("unitape ")[2]
        for page in PAGES
        for line in re.findall(r"^\$ (?:\w+=\S+ )*unitape .*$", page.read_text("utf-8"), re.MULTILINE)
    }
)


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_on_the_pages_are_commands(line: str) -> None:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word[0] in "|<>;&":
            break
        words.append(word)
    if words == ["COMMAND", "--help"]:
        return
    parser, command = _parsers(words[0])
    assert command is not None, line
    parser.parse_args([word for word in words if word != "…"])


def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_market_that_trades_has_its_error_codes_on_the_page() -> None:
    sections = re.split(r"^### ", "\n".join(hooks().error_tables()), flags=re.MULTILINE)[1:]
    tables = {part.splitlines()[0]: part.splitlines() for part in sections}
    # Codes that every user of these venues meets; the sheets of the adapters' tables name their pages.
    for market, code, error in (
        ("Binance spot", "-1021", "`TimestampOutOfWindow`"),
        ("Binance spot", "-1007", "`OutcomeUnknown`, asking: `ExchangeUnavailable`"),
        ("Binance usdm", "-2019", "`InsufficientFunds`"),
        ("MEXC spot", "30004", "`InsufficientFunds`"),
        ("MEXC futures", "2005", "`InsufficientFunds`"),
        ("WEEX spot", "-1040", "`AuthenticationFailed`"),
        ("WEEX contract", "-1000", "`OutcomeUnknown`, asking: `ExchangeUnavailable`"),
    ):
        rows = [line.split(" | ") for line in tables[market] if line.startswith(f"| `{code}`") or f", `{code}`" in line]
        assert [row[1] for row in rows] == [error], (market, code, rows)


def test_no_marker_is_left_on_a_page() -> None:
    module = hooks()
    for page in PAGES:
        assert "<!--" not in module.on_page_markdown(page.read_text("utf-8")), page.name
