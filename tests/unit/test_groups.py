"""Tests that share a costly fixture, or what an earlier one left, run in one process."""

import os

import pytest


@pytest.mark.xdist_group("groups")
def test_the_distribution_sees_groups(request: pytest.FixtureRequest) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("tests are not distributed")
    assert request.node.nodeid.endswith("@groups"), "each test of a group may run in any process"
