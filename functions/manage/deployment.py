"""The operations on what belongs to the whole deployment with all its tenants: how many functions work on a queue."""

from collections.abc import Mapping

from aws_lambda_powertools import Logger

from functions.manage.deps import ManageDeps
from shared.api.audit import Auditor
from shared.api.governance import DeploymentUpdate, DeploymentView
from shared.api.kit import Call, OperationFunction
from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.errors import ConflictError, NotAppliedError
from shared.model.tenants import Deployment
from shared.store.catalog_items import CatalogConflictError

logger = Logger(child=True)

_ATTEMPTS = 5


def deployment_operations(deps: ManageDeps) -> dict[str, OperationFunction]:
    """The operations on the deployment, by id."""
    found = DeploymentOperations(deps)
    return {"get_deployment": found.get, "update_deployment": found.update}


class DeploymentOperations:
    """The operations."""

    def __init__(self, deps: ManageDeps) -> None:
        self._catalog = deps.catalog
        self._mappings = deps.mappings
        self._now = deps.clock.now_ms
        self._auditor = Auditor(deps.catalog, deps.clock)

    def get(self, call: Call) -> DeploymentView:
        """What has been set for all tenants."""
        found = self._catalog.load_deployment()
        return DeploymentView.of(Deployment() if found is None else found.value)

    def update(self, call: Call) -> DeploymentView:
        """Set it for all tenants; each of them sees it in its audit log. Raises: ConflictError, UnavailableError."""
        body: DeploymentUpdate = call.body
        for _ in range(_ATTEMPTS):
            found = self._catalog.load_deployment()
            current = Deployment() if found is None else found.value
            wanted = Deployment(concurrency=body.concurrency, changed_by=call.caller.key_id, changed_at=self._now())
            if wanted.concurrency != current.concurrency:
                record = self._auditor.record(call, "deployment", DeploymentView.of(current), DeploymentView.of(wanted))
                try:
                    self._catalog.save_deployment(wanted, None if found is None else found.rev, record)
                except CatalogConflictError:
                    continue
            # Changed or not: so a call that broke off here can be sent again.
            self._apply(body.concurrency)
            return DeploymentView.of(wanted if wanted.concurrency != current.concurrency else current)
        raise ConflictError("Others are changing the deployment; look at it and try again.")

    def _apply(self, concurrency: Mapping[str, int]) -> None:
        """Have the queues follow. Raises: NotAppliedError."""
        try:
            self._mappings.limit(concurrency)
        except AWS_ERRORS as error:
            log_error(logger, "concurrency not applied", error)
            detail = "It is saved. Send the same request again to have the concurrency applied."
            raise NotAppliedError(detail, title="Saved, but the queues do not follow it yet") from None
