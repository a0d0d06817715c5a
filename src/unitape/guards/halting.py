"""What follows a halt: cancel what is open, look whether it is gone, and say what is left."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Final, Protocol

import anyio
from msgspec import Struct

from unitape.errors import OrderNotFound, UnitapeError
from unitape.guards.guards import Alert, Guards
from unitape.guards.kill import Halt, KillRules
from unitape.spi import OrderRef
from unitape.trade.requests import CancelAllResult
from unitape_schemas import Order, Position

__all__ = ["Account", "CancelReport", "cancel_everything", "close_down"]

HOST_TURN: Final = 12.0
"""Seconds after which a host that hangs loses its turn to the other one, where there is one."""
NOT_YET: Final = frozenset({"pending", "unknown"})


class Account(Protocol):
    """One market's account, as the sweep uses it."""

    @property
    def market_name(self) -> str:
        """The market."""
        ...

    async def open_orders(self) -> list[tuple[Order, bool]]:
        """Ask for the open orders, each with whether it waits for a trigger where the venue keeps those apart."""
        ...

    def elsewhere(self) -> Account | None:
        """Return the same account at another host of the venue, if one is configured."""
        ...

    def believed_open(self) -> list[Order]:
        """Return what is believed open without asking."""
        ...

    async def cancel_all(self, symbol: str | None) -> CancelAllResult:
        """Cancel all of a symbol, or of the market."""
        ...

    async def cancel(self, refs: list[OrderRef]) -> list[Order | UnitapeError | None]:
        """Cancel these, one by one or in batches."""
        ...

    async def positions(self) -> list[Position]:
        """Return the open positions, as they are known."""
        ...


class CancelReport(Struct):
    """What the sweep of one market came to."""

    market: str
    confirmed: bool = False
    """The venue says that nothing is open but what was kept."""
    left: list[Order] = []
    kept: list[Order] = []
    failures: dict[str, str] = {}
    elsewhere: bool = False
    """It was the other host that said so, not the venue's usual one."""


async def close_down(guards: Guards, accounts: list[Account], halt: Halt) -> list[CancelReport]:
    """Cancel everything on these markets, side by side, then alert with what came of it."""
    reports = [CancelReport(account.market_name) for account in accounts]
    async with anyio.create_task_group() as tasks:
        for account, report in zip(accounts, reports, strict=True):
            tasks.start_soon(cancel_everything, account, guards.switch.rules, report)
    positions: list[Position] = []
    for account in accounts:
        try:
            positions += await account.positions()
        except UnitapeError as error:
            reports[accounts.index(account)].failures["positions"] = str(error)
    guards.settled(halt, [report.market for report in reports if report.confirmed])
    guards.alert(_summary(guards, halt, reports, positions))
    return reports


def _summary(guards: Guards, halt: Halt, reports: list[CancelReport], positions: list[Position]) -> Alert:
    sure = bool(reports) and all(report.confirmed for report in reports)
    left = tuple(_name(order) for report in reports for order in report.left)
    kept = tuple(_name(order) for report in reports for order in report.kept)
    failures = {f"{report.market} {name}": text for report in reports for name, text in report.failures.items()}
    if sure:
        text = "nothing is open any more" + (f" but {len(kept)} protective orders" if kept else "")
        others = ", ".join(report.market for report in reports if report.elsewhere)
        text += f", as the other host of {others} says; the usual one did not answer" if others else ""
    elif not reports:
        text = "NOTHING WAS CANCELED: no account is in reach; look at the venue's own pages now"
    else:
        doubt = ", ".join(report.market for report in reports if not report.confirmed)
        text = f"OPEN ORDERS MAY BE LEFT on {doubt}: {len(left)} believed open; look at the venue's own pages now"
    guards.record("canceled" if sure else "unconfirmed", text)
    severity = "warning" if sure else "emergency"
    unknown = guards.switch.unknown or halt.unknown
    return Alert(
        severity,
        guards.venue,
        text,
        halt,
        left,
        kept,
        unknown,
        tuple(positions),
        failures,
    )


async def cancel_everything(account: Account, rules: KillRules, report: CancelReport) -> None:
    """Cancel what is open on one market until the venue says that nothing is, or the tries are used up."""
    by_id = False
    other = account.elsewhere()
    for pause in _pauses(rules):
        answer = await _ask(account, other, report)
        asked = answer is not None
        found = answer or []
        if answer is None:
            found = [(order, order.trigger is not None) for order in account.believed_open()]
        report.kept = [order for order, _ in found if rules.keep_protective and _protects(order)]
        targets = [(order, waits) for order, waits in found if order not in report.kept]
        report.left = [order for order, _ in targets]
        if asked and not targets and not _under_way(account):
            report.confirmed = True
            return
        done = False
        with anyio.move_on_after(inf if other is None else HOST_TURN):
            done = await _sweep(account, targets, report, by_id=by_id, asked=asked)
        if not done and other is not None:
            await _sweep(other, targets, report, by_id=False, asked=asked)
        # After a try by id, the wide request gets its chance again.
        by_id = not done and not by_id
        await anyio.sleep(pause)
    await _look_again(account, other, rules, report)


async def _ask(account: Account, other: Account | None, report: CancelReport) -> list[tuple[Order, bool]] | None:
    """Ask for the open orders, of the other host where the usual one does not tell; None where neither does."""
    for name, host in (("open_orders", account), ("open_orders elsewhere", other)):
        if host is None:
            continue
        report.failures[name] = f"no answer within {HOST_TURN:g} s"
        with anyio.move_on_after(inf if other is None else HOST_TURN):
            try:
                found = await host.open_orders()
            except UnitapeError as error:
                report.failures[name] = str(error)
                continue
            del report.failures[name]
            report.elsewhere = host is other
            return found
    return None


async def _sweep(
    account: Account, targets: list[tuple[Order, bool]], report: CancelReport, *, by_id: bool, asked: bool
) -> bool:
    """Cancel once: as widely as the market can, by id if that fails or would take too much. Returns whether all of it
    was accepted.
    """
    failures = report.failures
    if not by_id and not report.kept:
        results: dict[str, CancelAllResult] = {}
        symbols: list[str | None] = [*dict.fromkeys(order.symbol for order, _ in targets)]
        # Where nobody can say what is open, everything of the market goes, too.
        for symbol in symbols if asked else [*symbols, None]:
            try:
                results[symbol or "*"] = await account.cancel_all(symbol)
            except UnitapeError as error:
                failures[symbol or "*"] = str(error)
        for name, result in results.items():
            failures.pop(name, None)
            failures.update((one, str(error)) for one, error in result.failures.items())
        if all(result.ok for result in results.values()) and len(results) >= len(symbols):
            return True
    refs = [OrderRef(order.symbol, order.id, order.client_id, conditional=waits) for order, waits in targets]
    accepted = asked
    for ref, answer in zip(refs, await account.cancel(refs), strict=True):
        name = ref.id or ref.client_id or ref.symbol
        if isinstance(answer, UnitapeError) and not isinstance(answer, OrderNotFound):
            failures[name] = str(answer)
            accepted = False
        else:
            failures.pop(name, None)
    return accepted


async def _look_again(account: Account, other: Account | None, rules: KillRules, report: CancelReport) -> None:
    """The tries are used up; what the last one did is still worth a look."""
    found = await _ask(account, other, report)
    if found is None:
        return
    report.kept = [order for order, _ in found if rules.keep_protective and _protects(order)]
    report.left = [order for order, _ in found if order not in report.kept]
    report.confirmed = not report.left and not _under_way(account)


def _under_way(account: Account) -> bool:
    """Tell whether an order may still appear: its answer is not here, or its fate is not known."""
    return any(order.status in NOT_YET and order.id is None for order in account.believed_open())


def _protects(order: Order) -> bool:
    return order.trigger is not None and order.reduce_only is True


def _pauses(rules: KillRules) -> Iterator[float]:
    pause = rules.first_pause
    for _ in range(rules.cancel_tries):
        yield pause
        pause = min(2 * pause, rules.longest_pause)


def _name(order: Order) -> str:
    return f"{order.symbol} {order.id or order.client_id or '?'}"
