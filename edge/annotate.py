"""A trained network's proposal, corrected by strokes, and where it is unsure."""

from edge.runtime.options import Options, Outputs
from edge.runtime.segmenter import Segmenter
from imaging.annotate.annotation import Annotation
from imaging.annotate.refinement import EDGES, REACH, refine
from imaging.scan import Scan
from medseg.errors import InputError


def annotate(
    segmenter: Segmenter, scan: Scan, strokes=(), *, reach: float = REACH, edges: float = EDGES, progress=None
) -> Annotation:
    """Labels proposed by a network and corrected by strokes.

    Args:
        segmenter: an opened artifact, see ``edge.load``; of disjoint classes.
        scan: as ``imaging.read`` returns it.
        strokes: points and scribbles in the network's label values, see ``imaging.classical.read_strokes``; none for
            the proposal alone.
        reach: how far strokes that contradict the network reach, see ``imaging.annotate.refine``.
        edges: how much longer edges of the image make their way.
        progress: called after each tile with the number of tiles done and of all.

    Returns:
        Labels in the scan's geometry, and the entropy of their probabilities: where a person should look first.

    Raises:
        InputError: for a network of overlapping regions, strokes of labels that it does not know, or outside the scan.

    Example:
        >>> annotation = edge.annotate.annotate(edge.load("unet3d-hippocampus"), scan, strokes)
        >>> imaging.write("labels.nii.gz", annotation.labels)
    """
    manifest = segmenter.manifest
    if manifest.regions:
        raise InputError(
            f"{manifest.name}: a network of overlapping regions; expected one of disjoint classes, whose labels "
            "strokes can name"
        )
    predicted = segmenter.predict(scan, progress, options=Options(outputs=Outputs(probabilities=True)))
    values = [label.value for label in manifest.labels]
    order = sorted(range(len(values)), key=values.__getitem__)
    probabilities = predicted.probabilities.voxels[..., order]
    return refine(scan, strokes, probabilities, [values[k] for k in order], reach=reach, edges=edges)
