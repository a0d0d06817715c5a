"""The protobuf schema of the spot pushes, as a table, and its classes for upb.

The table says what ``proto/mexc_spot.proto`` says (revision of 17 June 2026; a test compares the two). The classes are
built from it at run time, so users need no ``protoc``, and ``google.protobuf`` is imported by the first call only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ["BODIES", "BODY_FIELDS", "MESSAGES", "WRAPPER", "message_class", "parser", "unknown_fields"]

WRAPPER: Final = "PushDataV3ApiWrapper"

BODIES: Final[dict[int, tuple[str, str]]] = {
    301: ("publicDeals", "PublicDealsV3Api"),
    302: ("publicIncreaseDepths", "PublicIncreaseDepthsV3Api"),
    303: ("publicLimitDepths", "PublicLimitDepthsV3Api"),
    304: ("privateOrders", "PrivateOrdersV3Api"),
    305: ("publicBookTicker", "PublicBookTickerV3Api"),
    306: ("privateDeals", "PrivateDealsV3Api"),
    307: ("privateAccount", "PrivateAccountV3Api"),
    308: ("publicSpotKline", "PublicSpotKlineV3Api"),
    309: ("publicMiniTicker", "PublicMiniTickerV3Api"),
    310: ("publicMiniTickers", "PublicMiniTickersV3Api"),
    311: ("publicBookTickerBatch", "PublicBookTickerBatchV3Api"),
    312: ("publicIncreaseDepthsBatch", "PublicIncreaseDepthsBatchV3Api"),
    313: ("publicAggreDepths", "PublicAggreDepthsV3Api"),
    314: ("publicAggreDeals", "PublicAggreDealsV3Api"),
    315: ("publicAggreBookTicker", "PublicAggreBookTickerV3Api"),
}
"""Body number -> (name in the oneof, message). ``publicAggreDepths`` is 313 on the wire."""

BODY_FIELDS: Final[dict[str, int]] = {name: number for number, (name, _) in BODIES.items()}

_LEVEL: Final = "1 string price; 2 string quantity"
_BEST: Final = "1 string bidPrice; 2 string bidQuantity; 3 string askPrice; 4 string askQuantity"
_DEAL: Final = "1 string price; 2 string quantity; 3 int32 tradeType; 4 int64 time"

MESSAGES: Final[dict[str, str]] = {
    WRAPPER: "1 string channel; 3 optional string symbol; 4 optional string symbolId; 5 optional int64 createTime; "
    "6 optional int64 sendTime",
    "PublicDealsV3Api": "1 repeated PublicDealsV3ApiItem deals; 2 string eventType",
    "PublicDealsV3ApiItem": _DEAL,
    "PublicIncreaseDepthsV3Api": "1 repeated PublicIncreaseDepthV3ApiItem asks; "
    "2 repeated PublicIncreaseDepthV3ApiItem bids; 3 string eventType; 4 string version",
    "PublicIncreaseDepthV3ApiItem": _LEVEL,
    "PublicLimitDepthsV3Api": "1 repeated PublicLimitDepthV3ApiItem asks; 2 repeated PublicLimitDepthV3ApiItem bids; "
    "3 string eventType; 4 string version; 5 int64 lastOrderCreateTime",
    "PublicLimitDepthV3ApiItem": _LEVEL,
    "PrivateOrdersV3Api": "1 string id; 2 string clientId; 3 string price; 4 string quantity; 5 string amount; "
    "6 string avgPrice; 7 int32 orderType; 8 int32 tradeType; 9 bool isMaker; 10 string remainAmount; "
    "11 string remainQuantity; 12 optional string lastDealQuantity; 13 string cumulativeQuantity; "
    "14 string cumulativeAmount; 15 int32 status; 16 int64 createTime; 17 optional string market; "
    "18 optional int32 triggerType; 19 optional string triggerPrice; 20 optional int32 state; "
    "21 optional string ocoId; 22 optional string routeFactor; 23 optional string symbolId; "
    "24 optional string marketId; 25 optional string marketCurrencyId; 26 optional string currencyId",
    "PublicBookTickerV3Api": _BEST,
    "PrivateDealsV3Api": "1 string price; 2 string quantity; 3 string amount; 4 int32 tradeType; 5 bool isMaker; "
    "6 bool isSelfTrade; 7 string tradeId; 8 string clientOrderId; 9 string orderId; 10 string feeAmount; "
    "11 string feeCurrency; 12 int64 time",
    "PrivateAccountV3Api": "1 string vcoinName; 2 string coinId; 3 string balanceAmount; "
    "4 string balanceAmountChange; 5 string frozenAmount; 6 string frozenAmountChange; 7 string type; 8 int64 time",
    "PublicSpotKlineV3Api": "1 string interval; 2 int64 windowStart; 3 string openingPrice; 4 string closingPrice; "
    "5 string highestPrice; 6 string lowestPrice; 7 string volume; 8 string amount; 9 int64 windowEnd",
    "PublicMiniTickerV3Api": "1 string symbol; 2 string price; 3 string rate; 4 string zonedRate; 5 string high; "
    "6 string low; 7 string volume; 8 string quantity; 9 string lastCloseRate; 10 string lastCloseZonedRate; "
    "11 string lastCloseHigh; 12 string lastCloseLow",
    "PublicMiniTickersV3Api": "1 repeated PublicMiniTickerV3Api items",
    "PublicBookTickerBatchV3Api": "1 repeated PublicBookTickerV3Api items; 2 string version; "
    "3 int64 lastOrderCreateTime",
    "PublicIncreaseDepthsBatchV3Api": "1 repeated PublicIncreaseDepthsV3Api items; 2 string eventType",
    "PublicAggreDepthsV3Api": "1 repeated PublicAggreDepthV3ApiItem asks; 2 repeated PublicAggreDepthV3ApiItem bids; "
    "3 string eventType; 4 string fromVersion; 5 string toVersion; 6 int64 lastOrderCreateTime",
    "PublicAggreDepthV3ApiItem": _LEVEL,
    "PublicAggreDealsV3Api": "1 repeated PublicAggreDealsV3ApiItem deals; 2 string eventType",
    "PublicAggreDealsV3ApiItem": f"{_DEAL}; 5 string tradeId",
    "PublicAggreBookTickerV3Api": f"{_BEST}; 5 string version; 6 int64 lastOrderCreateTime",
}
"""Message -> ``number [label] type name`` of each field; the bodies of the wrapper stand in ``BODIES``."""


@cache
def _classes() -> dict[str, type[Message]]:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "string": kinds.TYPE_STRING,
        "int32": kinds.TYPE_INT32,
        "int64": kinds.TYPE_INT64,
        "bool": kinds.TYPE_BOOL,
    }
    file = descriptor_pb2.FileDescriptorProto(name="unitape_mexc/mexc_spot.proto", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        if name == WRAPPER:
            message.oneof_decl.add(name="body")
            for number, (field, kind) in BODIES.items():
                message.field.add(
                    name=field,
                    number=number,
                    type=kinds.TYPE_MESSAGE,
                    type_name=f".{kind}",
                    label=kinds.LABEL_OPTIONAL,
                    oneof_index=0,
                )
        for field_text in fields.split("; "):
            number_text, *label, kind, field = field_text.split(" ")
            added = message.field.add(name=field, number=int(number_text), label=kinds.LABEL_OPTIONAL)
            if kind in scalars:
                added.type = scalars[kind]
            else:
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".{kind}"
            if label == ["repeated"]:
                added.label = kinds.LABEL_REPEATED
            elif label == ["optional"]:
                # proto3 keeps the presence of an optional scalar as a oneof of its own.
                added.proto3_optional = True
                added.oneof_index = len(message.oneof_decl)
                message.oneof_decl.add(name=f"_{field}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # pyright: ignore[reportUnknownMemberType]
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in MESSAGES}


def message_class(name: str) -> type[Message]:
    """Return the class of one message of the schema."""
    return _classes()[name]


@cache
def parser(name: str) -> Callable[[bytes], Any]:
    """Return the function that parses one message with upb; what it returns has the schema's fields as attributes.

    It raises ValueError where the bytes are not such a message.
    """
    from google.protobuf.message import DecodeError

    from_string = message_class(name).FromString

    def parse(data: bytes) -> Any:
        try:
            return from_string(data)
        except DecodeError as error:
            raise ValueError(f"not a {name}: {error}") from None

    return parse


def unknown_fields(message: Any) -> list[str]:
    """Return ``Message.number`` for every field that the schema does not have, in this message and those inside."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    name = message.DESCRIPTOR.name
    strangers: Any = UnknownFieldSet(message)
    found = [f"{name}.{field.field_number}" for field in strangers]
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else (value,):
                found += unknown_fields(inner)
    return list(dict.fromkeys(found))
