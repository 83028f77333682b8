"""Stands in for ``zoo train`` and ``zoo export``: leaves what they leave, in no time.

python fake_zoo.py train RUN EPOCHS SECONDS
python fake_zoo.py export ARTIFACT OUT
python fake_zoo.py fail
"""

import json
import shutil
import sys
import time
from pathlib import Path


def main(task, *words):
    """Run it; returns the exit status."""
    if task == "fail":
        print("zoo: error: the gate refused it")
        return 1
    if task == "export":
        shutil.copytree(words[0], words[1])
        return 0
    run, epochs = Path(words[0]), int(words[1])
    run.mkdir(parents=True)
    (run / "plan.json").write_text(json.dumps({"training": {"epochs": epochs}}))
    with (run / "history.csv").open("w") as history:
        history.write("epoch,loss\n")
        for epoch in range(epochs):
            history.write(f"{epoch},0.5\n")
            history.flush()
            print(f"epoch {epoch + 1}", flush=True)
            time.sleep(float(words[2]))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
