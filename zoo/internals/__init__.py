"""Private interfaces of Keras and TensorFlow in use, one module each; setup.cfg bounds their versions."""
