"""One job: the instances of a series, or a scan that came by HTTP, to objects in the folder of results."""

import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edge.dicom.objects import DicomOptions, dicom_bytes, dicom_objects
from edge.dicom.origin import origin_of
from edge.measure import of_classes
from edge.node import jobs
from edge.node.config import Config, Rule
from edge.node.database import Database
from edge.node.instances import present
from edge.node.jobs import UPLOAD, Finding, Object
from edge.node.storage import RESULTS, hashed
from edge.outputs.overlay import coloured, picture
from edge.runtime.segmenter import Segmenter
from imaging.io.dicom.read import read_series
from imaging.io.dicom.series import choose, find_series
from imaging.io.files import is_dicom_scan, read
from imaging.io.image import image_bytes
from imaging.io.nifti import nifti_bytes
from imaging.scan import Scan
from medseg.atomic import write_durably
from medseg.errors import InputError
from medseg.progress import CancelledError

log = logging.getLogger("medseg.node")
LABELS, OVERLAY = "labels.nii.gz", "overlay.png"


def work_once(database: Database, config: Config, segmenters: Mapping[str, Segmenter], stop: threading.Event) -> bool:
    """Claim a job that is due and do it; whatever happens, the job is told what became of it.

    Args:
        database: of the node.
        config: of the node.
        segmenters: by name of rule.
        stop: set when the node shall end; the job is then put back.

    Returns:
        Whether there was one.
    """
    job = jobs.claim(database)
    if job is None:
        return False
    rule, name = config.rule_named(job.rule), f"job {job.id}, series {hashed(job.series)}"
    try:
        if rule is None:
            raise InputError(f"rule {job.rule}: is not in the configuration any more")
        finding = _do(job, rule, database, config, segmenters[rule.name], stop)
    except CancelledError:
        jobs.put_back(database, job)
    except InputError as error:  # the scan's own fault, so it would be the same again
        reason = str(error).partition("\n")[0]
        jobs.fail(database, job, reason, None)
        log.warning("%s is parked: %s", name, reason)
    except Exception as error:  # a full disk or memory, or a fault of ours: the node goes on, and tries again
        # The words of an unknown error may be of the patient; its kind is not.
        reason = f"{type(error).__name__}" + (f" ({error.strerror})" if isinstance(error, OSError) else "")
        parked = jobs.fail(database, job, reason, config.retry)
        log.error("%s %s: %s", name, "is parked" if parked else "failed and will be tried again", reason)
    else:
        if finding is not None:
            destinations = [] if job.source else rule.destinations
            jobs.finish(database, job, finding, destinations)
            log.info("%s done by %s in %.2f s, %d flags", name, rule.name, finding.seconds, len(finding.flags))
    return True


def _do(job, rule, database, config, segmenter, stop) -> Finding | None:
    """The finding; None where the series has got more instances, which make another job."""
    folder, rank = config.node.folder, segmenter.manifest.recipe.rank
    results = Path(RESULTS) / str(job.id)
    if job.source:
        path = folder / job.source
        if not is_dicom_scan(path):
            return _of_file(path, segmenter, folder / results, stop)
        files = path
    else:
        files, digest = present(database, folder, job.series)
        if digest != job.digest:
            jobs.supersede(database, job)
            return None
    parts = _parts(files, rank)
    findings = []
    for number, series in enumerate(parts):
        scan = read_series(series, rank)
        segmentation = segmenter.predict(scan, cancel=stop)
        prefix = f"{number + 1}-" if len(parts) > 1 else ""
        objects = _write_objects(segmentation, series, scan, segmenter.manifest, rule, (folder, results, prefix))
        _write_views((folder / results, prefix), scan, segmentation, segmenter.manifest, job.source)
        findings.append(_finding(segmentation, objects))
    return _joined(findings)


def _parts(files, rank):
    """The scans to segment: the one volume of a series, or for a 2D network every image of it."""
    series = find_series(files)
    if rank == 3:
        return [choose(series, rank=rank)]
    usual = [each for each in series if not each.localizer] or list(series)
    images = [each for each in usual if len(each.frames) == 1]
    if len(images) < len(usual):
        raise InputError(f"{usual[0].name}: has slices or frames, expected single images for a 2D network")
    return images


def _of_file(path, segmenter, results, stop):
    scan = read(path, segmenter.manifest.recipe.channels, segmenter.manifest.recipe.nan)
    segmentation = segmenter.predict(scan, cancel=stop)
    _write_views((results, ""), scan, segmentation, segmenter.manifest, True)
    return _finding(segmentation, ())


def _write_objects(segmentation, series, scan, manifest, rule: Rule, place) -> list[Object]:
    folder, results, prefix = place
    options = DicomOptions(str(rule.codes) if rule.codes else None, rule.labelmap)
    labels = of_classes(segmentation.labels, manifest)
    made = dicom_objects(labels, series, origin_of(manifest), rule.write, options, scan)
    objects = []
    for kind, datasets in made.items():
        for number, dataset in enumerate(datasets, 1):
            file = results / (f"{prefix}{kind}.dcm" if len(datasets) == 1 else f"{prefix}{kind}-{number:04d}.dcm")
            write_durably(folder / file, dicom_bytes(dataset))
            objects.append(Object(kind, file.as_posix(), str(dataset.SOPClassUID), str(dataset.SOPInstanceUID)))
    return objects


def _write_views(place, scan, segmentation, manifest, labels):
    """What HTTP shows: a picture, and of an upload the labels."""
    results, prefix = place
    image = picture(scan, *coloured(segmentation.labels, manifest))
    write_durably(results / f"{prefix}{OVERLAY}", image_bytes(Scan(image, np.eye(4)), ".png"))
    if labels:
        whole = segmentation.labels
        if whole.rank == 2:
            whole = Scan(whole.voxels[:, :, None], whole.affine)
        write_durably(results / f"{prefix}{LABELS}", nifti_bytes(whole, True))


def _finding(segmentation, objects):
    sizes = segmentation.volumes_ml or segmentation.areas_mm2
    return Finding(segmentation.seconds, segmentation.flags, sizes, segmentation.features, tuple(objects))


def _joined(findings):
    """The findings of a series of flat images as one; of sizes and features those of the last are kept."""
    last = findings[-1]
    flags = tuple(dict.fromkeys(flag for each in findings for flag in each.flags))
    objects = tuple(each for finding in findings for each in finding.objects)
    return Finding(sum(each.seconds for each in findings), flags, last.volumes, last.features, objects)


def report(row) -> dict:
    """A job as HTTP tells of it.

    Args:
        row: of the table of jobs.
    """
    return {
        "id": row["id"],
        "series": hashed(row["series"]),
        "uploaded": row["series"].startswith(f"{UPLOAD}:"),
        "rule": row["rule"],
        "state": row["state"],
        "attempts": row["attempts"],
        "reason": row["reason"],
        "seconds": row["seconds"],
        "flags": json.loads(row["flags"]),
        "volumes": json.loads(row["volumes"]),
    }
