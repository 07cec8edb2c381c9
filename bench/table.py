"""What a benchmark found, against what it must reach."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure. `at_least` and `at_most` are targets; without one it is only reported."""

    work: str
    figure: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the target is reached, if there is one."""
        low = self.at_least is None or self.figure >= self.at_least
        return low and (self.at_most is None or self.figure <= self.at_most)

    @property
    def target(self) -> str:
        """The target in words."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return f"<= {self.at_most:g}" if self.at_most is not None else "reported"


def ratio(work: str, ours: Sequence[float], floor: Sequence[float], at_least: float | None) -> Row:
    """The median of the ratios pair by pair: both were measured in turn, so drift falls out."""
    pairs = [one / other for one, other in zip(ours, floor, strict=True)]
    spread = f"{statistics.median(ours):.0f}/s against {statistics.median(floor):.0f}/s; "
    note = spread + f"pairs {min(pairs):.2f} to {max(pairs):.2f}"
    return Row(work, statistics.median(pairs), "ratio", at_least=at_least, note=note)


def times(work: str, ours: Sequence[float], floor: Sequence[float], at_most: float) -> Row:
    """The same of what is measured in seconds."""
    pairs = [one / other for one, other in zip(ours, floor, strict=True)]
    spread = f"{statistics.median(ours):.3g} s against {statistics.median(floor):.3g} s; "
    note = spread + f"pairs {min(pairs):.2f} to {max(pairs):.2f}"
    return Row(work, statistics.median(pairs), "ratio", at_most=at_most, note=note)


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    widths = [max(len(row.work) for row in rows), 10, 8, 10]
    head = ("work", "figure", "unit", "target")
    print("  ".join(f"{name:<{width}}" for name, width in zip(head, widths, strict=True)))
    for row in rows:
        cells = (row.work, f"{row.figure:.3g}", row.unit, row.target)
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
        print(f"{line}  {'' if row.reached else 'MISSED  '}{row.note}")
