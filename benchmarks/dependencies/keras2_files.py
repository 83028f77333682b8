"""Whether tf-keras runs code that a Keras 2 file carries, and what it gives back.

    pip install tf-keras
    python benchmarks/dependencies/keras2_files.py

Saves a network with a Lambda layer as HDF5 and as ``.keras``, opens each by tf-keras with its defaults and by
``zoo.load``, and prints what came of it.
"""

import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Print the table."""
    import keras
    import tf_keras

    import zoo

    print("| file | opened by | result | its code ran |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        place = str(trace)  # what a Lambda layer can carry

        def leave_trace(x):
            open(place, "w").close()
            return x

        layers = [tf_keras.Input((8, 8, 1)), tf_keras.layers.Lambda(leave_trace)]
        network = tf_keras.Sequential(layers)
        for name in ("network.h5", "network.keras"):
            path = Path(folder) / name
            network.save(path)
            for reader, load in (("tf-keras", tf_keras.models.load_model), ("zoo.load", zoo.load)):
                trace.unlink(missing_ok=True)
                try:
                    opened = load(str(path))
                    result = f"a {'Keras 3' if isinstance(opened, keras.Model) else 'Keras 2'} model"
                except Exception as error:
                    result = f"refused: {str(error).splitlines()[0][:90]}"
                result = result.replace(folder, "").replace("|", "/")
                print(f"| {name} | {reader} | {result} | {'yes' if trace.exists() else 'no'} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
