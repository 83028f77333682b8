"""Which cases belong to the same patient, read from their names, so that no patient is in training and validation."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from medseg.errors import UsageError

MIN_GROUPS = 5  # a cut of the names that leaves fewer groups than this is taken for a site or a disease, not a patient


@dataclass(frozen=True)
class Grouping:
    """The group of each name, in the order given, and the rule that made it (for ``zoo plan --explain``)."""

    groups: tuple[str, ...]
    rule: str


def group_names(names: Sequence[str], pattern: str | None = None) -> Grouping:
    """Group case names by patient.

    The rules, the first that applies:

    1. If every name begins with a number once the prefix common to all is taken off, the group is the name up to the
       end of that number: ``010_HC`` and ``010_2HC`` are group ``010``, ``Image_01L`` and ``Image_01R`` are
       ``Image_01``.
    2. Else the name is cut after its first numbered part that gives at least 5 groups and fewer groups than cases:
       ``SC-HF-I-01-IM-0001-0048`` becomes ``SC-HF-I-01``. A numbered part stands between separators (``-_.`` or
       space) and is a number with letters at most around it, so identifiers such as ``cju0qkwl35`` are not cut.
    3. Else each case is a group of its own.

    Args:
        names: case names, unique.
        pattern: a regular expression that overrides the rules: the group is its first capture (the whole match when
            it captures nothing), searched in each name.

    Raises:
        UsageError: for a pattern that does not compile or that some name does not match.
    """
    if pattern is not None:
        return _by_pattern(names, pattern)
    return _by_leading_number(names) or _by_numbered_part(names) or Grouping(tuple(names), "each case is a group")


def check_pattern(pattern: str) -> re.Pattern:
    """A group pattern, compiled.

    Raises:
        UsageError: if it is no regular expression.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(f"group pattern {pattern!r}: not a regular expression ({error})") from None


def _by_pattern(names, pattern):
    compiled = check_pattern(pattern)
    matches = [compiled.search(name) for name in names]
    unmatched = [name for name, match in zip(names, matches, strict=True) if match is None]
    if unmatched:
        raise UsageError(
            f"group pattern {pattern!r}: matches nothing in {len(unmatched)} of {len(names)} case names, the first is "
            f"{unmatched[0]!r}; it must match every name, for example '^[^_]+'"
        )
    groups = tuple(next((g for g in match.groups() if g is not None), match.group(0)) for match in matches)
    return Grouping(groups, f"the pattern {pattern!r} given by the user")


def _by_leading_number(names):
    prefix = _common_prefix(names).rstrip("0123456789")  # the prefix must not take digits off the numbers
    matches = [re.match(r"\d+", name[len(prefix) :]) for name in names]
    if not names or None in matches:
        return None
    groups = tuple(prefix + match.group(0) for match in matches)
    if len(set(groups)) < 2:
        return None
    after = f" after the common {prefix!r}" if prefix else ""
    return Grouping(groups, f"the number that every name begins with{after}")


def _common_prefix(names):
    first, last = min(names, default=""), max(names, default="")  # whatever these two share, all in between share
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:length]


def _by_numbered_part(names):
    parts = [_numbered_ends(name) for name in names]
    for position in range(min((len(ends) for ends in parts), default=0)):
        groups = tuple(name[: ends[position]] for name, ends in zip(names, parts, strict=True))
        if MIN_GROUPS <= len(set(groups)) < len(names):
            return Grouping(groups, f"the name up to its numbered part {position + 1}, as in {groups[0]!r}")
    return None


def _numbered_ends(name):
    """Where each numbered part of ``name`` ends; letters that follow its number (a side, a view) are left out."""
    ends = []
    for token in re.finditer(r"[^-_. ]+", name):
        match = re.fullmatch(r"([A-Za-z]*\d+)[A-Za-z]*", token.group(0))
        if match:
            ends.append(token.start() + match.end(1))
    return ends
