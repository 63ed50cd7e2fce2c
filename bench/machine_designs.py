"""What makes the virtual machine of `maximum` quick: the same programs on a classical one, with an operation per operator and no joining.

Both run in the same interpreter process beside the original. usage: .venv/bin/python bench/machine_designs.py [--only PROGRAM]... [--repeats N]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from unittest.mock import patch

import protector

from moonlatch.obfuscator.syntax import tree
from moonlatch.obfuscator.vm import assembly
from moonlatch.obfuscator.vm.expressions import ExpressionLowering
from moonlatch.obfuscator.vm.linking import Linked
from support.protecting import protected


def classical(source: str) -> str:
    """A build whose operations are single operators, calls and assignments."""
    usual = ExpressionLowering.is_inline

    def is_inline(lowering: ExpressionLowering, node: tree.Expression) -> bool:
        fits = usual(lowering, node)
        return fits and (lowering.program.is_surveying or lowering.is_leaf(node) or lowering.program.is_primitive(node))

    def unjoined(functions: Sequence[list[Linked]]) -> list[list[Linked]]:
        return list(functions)

    with patch.object(ExpressionLowering, "is_inline", is_inline), patch.object(assembly, "join", unjoined):
        return protected(source, "maximum")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=[path.stem for path in protector.PROGRAMS])
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    ratios: list[tuple[float, float]] = []
    for path in protector.PROGRAMS:
        if chosen.only and path.stem not in chosen.only:
            continue
        source = path.read_text("latin-1")
        texts = [source, classical(source), protected(source, "maximum")]
        original, theirs, ours = protector.seconds([protector.timed(text) for text in texts], chosen.repeats)
        ratios.append((theirs / original, ours / original))
        print(
            f"  {path.stem:16} {original:.2f} s  classical x{ratios[-1][0]:.2f}  ours x{ratios[-1][1]:.2f}", flush=True
        )
    for name, column in zip(("classical", "ours"), zip(*ratios, strict=True), strict=True):
        print(
            f"{name:9} slow-down: geometric mean x{math.exp(sum(map(math.log, column)) / len(column)):.2f}, worst x{max(column):.2f}"
        )


if __name__ == "__main__":
    main()
