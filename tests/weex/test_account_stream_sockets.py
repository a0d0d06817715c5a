"""The simulated private socket on loopback, for clients that know nothing of us and sign by themselves."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any

import aiohttp
import pytest
import websockets

from unitape.sim import DEMO_USER, SimServer, SimSettings
from unitape_weex import VENUE

pytestmark = pytest.mark.asyncio


def signed(host: Any, text: str, secret: str = DEMO_USER.secret) -> dict[str, str]:
    stamp = str(host.exchange.now // 1_000_000)
    mac = hmac.new(secret.encode(), (stamp + text).encode(), hashlib.sha256).digest()
    return {
        "User-Agent": "somebody else's",
        "ACCESS-KEY": DEMO_USER.key,
        "ACCESS-SIGN": base64.b64encode(mac).decode(),
        "ACCESS-TIMESTAMP": stamp,
        "ACCESS-PASSPHRASE": DEMO_USER.passphrase,
    }


async def test_an_order_by_http_is_told_on_the_private_socket() -> None:
    settings = SimSettings(symbols=("BTC",), markets=("weex/spot",))
    async with SimServer([VENUE], settings) as sim, asyncio.timeout(10), aiohttp.ClientSession() as http:
        place, host = sim.endpoint("weex", "spot"), sim.host("weex", "spot")
        headers = signed(host, "/v3/ws/private")
        async with websockets.connect(
            place.ws["private"], additional_headers=headers, user_agent_header=None
        ) as socket:
            assert json.loads(await socket.recv())["event"] == "connected"
            await socket.send(json.dumps({"method": "SUBSCRIBE", "params": ["orders", "account"], "id": 5}))
            assert json.loads(await socket.recv()) == {"result": True, "id": 5}
            body = json.dumps(
                {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01",
                 "price": "90000", "newClientOrderId": "by-hand"}
            )  # fmt: skip
            asked = signed(host, "POST/api/v3/order" + body) | {"Content-Type": "application/json"}
            async with http.post(place.rest + "/api/v3/order", data=body, headers=asked) as answer:
                assert answer.status == 200, await answer.text()
                order_id = str((await answer.json())["orderId"])
            push = json.loads(await socket.recv())
            (row,) = push["d"]
            assert push["e"] == "orders"
            assert (row["id"], row["clientOrderId"], row["status"], row["price"]) == (
                order_id, "by-hand", "PENDING", "90000.00",
            )  # fmt: skip
            held = json.loads(await socket.recv())
            assert (held["e"], held["d"][0]["coin"], held["d"][0]["frozen"]) == ("account", "USDT", "900.00000000")


async def test_a_wrong_secret_gets_no_socket() -> None:
    async with SimServer([VENUE], SimSettings(symbols=("BTC",), markets=("weex/contract",))) as sim:
        headers = signed(sim.host("weex", "contract"), "/v3/ws/private", secret="guessed")
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with asyncio.timeout(10):
                await websockets.connect(
                    sim.endpoint("weex", "contract").ws["private"], additional_headers=headers, user_agent_header=None
                )
        assert refused.value.response.status_code == 401
