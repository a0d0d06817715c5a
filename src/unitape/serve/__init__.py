"""What others may ask a running feed over HTTP."""

from __future__ import annotations

from unitape.serve.metrics import MetricsServer
from unitape.serve.prometheus import exposition

__all__ = ["MetricsServer", "exposition"]
