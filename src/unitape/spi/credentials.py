"""Keys and secrets, in a type that never shows them."""

from __future__ import annotations

from typing import NoReturn

__all__ = ["Credentials"]


class Credentials:
    """An API key, its secret and, where the venue has one, its passphrase.

    Neither ``repr`` nor ``str`` nor a format shows them, they are not in ``__dict__``, and the object can be neither
    pickled nor encoded. Only signing reads them, by ``key``, ``secret`` and ``passphrase``.
    """

    __slots__ = ("_key", "_passphrase", "_secret")

    def __init__(self, key: str, secret: str, passphrase: str | None = None) -> None:
        self._key = key
        self._secret = secret
        self._passphrase = passphrase

    @property
    def key(self) -> str:
        """The API key."""
        return self._key

    @property
    def secret(self) -> str:
        """The API secret, or the private key in PEM form."""
        return self._secret

    @property
    def passphrase(self) -> str | None:
        """The passphrase; None where the venue has none."""
        return self._passphrase

    def hidden(self) -> tuple[str, ...]:
        """Return everything that must not appear anywhere, for whoever scrubs texts."""
        return tuple(part for part in (self._key, self._secret, self._passphrase) if part)

    def __repr__(self) -> str:
        return "Credentials(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are not written anywhere")
