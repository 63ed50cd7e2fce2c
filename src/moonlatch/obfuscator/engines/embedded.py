"""The engine that is part of Moonlatch: its own compiler, without network, clock or files."""

from __future__ import annotations

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.engines.interface import Outcome
from moonlatch.obfuscator.observation import Observer
from moonlatch.obfuscator.options import Options


class EmbeddedEngine:
    """Deterministic, and safe to call in any process; it takes seconds for a script of half a megabyte.

    An observer is told of every step.
    """

    def __init__(self, observer: Observer | None = None) -> None:
        self._observer = observer

    def protect(self, source: bytes, options: Options, seed: int) -> Outcome:
        return pipeline.protect(source, options, seed, self._observer)
