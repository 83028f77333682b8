"""Files of volumes beside NIfTI: NRRD, MetaImage, pairs of header and data, and TIFF of several pages."""
