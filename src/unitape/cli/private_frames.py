"""``unitape decode --private``: what a venue pushed about an account, read by the market's own session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from unitape.errors import ConfigError
from unitape.spi import (
    Closing,
    Credentials,
    Instruments,
    Market,
    PrivateOutput,
    PrivateSession,
    Ready,
    Recheck,
    Refused,
    Streaming,
    Tradable,
    TradingSettings,
    Unmapped,
)
from unitape.tape.rows import Row
from unitape_schemas import Event, Status

__all__ = ["PrivateFrames"]

NOBODY: Final = Credentials("recorded", "recorded", "recorded")
"""A session wants to log on before it reads; what it would send is thrown away."""


class PrivateFrames:
    """Reads recorded frames of one market's private connections, one session after the other."""

    def __init__(self, market: Market, instruments: Instruments) -> None:
        """Prepare.

        Raises:
            ConfigError: the market streams no account.
        """
        if not isinstance(market, Streaming):
            raise ConfigError(f"{market.venue} {market.name} streams no account; leave out --private")
        self._venue = market.venue
        self._stream = market.account_stream(instruments, _settings(market, instruments))
        self._session: PrivateSession | None = None
        self.unmapped: Counter[str] = Counter()

    def opened(self) -> None:
        """Another connection begins: what the last one said of its state no longer holds."""
        self._session = None

    def decode(self, row: Row) -> Sequence[Event]:
        """Return what one frame says.

        Raises:
            WireError: it cannot be understood.
        """
        session = self._session
        if session is None:
            session = self._session = self._stream.session()
            session.on_open(NOBODY, row.ts)
        outputs = session.on_frame(row.data, row.ts)
        session.outbox.clear()
        return [event for output in outputs if (event := self._event(output, row.ts)) is not None]

    def _event(self, output: PrivateOutput, ts: int) -> Event | None:
        if isinstance(output, Ready):
            text = "the account is streamed from here on"
            return Status(self._venue, "", 0, 0, ts, "subscribed", None, None, text, output.raw)
        if isinstance(output, Refused):
            return Status(self._venue, "", 0, 0, ts, "rejected", None, None, output.text, output.raw)
        if isinstance(output, Unmapped):
            self.unmapped[output.name] += 1
            return None
        if isinstance(output, Recheck):
            self.unmapped[f"a hint to ask for {', '.join(output.channels)}"] += 1
            return None
        return None if isinstance(output, Closing) else output


def _settings(market: Market, instruments: Instruments) -> TradingSettings:
    """Return settings of a position mode that the market has; a recording does not say which it was."""
    settings = TradingSettings()
    modes = market.trading(instruments, settings).spec.position_modes if isinstance(market, Tradable) else ()
    return TradingSettings(position_mode=modes[0]) if modes and settings.position_mode not in modes else settings
