"""What the doctor says about keys."""

from __future__ import annotations

import json

from unitape.cli.doctor import judge
from unitape.spi import AccountFlags


def test_rights_that_make_a_theft_worse_are_warned_of():
    risky = judge(AccountFlags(can_trade=True, can_withdraw=True, ip_bound=False))
    assert risky.text == "may trade, may withdraw, not bound to addresses"
    assert [warning.split(":")[0] for warning in risky.warnings] == [
        "withdrawals are allowed",
        "the key works from any address",
    ]
    safe = judge(AccountFlags(can_trade=True, can_withdraw=False, ip_bound=True))
    assert (safe.text, safe.warnings) == ("may trade, may not withdraw, bound to addresses", ())


def test_what_the_venue_keeps_to_itself_is_said_to_be_so():
    silent = judge(AccountFlags(note="ask elsewhere"))
    assert silent.text == (
        "the venue does not tell whether it may trade or it may withdraw or it is bound to addresses (ask elsewhere)"
    )
    assert silent.warnings == ()
    part = judge(AccountFlags(can_trade=False, can_withdraw=False))
    assert part.text == "may not trade, may not withdraw, the venue does not tell whether it is bound to addresses"


def test_the_demo_user_of_a_simulated_venue_is_asked(run):
    done = run("doctor", "binance", "--sim", "--json")
    assert done.status == 0
    for check in json.loads(done.out)["markets"]:
        account = check["account"]
        assert (account["can_trade"], account["can_withdraw"], account["ip_bound"]) == (True, False, None)
    assert "sim-demo" not in done.out + done.err
