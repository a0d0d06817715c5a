"""The capability table of the docs says what the refusals say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.feed import quarry
from tests.trade import bourse

HOOKS = Path(__file__).parents[2] / "docs" / "hooks.py"


def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_hooks", HOOKS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_tradable_market_has_a_column_and_each_ability_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    made = hooks()
    monkeypatch.setattr(made, "_venues", lambda: [bourse.venue(), quarry.venue()])
    page = made.on_page_markdown("before\n<!-- trading tables -->\nafter")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    assert rows[0] == ["", "Bourse spot", "Bourse margin"]
    table = {row[0]: row[1:] for row in rows[2:]}
    assert table["kinds"] == ["limit, market", "limit, market, stop, take_profit, stop_limit, take_profit_limit"]
    assert table["market orders by cost"] == ["buy", "-"]
    assert table["reduce-only"] == ["-", "yes"]
    assert table["cancel all"] == ["a symbol at once", "one by one"]
    assert table["place in batches of"] == ["3", "-"]
    assert table["client ids"] == ["up to 32 characters", "up to 24 characters"]
    assert page.startswith("before\n|")
    assert page.endswith("after")


def test_installed_venues_make_a_table_without_blanks() -> None:
    lines = list(hooks().trading_tables())
    rows = [line for line in lines if line.startswith("|")]
    if not rows:
        assert lines == ["No installed venue trades."]
        return
    assert len({row.count("|") - row.count("\\|") for row in rows}) == 1
    assert not any("|  |" in row for row in rows[2:])
