"""The options that say how a dataset folder is read, the same for every command that opens one."""

from pathlib import Path

from train.data.dataset_json import Choices


def add_folder_options(parser, planned: bool = False) -> None:
    """Add ``--images``, ``--labels`` and ``--follow-paths`` to a parser, and ``--groups`` where nothing is planned yet.

    Args:
        parser: of a command that opens a dataset folder.
        planned: whether a plan is there already, which knows the folders and has the folds.
    """
    default = "default: the one planned with" if planned else "default: images, imgs, image or img"
    parser.add_argument("--images", help=f"folder of images in the dataset folder ({default})")
    default = "default: the one planned with" if planned else "default: labels, masks, label or mask"
    parser.add_argument("--labels", help=f"folder of labels, such as labels_endo where there are several ({default})")
    parser.add_argument(
        "--follow-paths", action="store_true", help="allow paths in dataset.json that lead out of the dataset folder"
    )
    if not planned:
        parser.add_argument(
            "--instances",
            action="store_true",
            help="every object has its own value in the label files; the network learns to tell objects that touch "
            "apart (seen by itself where plain label files hold more values than classes have)",
        )
        parser.add_argument(
            "--groups",
            "--group-pattern",
            dest="groups",
            help="which cases are of one patient and never part in a split: none, a regular expression for the patient "
            "in a case name, or a CSV file of case,group (default: read from the names, see zoo plan --explain)",
        )


def choices_of(args, plan=None, folder=None) -> Choices:
    """What the parsed options say, and the plan where they say nothing.

    Args:
        args: of a parser with ``add_folder_options``.
        plan: a ``train.planning.plan.Plan``, or None. Its folders count where the dataset folder has them.
        folder: the dataset folder, by default ``args.folder``.
    """
    folder = Path(folder or args.folder)

    def planned(name):
        return name if name is not None and (folder / name).is_dir() else None

    return Choices(
        images_folder=args.images or planned(plan and plan.images_folder),
        labels_folder=args.labels or planned(plan and plan.labels_folder),
        labels=plan.labels if plan else None,
        follow_paths=args.follow_paths,
        instances=plan.instances is not None if plan else getattr(args, "instances", False),
    )


def repeated(args) -> list[str]:
    """The options that the next command needs too, as words to put behind the folder."""
    given = [(f"--{name}", getattr(args, name)) for name in ("images", "labels") if getattr(args, name)]
    flags = [f"--{name.replace('_', '-')}" for name in ("follow_paths", "instances") if getattr(args, name, False)]
    return [*(word for option in given for word in option), *flags]
