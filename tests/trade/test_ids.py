"""Client ids: unique, ordered, readable, within every market's rule."""

from __future__ import annotations

import random
import re

import pytest

from unitape.errors import ConfigError
from unitape.spi import ClientIdRule
from unitape.trade.ids import ClientIds

NOW = 1_790_000_000_000_000_000


class Still:
    """A clock that stands."""

    def __init__(self, wall: int = NOW) -> None:
        self.at = wall

    def wall(self) -> int:
        return self.at

    def mono(self) -> int:
        return 0


@pytest.mark.parametrize(
    "rule",
    [
        ClientIdRule(),
        ClientIdRule(36, pattern=r"[\.A-Z\:/a-z0-9_-]{1,36}"),
        ClientIdRule(32, pattern=r"[A-Za-z0-9_-]+"),
        ClientIdRule(20, pattern=r"[a-z0-9]+"),
        ClientIdRule(15, pattern=r"[a-z0-9-]+"),
    ],
)
def test_ids_fit_the_rule_and_are_never_repeated_even_when_the_clock_stands(rule: ClientIdRule) -> None:
    ids = ClientIds(rule, random.Random(1), Still())
    made = [ids.new() for _ in range(5_000)]
    assert len(set(made)) == 5_000
    assert all(len(one) <= rule.max_length and re.fullmatch(rule.pattern, one) for one in made)
    assert all(re.fullmatch(r"[a-z0-9-]+", one) for one in made)
    stamps = [one.split("-")[1] for one in made] if "-" in made[0] else [one[:-4] for one in made]
    assert stamps == sorted(stamps)


def test_an_id_is_readable_and_tells_its_time() -> None:
    made = ClientIds(ClientIdRule(), random.Random(1), Still()).new()
    prefix, stamp, chance = made.split("-")
    assert prefix == "ut"
    assert int(stamp, 36) == NOW // 1_000
    assert len(chance) == 8


def test_two_processes_at_the_same_moment_differ_and_a_seed_repeats() -> None:
    one, other, again = (ClientIds(ClientIdRule(), random.Random(seed), Still()).new() for seed in (1, 2, 1))
    assert one != other
    assert one == again


def test_a_clock_that_goes_back_repeats_nothing() -> None:
    clock = Still()
    ids = ClientIds(ClientIdRule(), random.Random(1), clock)
    first = ids.new()
    clock.at -= 3_600_000_000_000
    assert ids.new().split("-")[1] > first.split("-")[1]


def test_a_rule_without_room_is_refused() -> None:
    with pytest.raises(ConfigError, match="no client id"):
        ClientIds(ClientIdRule(12), random.Random(1), Still())
    with pytest.raises(ConfigError, match="no client id"):
        ClientIds(ClientIdRule(pattern="[0-9]+"), random.Random(1), Still())


@pytest.mark.parametrize("wrong", ["", "x" * 33, "a b", "a.b", "ä"])
def test_chosen_ids_are_checked(wrong: str) -> None:
    ids = ClientIds(ClientIdRule(), random.Random(1), Still())
    assert ids.check("my_order-7") == "my_order-7"
    with pytest.raises(ConfigError, match="client id"):
        ids.check(wrong)
