"""Amounts are what the venue wrote, and print as people write them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from unitape_weex.amounts import amount, positive


@pytest.mark.parametrize(
    ("wire", "printed"), [("0.00000000", "0"), ("0E-18", "0"), ("0.10", "0.10"), ("1E+3", "1000"), ("-2.50", "-2.50")]
)
def test_an_amount_prints_plainly(wire, printed):
    assert str(amount(Decimal(wire))) == printed


def test_no_amount_is_none():
    assert positive(Decimal("0.000")) is None
    assert positive(Decimal("0.001")) == Decimal("0.001")
