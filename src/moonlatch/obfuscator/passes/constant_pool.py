"""Puts the pool that other passes filled in front of the script: shuffled, enciphered, decoded constant by constant."""

from __future__ import annotations

from moonlatch.obfuscator.analysis.capacity import needs_own_function
from moonlatch.obfuscator.syntax.parser import parse_written
from moonlatch.obfuscator.transform.decoder import decoder_source
from moonlatch.obfuscator.transform.enclosure import enclose
from moonlatch.obfuscator.transform.unit import Unit

KEY = "constant_pool"


def run(unit: Unit) -> None:
    if not len(unit.pool):
        return
    generator = unit.random(KEY)
    source = decoder_source(unit.pool.name, unit.pool.shuffled(generator), unit.target, generator, unit.marks)
    main = unit.resolution.main
    if needs_own_function(main):
        enclose(unit.chunk, uses_varargs=main.uses_varargs)
    unit.chunk.body.body[:0] = parse_written(source).body.body
