"""Work in the background that clients of MONAI Label's interface ask for."""

import time

from review.monailabel.tasks import Tasks


def test_only_the_last_tasks_are_known():
    tasks = Tasks("scoring")
    for number in range(120):
        tasks.start(str(number), lambda tell, stop: None)
        while tasks.status()["end_ts"] is None:
            time.sleep(0.0005)
    assert [task["model"] for task in tasks.status(everything=True)] == [str(number) for number in range(20, 120)]
