"""Runs the real functions in this process, each with its own environment, as Lambda would.

Lambda gives each invocation an execution environment of its own while it lasts: its own modules, settings and clients.
Here an execution environment is a copy of the function's own modules (what is in `shared` is shared), made when all
others are busy.
"""

import importlib
import json
import math
import os
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from local.deployment import REGION, Function
from local.logs import FunctionLogs
from local.permissions import running

MAX_ENVIRONMENTS = 16
"""The most execution environments of one function: beyond it, invocations wait."""
MAX_RESPONSE_BYTES = 6 * 1024 * 1024
"""Of a synchronous invocation (Lambda API reference, Invoke)."""

# What a process needs in order to run at all; the rest of a developer's environment must not reach a function.
_KEPT = ("AWS_", "COV_", "COVERAGE_", "HOME", "LANG", "LC_", "PATH", "PYTEST_", "PYTHON", "TMPDIR", "TZ", "VIRTUAL_ENV")
_NOT_KEPT = ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_LAMBDA_")

# os.environ and sys.modules belong to the whole process.
_loading = threading.RLock()


class FunctionTimeoutError(Exception):
    """The function ran longer than its time-out, at which Lambda would have stopped it."""


class ResponseSizeError(Exception):
    """The function returned more than Lambda hands on."""


@dataclass(frozen=True, slots=True)
class Context:
    """What Lambda tells a handler about its invocation."""

    function_name: str
    invoked_function_arn: str
    memory_limit_in_mb: int
    aws_request_id: str
    deadline: float
    function_version: str = "$LATEST"
    log_group_name: str = "local"
    log_stream_name: str = "local"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the time-out, by the monotonic clock; never negative."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


@dataclass(slots=True)
class _Pool:
    """The execution environments of a function."""

    condition: threading.Condition = field(default_factory=threading.Condition)
    free: list[Callable[[Any, Any], Any]] = field(default_factory=list)
    made: int = 0


class ThrottledError(Exception):
    """A function is held back by a limit of concurrency."""


class FunctionRunner:
    """Invokes functions by their logical names; thread-safe.

    invocations: how many, by name. billed_ms: how long they took, start included, in milliseconds.
    """

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self._functions = dict(functions)
        self._by_arn = {function.arn: function.name for function in functions.values()}
        self._pools = {name: _Pool() for name in functions}
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._running = 0
        self._still = False
        self.invocations: Counter[str] = Counter()
        self.billed_ms: Counter[str] = Counter()

    def environment(self, name: str) -> dict[str, str]:
        """A function's environment variables, as its settings read them."""
        return dict(self._functions[name].environment)

    def named(self, arn: str) -> str | None:
        """The logical name of the function with an ARN."""
        return self._by_arn.get(arn)

    def invoke(self, name: str, event: Any) -> Any:
        """Invoke a function and return its answer, as JSON carries it.

        Raises: whatever the handler raises; FunctionTimeoutError afterwards if it ran too long (a thread cannot be
        stopped); ResponseSizeError; TypeError for an answer that is no JSON.
        """
        function = self._functions[name]
        context = Context(
            function_name=function.physical_name,
            invoked_function_arn=function.arn,
            memory_limit_in_mb=function.memory_mb,
            aws_request_id=str(uuid.uuid4()),
            deadline=time.monotonic() + function.timeout_s,
        )
        start = time.monotonic()
        try:
            with self._admitted(), self._environment_of(function) as handler, running(name):
                answer = handler(event, context)
        finally:
            with self._lock:
                self.invocations[name] += 1
                self.billed_ms[name] += math.ceil((time.monotonic() - start) * 1000)
        if time.monotonic() > context.deadline:
            raise FunctionTimeoutError(f"{name} ran longer than {function.timeout_s} s")
        text = json.dumps(answer)
        if len(text) > MAX_RESPONSE_BYTES:
            raise ResponseSizeError(f"{name} returned {len(text)} bytes")
        return json.loads(text)

    @contextmanager
    def still(self) -> Iterator[None]:
        """Wait until no function runs, and let none begin within the block. Not for use by what a function calls."""
        with self._changed:
            self._changed.wait_for(lambda: not self._still)
            self._still = True
            self._changed.wait_for(lambda: self._running == 0)
        try:
            yield
        finally:
            with self._changed:
                self._still = False
                self._changed.notify_all()

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Count an invocation, once none is kept back."""
        with self._changed:
            self._changed.wait_for(lambda: not self._still)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def reset(self) -> None:
        """Forget all execution environments: the next invocation of each function is a cold start."""
        with _loading:
            for function in self._functions.values():
                for module in _modules_of(_package_of(function)).values():
                    for value in list(vars(module).values()):
                        if hasattr(value, "cache_clear") and getattr(value, "__module__", "") == module.__name__:
                            value.cache_clear()
            for pool in self._pools.values():
                with pool.condition:
                    pool.made -= len(pool.free)
                    pool.free.clear()

    @contextmanager
    def _environment_of(self, function: Function) -> Iterator[Callable[[Any, Any], Any]]:
        """Lend an execution environment for one invocation."""
        pool = self._pools[function.name]
        with pool.condition:
            while not pool.free and pool.made >= MAX_ENVIRONMENTS:
                pool.condition.wait()
            found = pool.free.pop() if pool.free else None
            first = pool.made == 0
            pool.made += found is None
        try:
            handler = found or _load(function, fresh=not first)
        except BaseException:  # whatever it is, there is one instance less
            # Lambda starts over after a failed start; so does the next invocation here.
            with pool.condition:
                pool.made -= 1
                pool.condition.notify()
            raise
        try:
            yield handler
        finally:
            with pool.condition:
                pool.free.append(handler)
                pool.condition.notify()


def _package_of(function: Function) -> str:
    return function.handler.rsplit(".", 2)[0]


def _modules_of(package: str) -> dict[str, ModuleType]:
    # A copy: other threads may be importing.
    return {n: m for n, m in list(sys.modules.items()) if n == package or n.startswith(f"{package}.")}


def _load(function: Function, *, fresh: bool) -> Callable[[Any, Any], Any]:
    """Import a handler and build what it works with, in its own environment; `fresh`: from copies of its modules."""
    with _loading, _environ(function), _own_modules(_package_of(function), fresh):
        module_name, _, handler_name = function.handler.rpartition(".")
        handler: Callable[[Any, Any], Any] = getattr(importlib.import_module(module_name), handler_name)
        _build_deps(module_name)
        FunctionLogs.adopt()
        return handler


def _build_deps(module_name: str) -> None:
    """Call the cached function that builds the handler's parts, while the environment is the function's own.

    It is `deps` in the module `deps` beside the handler; for another module than `handler`, `deps` in `<module>_deps`
    or else `<module>_deps` in `deps`.
    """
    package, _, module = module_name.rpartition(".")
    places = [("deps", "deps")] if module == "handler" else [(f"{module}_deps", "deps"), ("deps", f"{module}_deps")]
    for place, name in places:
        try:
            found = importlib.import_module(f"{package}.{place}")
        except ModuleNotFoundError as error:
            if error.name != f"{package}.{place}":
                raise
            continue
        getattr(found, name)()
        return


@contextmanager
def _environ(function: Function) -> Iterator[None]:
    """Make os.environ the function's own, and put back exactly what was changed."""
    own = {
        **function.environment,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_NAME": function.physical_name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "POWERTOOLS_TRACE_DISABLED": "true",
    }
    hidden = [n for n in os.environ if n not in own and (not n.startswith(_KEPT) or n.startswith(_NOT_KEPT))]
    before = {name: os.environ.get(name) for name in (*hidden, *own)}
    for name in hidden:
        os.environ.pop(name, None)
    os.environ.update(own)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _own_modules(package: str, fresh: bool) -> Iterator[None]:
    """Import the package's modules anew within the block, and leave those that were there before in their place."""
    if not fresh:
        yield
        return
    parent_name, _, child = package.rpartition(".")
    before = _modules_of(package)
    for name in before:
        del sys.modules[name]
    try:
        with _own_metrics():
            yield
    finally:
        for name in _modules_of(package):
            del sys.modules[name]
        sys.modules.update(before)
        if package in before:
            setattr(sys.modules[parent_name], child, before[package])


@contextmanager
def _own_metrics() -> Iterator[None]:
    """Have the metrics that are made within the block share nothing with those of other execution environments.

    Powertools keeps what an invocation measures in dictionaries of its class, which is right where a process has one
    invocation at a time.
    """
    from aws_lambda_powertools import Metrics

    names = ("_metrics", "_dimensions", "_metadata", "_default_dimensions")
    before = {name: getattr(Metrics, name) for name in names}
    for name in names:
        setattr(Metrics, name, {})
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(Metrics, name, value)
