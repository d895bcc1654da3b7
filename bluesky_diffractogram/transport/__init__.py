"""Documents between processes: over 0MQ and Kafka, without pickle."""

from .wire import Refused, pack, unpack

__all__ = ["Refused", "pack", "unpack"]
