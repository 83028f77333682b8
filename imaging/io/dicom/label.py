"""label placeholder"""


def read_dicom_labels(path):
    raise NotImplementedError
