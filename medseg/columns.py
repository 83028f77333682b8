"""Rows of text as columns under each other, for a terminal."""

from collections.abc import Sequence

GAP = 2  # blanks between columns


def aligned(rows: Sequence[Sequence[str]], names: int = 1) -> list[str]:
    """Rows as lines, every column as wide as its widest cell, so that no two run together.

    Args:
        rows: cells of each row, as many in each; the heading first.
        names: how many columns, from the first, begin at their left; numbers in the others end at their right.

    Returns:
        A line a row, without blanks at its end.

    Raises:
        ValueError: if rows are of different length.
    """
    columns = list(zip(*rows, strict=True))
    padded = []
    for number, cells in enumerate(columns):
        width = max(map(len, cells))
        padded.append([cell.ljust(width) if number < names else cell.rjust(width) for cell in cells])
    return [(" " * GAP).join(cells).rstrip() for cells in zip(*padded, strict=True)]
