"""Where voxels lie in the patient: affines, orientation, interpolation, resampling."""
