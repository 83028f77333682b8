"""What goes wrong in the node: series, jobs and starts; nothing that was taken is lost, no wrong result is sent."""

import subprocess
import sys
from dataclasses import replace

import pytest
from node_parts import files_of, phantom, scan_sent, states, until

from edge.node import jobs
from edge.node.config import Retry
from edge.node.database import Database
from edge.node.routing import Facts, fitting
from edge.node.service import Node
from medseg.errors import InputError


def test_a_series_with_a_gap_is_parked_with_its_reason(config_of, tmp_path):
    config, scans = config_of(), phantom(tmp_path / "scan")
    files_of(scans)[4].unlink()
    with Node(config) as node:
        assert scan_sent(config.dicom.port, scans).returncode == 0
        until(lambda: states(node) == ["parked"])
        (row,) = node.database.rows("select * from jobs")
        assert "missing" in row["reason"]
        assert states(node, "deliveries") == []
        assert jobs.try_again(node.database, row["id"])
        assert not jobs.try_again(node.database, row["id"] + 1)


def test_no_rule_fits(config_of, tmp_path):
    config = config_of()
    with Node(config) as node:
        assert scan_sent(config.dicom.port, phantom(tmp_path / "scan", Modality="CT")).returncode == 0
        until(lambda: states(node, "series") == ["parked"])
    rule = config.rule[0]
    assert fitting([rule], Facts("mr")) == (rule,)
    assert fitting([rule], Facts("CT")) == ()


def test_a_job_that_ends_the_node_is_parked_in_the_end(tmp_path):
    database, retry = Database(tmp_path), Retry(attempts=3)
    number = jobs.add_upload(database, "a", "rule", tmp_path / "a.nii")
    for attempt in (1, 2, 3):
        assert jobs.claim(database).attempts == attempt
        assert jobs.claim(database) is None
        jobs.recover(database, retry)
    row = database.row("select * from jobs where id = ?", number)
    assert (row["state"], row["reason"]) == ("parked", "the node ended 3 times while working on it")


def test_failures_back_off_and_are_parked(tmp_path):
    database = Database(tmp_path)
    jobs.add_upload(database, "a", "rule", tmp_path / "a.nii")
    retry = Retry(first_seconds=0.01, longest_seconds=0.01, attempts=2)
    assert not jobs.fail(database, jobs.claim(database), "OSError", retry)
    job = until(lambda: jobs.claim(database))
    assert jobs.fail(database, job, "OSError", retry)
    assert jobs.claim(database) is None


def test_two_nodes_on_one_folder(config_of, tmp_path):
    with Node(config_of()):
        config_of()  # other ports, the same folder
        code = "import sys; from edge.node import Node, read_config; Node(read_config(sys.argv[1])).__enter__()"
        ended = subprocess.run([sys.executable, "-c", code, tmp_path / "node.toml"], capture_output=True, text=True)
    assert "another process is writing it" in ended.stderr


def test_port_in_use(config_of, tmp_path):
    first = config_of()
    second = replace(first, node=replace(first.node, folder=tmp_path / "second"))
    with Node(first), pytest.raises(InputError, match=r"dicom.port: cannot listen on 127.0.0.1 port \d+ .*in use"):
        Node(second).__enter__()
