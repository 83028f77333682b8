"""What an artifact is made from: a run folder, or any Keras model with a recipe and a folder of scans."""
