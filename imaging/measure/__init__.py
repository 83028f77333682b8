"""How large a mask is, and how well two masks agree: overlap, surface distances, lesions, calibration."""
