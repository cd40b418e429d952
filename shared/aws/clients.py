"""AWS clients of this process: made on first use, kept for its life, shared by threads."""

import json
import threading
from functools import cache
from typing import Any

from shared.aws.heard import LISTENERS
from shared.base.snapshots import before_snapshot

_lock = threading.Lock()
_clients: dict[str, Any] = {}
_session: Any = None

# A send must not be repeated by the client: after a read time-out the message may already be on its way.
_PROVIDER_SERVICES = frozenset({"pinpoint-sms-voice-v2", "sesv2"})


def client(service: str, *, endpoint_url: str | None = None, region_name: str | None = None, **config: Any) -> Any:
    """Return the boto3 client of a service; the same one for the same arguments.

    config: options of `botocore.config.Config` that differ from ours (connect 1 s, read 5 s, 32 connections; four
    attempts, but one for services that are providers; of DynamoDB parameters are not looked at, see `bodies`).
    """
    key = json.dumps([service, endpoint_url, region_name, config], sort_keys=True, default=repr)
    found = _clients.get(key)
    if found is not None:
        return found
    with _lock:
        if key not in _clients:
            _clients[key] = _make(service, endpoint_url, region_name, config)
        return _clients[key]


def reset() -> None:
    """Forget and close all clients, so that tests can begin anew."""
    global _session
    with _lock:
        for each in _clients.values():
            each.close()
        _clients.clear()
        _session = None


@before_snapshot
def disconnect() -> None:
    """Close the connections of all clients, which go on to work: each opens new ones."""
    with _lock:
        for each in _clients.values():
            each.close()


@cache
def _descriptions() -> Any:
    """What services are like: read once, whatever sessions there are."""
    from shared.aws.descriptions import Descriptions

    return Descriptions()


def made(
    session: Any, service: str, *, endpoint_url: str | None = None, region_name: str | None = None, **config: Any
) -> Any:
    """A client as `client` makes it, of a botocore session of one's own."""
    from botocore import __version__
    from botocore.config import Config

    options: dict[str, Any] = {
        "connect_timeout": 1,
        "read_timeout": 5,
        "retries": {"mode": "standard", "total_max_attempts": 1 if service in _PROVIDER_SERVICES else 4},
        "tcp_keepalive": True,
        "max_pool_connections": 32,
        # What botocore says of itself it puts together anew, part by part, twice in each request.
        "user_agent": f"Botocore/{__version__} mePush",
        "parameter_validation": service != "dynamodb",
        **config,
    }
    new = session.create_client(service, endpoint_url=endpoint_url, region_name=region_name, config=Config(**options))
    if service == "dynamodb":
        from shared.aws.bodies import write_plainly

        write_plainly(new)
    if endpoint_url is None and service not in _PROVIDER_SERVICES:
        for event, listener in LISTENERS.items():
            new.meta.events.register(event, listener)
    return new


def _make(service: str, endpoint_url: str | None, region_name: str | None, config: dict[str, Any]) -> Any:
    # It takes a fifth of a second to import, and not every function that imports this module calls AWS. boto3 would
    # take half as long again, for resources and transfers of files that nothing here uses: its clients are these.
    from shared.aws.sessions import new_session

    global _session
    if _session is None:
        _session = new_session()
        _session.register_component("data_loader", _descriptions())
    return made(_session, service, endpoint_url=endpoint_url, region_name=region_name, **config)
