"""Words that name a key in each copy of a build, and who a leaked copy's word points to. Pure.

A Tardos code with two symbols. G. Tardos, "Optimal probabilistic fingerprint codes", Journal of the ACM 55 (2008): each place has
a bias of its own, drawn from the arcsine density cut off near 0 and 1, and a key's bit there is 1 with that probability. Scores
are the symmetric ones of B. Skoric, S. Katzenbeisser and M. Celik, "Symmetric Tardos fingerprinting codes for arbitrary alphabet
sizes", Designs, Codes and Cryptography 46 (2008). The density is replaced by as many equally probable biases as a sum of it
takes (Gauss-Chebyshev), as K. Nuida et al. do in "An improvement of discrete Tardos fingerprinting codes", Designs, Codes and
Cryptography 52 (2009), so that a million keys are scored by counting bits.

Nothing is drawn at random and nothing is stored: biases and words follow from a secret of the build.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from math import exp, inf, log1p, pi, sin, sqrt
from operator import lt

_LEVELS = 16
_WHOLE = 256
BIASES = tuple(max(1, round(_WHOLE * sin((2 * level + 1) * pi / (4 * _LEVELS)) ** 2)) for level in range(_LEVELS // 2))
"""The lower half of the biases, in 256ths; the upper half is its mirror image. The first is the cut-off."""
_THRESHOLDS = BIASES + tuple(_WHOLE - bias for bias in BIASES)
_TABLE = bytes(_THRESHOLDS[byte % _LEVELS] for byte in range(_WHOLE))

WANTED_CHANCE = 1e-6
"""That any innocent key at all is accused of one leak; who scores less is not named as its source."""

COALITIONS = ((128, 1), (512, 2), (1_024, 3), (3_072, 5))
"""So many places, so many who share their copies and are still found out: at least one of them, in nine leaks of ten, among
10,000 keys. `tests/licensing/test_tracing.py` measures it."""

_LARGEST_TILT = 64.0
_HALVINGS = 60


def strength(places: int) -> int:
    """How many customers who put their copies together are traced by marks in so many places; 0 for not even one."""
    return max((size for least, size in COALITIONS if places >= least), default=0)


Draw = Callable[[str, int], bytes]
"""As many bytes as wanted for a name, always the same, which nobody can tell from random ones without a secret of the build."""


class Code:
    """The words of one build; `places` is the length of a word."""

    def __init__(self, draw: Draw, places: int) -> None:
        self.places = places
        self.thresholds = draw("places", places).translate(_TABLE)
        """Of each place, the probability of a 1 in 256ths."""
        self._draw = draw

    def word(self, holder: str) -> Iterator[bool]:
        """The bits of that holder's copy."""
        return map(lt, self.drawn(holder), self.thresholds)

    def drawn(self, holder: str) -> bytes:
        """One byte a place; the holder's bit there is 1 where it is below the threshold."""
        return self._draw(f"holder {holder}", self.places)

    def trial(self, read: Sequence[int | None]) -> Trial:
        """What was read from a copy, None where a place is missing, ready to be held against holders."""
        return Trial(self, read)


@dataclass(frozen=True, slots=True)
class Suspect:
    """A holder and its score. `chance` bounds the probability that the highest of all innocent holders scores as much."""

    holder: str
    score: float
    chance: float

    @property
    def is_named(self) -> bool:
        """Whether the score is more than chance explains."""
        return self.chance <= WANTED_CHANCE


@dataclass(frozen=True, slots=True)
class _Group:
    """Places with one bias at which the same was read: what a 1 there is worth more than a 0, how many, and which."""

    probability: float
    gain: float
    places: int
    mask: int


class Trial:
    """Scores holders. The sum over the places read of what agreeing or not is worth: 0 in the mean for who is innocent, with
    variance 1 a place.
    """

    def __init__(self, code: Code, read: Sequence[int | None]) -> None:
        if len(read) != code.places:
            raise ValueError(f"{len(read)} places read of {code.places}")
        self._code = code
        self.read = sum(bit is not None for bit in read)
        kinds = [None if bit is None else (bit, level) for bit, level in zip(read, code.thresholds, strict=True)]
        self._high = int.from_bytes(b"\x80" * code.places, "big")
        self._thresholds = int.from_bytes(code.thresholds, "big")
        self._lower = self._thresholds & ~self._high
        part = -(-code.places // 8)
        self._part_bits = 8 * part
        self._part = int.from_bytes(b"\x80" * part, "big")
        self._base = 0.0
        self._groups: list[_Group] = []
        for kind, count in Counter(kinds).items():
            if kind is None:
                continue
            bit, level = kind
            probability = level / _WHOLE
            odds = sqrt((1 - probability) / probability)
            # What a 1 and a 0 are worth; Skoric et al., equation 3.
            one, zero = (odds, -1 / odds) if bit else (-odds, 1 / odds)
            lanes = bytes(0x80 if other == kind else 0 for other in kinds)
            mask = self._packed(int.from_bytes(lanes, "big"))
            self._groups.append(_Group(probability, one - zero, count, mask))
            self._base += count * zero

    def score(self, holder: str) -> float:
        """How much the holder's word agrees with what was read."""
        drawn = int.from_bytes(self._code.drawn(holder), "big")
        # Which bytes are below their thresholds, all at once, as the top bit of each: Hacker's Delight, 2-18.
        difference = (drawn | self._high) - self._lower
        differs = drawn ^ self._thresholds
        bits = self._packed((differs & self._thresholds) | (~differs & ~difference) & self._high)
        return self._base + sum(group.gain * (bits & group.mask).bit_count() for group in self._groups)

    def _packed(self, lanes: int) -> int:
        """The top bits of all bytes, eight to a byte: so they are counted in an eighth of the time."""
        size, part = self._part_bits, self._part
        packed = lanes & part
        for place in range(1, 8):
            packed |= (lanes >> size * place & part) >> place
        return packed

    def chance(self, score: float) -> float:
        """A bound on the probability that one innocent holder scores at least as much.

        Chernoff's: the least `exp(-tilt * score)` times the mean of `exp(tilt * score of an innocent)`, which is exact here, for
        an innocent's bits are independent of each other and of all that coalitions can do.
        """
        if score <= 0:
            return 1.0
        return exp(min(0.0, self._exponent(self._best_tilt(score), score)))

    def _exponent(self, tilt: float, score: float) -> float:
        return tilt * (self._base - score) + sum(
            group.places * _log_mean(group.probability, tilt * group.gain) for group in self._groups
        )

    def _slope(self, tilt: float, score: float) -> float:
        return (self._base - score) + sum(
            group.places * group.gain * _tilted(group.probability, tilt * group.gain) for group in self._groups
        )

    def _best_tilt(self, score: float) -> float:
        low, high = 0.0, _LARGEST_TILT
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if self._slope(middle, score) < 0:
                low = middle
            else:
                high = middle
        return low

    def suspects(self, holders: Iterable[str], most: int) -> tuple[list[Suspect], int]:
        """The `most` with the highest scores, highest first, and how many holders there were."""
        found, count = self.highest(holders, most)
        return self.judged(found, count), count

    def highest(self, holders: Iterable[str], most: int) -> tuple[list[tuple[float, str]], int]:
        """The `most` highest scores and whose they are, highest first, and how many holders there were."""
        count = 0

        def scored() -> Iterator[tuple[float, str]]:
            nonlocal count
            score = self.score
            for holder in holders:
                count += 1
                yield score(holder), holder

        return nlargest(most, scored()), count

    def judged(self, found: Iterable[tuple[float, str]], count: int) -> list[Suspect]:
        """The holders of these scores, which are the highest of so many."""
        return [Suspect(holder, score, min(1.0, count * self.chance(score))) for score, holder in found]


def _log_mean(probability: float, gain: float) -> float:
    """The logarithm of the mean of `exp(gain)` with that probability, and 1 otherwise."""
    if gain > 0:
        return gain + log1p((1 - probability) * (exp(-gain) - 1))
    return log1p(probability * (exp(gain) - 1))


def _tilted(probability: float, gain: float) -> float:
    """The probability of a 1 once it counts `exp(gain)` times as much."""
    if gain == inf:
        return 1.0
    weight = (1 - probability) / probability * exp(-gain) if gain > -700 else inf
    return 1 / (1 + weight)
