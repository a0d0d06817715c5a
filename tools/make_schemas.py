"""Write schemas/json from the structs of the contract."""

from __future__ import annotations

import json
from pathlib import Path

from unitape_schemas.json_schema import contract_schema

TARGET = Path(__file__).parent.parent / "schemas" / "json" / "unitape.schema.json"


def rendered() -> str:
    """Return the file's text."""
    return json.dumps(contract_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(rendered(), encoding="utf-8")
    print(f"wrote {TARGET.name}")
