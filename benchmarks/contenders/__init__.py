"""Who is measured, in the order of the tables."""

from __future__ import annotations

from typing import Final

from benchmarks.contenders.bytewax import BYTEWAX
from benchmarks.contenders.contender import Contender
from benchmarks.contenders.faust import FAUST
from benchmarks.contenders.handwritten import HANDWRITTEN
from benchmarks.contenders.headrace import HEADRACE
from benchmarks.contenders.kafka_streams import KAFKA_STREAMS
from benchmarks.contenders.quix import QUIX

CONTENDERS: Final[dict[str, Contender]] = {
    contender.name: contender for contender in (HEADRACE, HANDWRITTEN, *KAFKA_STREAMS, BYTEWAX, QUIX, FAUST)
}
