"""Which cases belong to the same patient, read from their names, so that no patient is in training and validation."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import InputError, UsageError
from medseg.untrusted import read_limited

MIN_GROUPS = 5  # a cut of the names that leaves fewer groups than this is taken for a site or a disease, not a patient
MAX_ENDINGS = 8  # phases, sequences or sides that scans of one patient are told apart by
ALONE = "none"
EACH = "each case is a group"
_MAX_BYTES = 2**24  # of a CSV file of case and group

# Endings that tell scans of one patient apart in any set, however few patients have several.
_KNOWN = re.compile(
    r"ed|es|(end)?(diastol|systol)(e|ic)?|left|right|l|r|lt|rt|od|os|pre|post|before|after|baseline|bl|follow-?up|fu"
    r"|t0|tp\d+|ses\d+|visit\d+|[a-z]?t[12](w|c|ce|gd|n|f)?|flair|dwi|adc|swi|pd|dce|cc|mlo|ap|pa|lat|ax|cor|sag",
    re.IGNORECASE,
)
_SEPARATOR = "[-_. ]"


@dataclass(frozen=True)
class Grouping:
    """The group of each name, in the order given, and the rule that made it (for ``zoo plan --explain``)."""

    groups: tuple[str, ...]
    rule: str


def group_names(names: Sequence[str], groups: str | None = None) -> Grouping:
    """Group case names by patient.

    The rules, the first that applies:

    1. If every name begins with a number once the prefix common to all is taken off, the group is the name up to the
       end of that number: ``010_HC`` and ``010_2HC`` are group ``010``, ``Image_01L`` and ``Image_01R`` are
       ``Image_01``.
    2. Else the name is cut after its first numbered part that gives at least 5 groups and fewer groups than cases:
       ``SC-HF-I-01-IM-0001-0048`` becomes ``SC-HF-I-01``. A numbered part stands between separators (``-_.`` or
       space) and is a number with letters at most around it, so identifiers such as ``cju0qkwl35`` are not cut.
    3. Else each case is a group of its own.

    What these leave is joined where groups differ in their last part alone, and that is one of a few which recur:
    ``A0S9V9_ED`` and ``A0S9V9_ES`` become ``A0S9V9``, ``smith_t1`` and ``smith_t2`` ``smith``. Numbers count as such
    parts only behind an identifier with digits, so ``liver_001`` and ``spleen_001`` stay apart.

    Args:
        names: case names, unique.
        groups: overrides the rules: "none" makes each case a group; the path of a CSV file gives case and group, a line
            each; anything else is a regular expression whose first capture is the group (the whole match when it
            captures nothing), searched in each name.

    Raises:
        UsageError: for a pattern that does not compile, or names that it or the file leaves out.
        InputError: for a file that cannot be read as such.
    """
    if groups == ALONE:
        return Grouping(tuple(names), "each case is a group, as the user said")
    if groups is not None:
        return _by_file(names, Path(groups)) if Path(groups).is_file() else _by_pattern(names, groups)
    grouping = _by_leading_number(names) or _by_numbered_part(names) or Grouping(tuple(names), EACH)
    while (joined := _by_ending(grouping)) is not None:
        grouping = joined
    return grouping


def check_groups(groups: str) -> None:
    """Require ``groups``, as ``group_names`` takes it, to make sense whatever the names are.

    Raises:
        UsageError: if it is neither "none", nor a file, nor a regular expression.
    """
    if groups != ALONE and not Path(groups).is_file():
        _compiled(groups)


def joined(groups: Sequence[str], pairs: Iterable[tuple[int, int]]) -> tuple[str, ...]:
    """Groups with those of each pair of cases made one; it is called as the first of them.

    Args:
        groups: of each case.
        pairs: positions of two cases of one patient.
    """
    head = {group: group for group in groups}

    def first(group):
        while head[group] != group:
            group = head[group]
        return group

    places = {group: number for number, group in reversed(list(enumerate(groups)))}
    for a, b in pairs:
        kept, replaced = sorted((first(groups[a]), first(groups[b])), key=places.get)
        head[replaced] = kept
    return tuple(first(group) for group in groups)


def of_equal_keys(keys: Sequence) -> list[tuple[int, int]]:
    """Pairs of the positions of equal keys, each with the first that has it; None is no key."""
    seen: dict = {}
    return [(seen.setdefault(key, place), place) for place, key in enumerate(keys) if key is not None]


def _compiled(pattern):
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(f"groups {pattern!r}: neither none, nor a file, nor a regular expression ({error})") from None


def _by_pattern(names, pattern):
    compiled = _compiled(pattern)
    matches = [compiled.search(name) for name in names]
    unmatched = [name for name, match in zip(names, matches, strict=True) if match is None]
    if unmatched:
        raise UsageError(
            f"groups {pattern!r}: no such file, and as a pattern it matches nothing in {len(unmatched)} of "
            f"{len(names)} case names, the first is {unmatched[0]!r}; it must match every name, for example '^[^_]+'"
        )
    groups = tuple(next((g for g in match.groups() if g is not None), match.group(0)) for match in matches)
    return Grouping(groups, f"the pattern {pattern!r} given by the user")


def _by_file(names, path):
    try:
        rows = list(
            csv.reader(read_limited(path, _MAX_BYTES, "a CSV file").decode("utf-8-sig").splitlines(), strict=True)
        )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not readable as CSV of case and group ({error})") from None
    group_of = {}
    for number, row in enumerate(rows, start=1):
        if len(row) >= 2 and row[0].strip():
            group_of[row[0].strip()] = row[1].strip()
        elif any(row):
            raise InputError(f"{path}: line {number} is {','.join(row)[:60]!r}; expected case,group")
    missing = [name for name in names if not group_of.get(name)]
    if missing:
        raise UsageError(
            f"{path}: gives no group for {len(missing)} of {len(names)} cases, the first is {missing[0]!r}; add a line "
            "case,group for each"
        )
    return Grouping(tuple(group_of[name] for name in names), f"the file {path.name} given by the user")


def _by_leading_number(names):
    prefix = common_prefix(names).rstrip("0123456789")  # the prefix must not take digits off the numbers
    # Letters may follow the number to its end (a side), but A0S9V9 is one identifier.
    matches = [re.match(rf"\d+(?=[^\W\d_]*({_SEPARATOR}|$))", name[len(prefix) :]) for name in names]
    if not names or None in matches:
        return None
    groups = tuple(prefix + match.group(0) for match in matches)
    if len(set(groups)) < 2:
        return None
    after = f" after the common {prefix!r}" if prefix else ""
    return Grouping(groups, f"the number that every name begins with{after}")


def common_prefix(names: Sequence[str]) -> str:
    """What all names begin with."""
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


def _by_ending(grouping):
    """Groups that differ in their last part alone as one, if that part is one of a few that recur; else None."""
    distinct = sorted(set(grouping.groups))
    members = defaultdict(set)  # what is before the last part, to the last parts behind it
    for name in distinct:
        match = re.fullmatch(rf"(.*[^-_. ]){_SEPARATOR}+([^-_. ]+)", name)
        if match:
            members[match[1]].add(match[2])
    several = {begin: endings for begin, endings in members.items() if len(endings) > 1}
    joined = {begin for begin in members if begin in distinct}  # a name and the same with more behind it
    joined |= {begin for begin, endings in several.items() if all(_KNOWN.fullmatch(ending) for ending in endings)}
    if _recur(several, members, distinct):
        joined |= set(several)
    groups = tuple(_beginning(group, joined) for group in grouping.groups)
    if not joined or len(set(groups)) < 2:
        return None
    endings = sorted({ending for begin in joined for ending in members[begin]})
    shown = ", ".join(endings[:MAX_ENDINGS]) + ", ..." * (len(endings) > MAX_ENDINGS)
    rule = f"names that differ in their last part alone ({shown}) are of one patient"
    return Grouping(groups, rule if grouping.rule == EACH else f"{grouping.rule}; {rule}")


def _recur(several, members, distinct):
    """Whether the last parts are few and the same behind most names, as phases, sequences and slice numbers are."""
    endings = {ending for group in several.values() for ending in group}
    if len(several) < 2 or 2 * len(several) < len(members):
        return False
    shared = [ending for ending in endings if sum(ending in group for group in several.values()) > 1]
    if 2 * len(shared) < len(endings):
        return False
    if not any(re.search(r"\d", ending) and not _KNOWN.fullmatch(ending) for ending in endings):
        return len(endings) <= min(MAX_ENDINGS, len(members) // 2)
    identified = all(re.search(r"\d", begin) for begin in several)
    return identified and len(members) >= MIN_GROUPS and 2 * len(endings) <= len(distinct)


def _beginning(group, joined):
    match = re.fullmatch(rf"(.*[^-_. ]){_SEPARATOR}+[^-_. ]+", group)
    return match[1] if match and match[1] in joined else group
