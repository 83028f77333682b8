"""Runtimes that ``zoo bench`` times, a file each.

A file is loaded by ``export/bench/worker.py`` alone, in a process of its own and maybe by another interpreter, in which
this project is not installed. So it imports its runtime at the top, and of this project nothing that such an
interpreter lacks. It has two functions:

    prepare(job) -> list of variants   convert or quantize once; every variant is tried and the fastest is reported.
                                       A variant is a dict of JSON types with "how" (words) and "files" (of the model)
    open_runner(job, variant) -> call  get ready; a call runs the patch once and returns logits float32 (*patch, K)

and may have ``describe()``, its runtime's versions in words. A job is a dict: "input" (.npy of the patch, float32
(*patch, C)), "threads", "work" (a folder of its own), and what the peer is made from: "onnx", "keras", "artifact",
"calibration" (.npy, (N, *patch, C)); an artifact's also "trust" (keys that must have signed it, or null).
"""
