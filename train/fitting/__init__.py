"""A plan done with ``keras.fit``: the run folder, checkpoints, devices, precision, fine-tuning."""
