"""What a replay does with code that reaches for the network."""

from __future__ import annotations

import socket

import pytest

from unitape.errors import NotRecorded
from unitape.testing.network import no_network


def test_a_refused_socket_is_closed_so_that_no_other_test_trips_over_it() -> None:
    with socket.socket() as mine, no_network(NotRecorded):
        with pytest.raises(NotRecorded, match=r"192\.0\.2\.1:80"):
            # socket.create_connection closes what it made for an OSError only.
            mine.connect(("192.0.2.1", 80))
        assert mine.fileno() == -1
