"""Runs venues side by side and hands their events to any number of consumers."""

from unitape.router.callbacks import Subscriber
from unitape.router.core import Router
from unitape.router.results import SubscribeResults
from unitape.router.stream import Batches, Stream

__all__ = ["Batches", "Router", "Stream", "SubscribeResults", "Subscriber"]
