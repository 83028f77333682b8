"""``zoo cache``: the folder of preprocessed scans, listed and cleared."""

import time
from pathlib import Path

from medseg.byte_sizes import spell_size
from medseg.command import emit_json, next_command
from medseg.errors import InputError, UsageError

DAY_S = 86400.0


def add_cache(subparsers) -> None:
    """Add the sub-command ``cache`` to ``subparsers``."""
    parser = subparsers.add_parser(
        "cache",
        help="list or clear the preprocessed scans that trainings keep",
        description="Trainings keep preprocessed scans, which are patients' data, in a folder: MEDSEG_CACHE, or "
        "medseg-zoo in the user's cache folder. It is kept to MEDSEG_CACHE_LIMIT (50GB where that is not set) by "
        "removing what was not used for longest. What a running training uses is never removed.",
    )
    parser.add_argument("action", choices=("list", "clear"), help="show what lies there, or remove it")
    parser.add_argument("--cache", type=Path, help="the folder (default: the user's cache)")
    parser.add_argument("--older-than", type=float, metavar="DAYS", help="clear what was not used for so many days")
    parser.add_argument("--all", action="store_true", help="clear all that no running training uses")
    parser.add_argument("--json", action="store_true", help="print what lies there, or was removed, as JSON")
    parser.set_defaults(handler=run_cache)


def run_cache(args) -> int:
    """Handle ``zoo cache``."""
    from train.input.cache import cache_folder
    from train.input.cache_store import TAG, cache_limit, clear, entries

    if args.cache is not None and not args.cache.is_dir():
        raise InputError(f"--cache {args.cache}: no such folder; leave it out for the user's cache")
    if args.cache is not None and not (args.cache / TAG).is_file():
        raise InputError(f"--cache {args.cache}: is no cache of preprocessed scans, {TAG} is missing; name the folder")
    root = args.cache or cache_folder()
    if args.action == "list":
        if args.all or args.older_than is not None:
            raise UsageError("--all and --older-than go with zoo cache clear")
        stored, limit = entries(root), cache_limit()
        if args.json:
            _as_json(root, stored)
            return 0
        for entry in stored:
            days = (time.time() - entry.used) / DAY_S
            note = "" if entry.finished else ", unfinished"
            print(f"{entry.folder.name}  {spell_size(entry.size):>10}  used {days:.1f} days ago{note}")
        print(f"{root}: {_summed(stored)}, limit {spell_size(limit)}")
        if stored:
            next_command("zoo cache clear --older-than 30", *(("--cache", args.cache) if args.cache else ()))
        return 0
    if args.all == (args.older_than is not None):
        raise UsageError("zoo cache clear: give either --all or --older-than DAYS")
    if args.older_than is not None and not args.older_than >= 0:
        raise UsageError(f"--older-than {args.older_than}: expected 0 or more days")
    removed = clear(root, None if args.all else args.older_than * DAY_S)
    if args.json:
        _as_json(root, removed)
        return 0
    left = entries(root)
    print(f"{root}: removed {_summed(removed)}" + (f"; {_summed(left)} stay" if left else ""))
    return 0


def _summed(stored):
    return f"{len(stored)} preprocessed scans, {spell_size(sum(entry.size for entry in stored))}"


def _as_json(root, stored):
    rows = [
        {"key": entry.folder.name, "bytes": entry.size, "used": entry.used, "finished": entry.finished}
        for entry in stored
    ]
    emit_json({"folder": str(root), "entries": rows})
