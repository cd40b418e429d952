"""The operations on reviews: a version is submitted, and somebody else than its author and its submitter decides.

A key and all that descend from it are one person, whoever holds them.
"""

from collections.abc import Callable

from functions.manage.deps import ManageDeps
from functions.manage.template_views import archived, load_template, load_version, too_large, version_view
from shared.api.audit import Auditor
from shared.api.governance import ApproveRequest, RejectRequest
from shared.api.kit import Call, OperationFunction
from shared.api.manage import VersionView
from shared.errors import ConflictError, ForbiddenError, forbidden
from shared.model.templates import Review, ReviewState, TemplateVersion
from shared.store.catalog_items import CatalogConflictError, CatalogTooLargeError, Stored

_ATTEMPTS = 5


def review_operations(deps: ManageDeps) -> dict[str, OperationFunction]:
    """The operations on reviews, by id."""
    reviews = Reviews(deps)
    return {
        "submit_version": reviews.submit,
        "approve_version": reviews.approve,
        "reject_version": reviews.reject,
    }


def check_approved(version: TemplateVersion) -> None:
    """Refuse a version that nobody approved. Raises: ConflictError that says what to do."""
    state, number = version.review.state, version.version
    if state is ReviewState.APPROVED:
        return
    advice = {
        ReviewState.DRAFT: "Submit it for review; then somebody else must approve it.",
        ReviewState.SUBMITTED: "Somebody else than its author and its submitter must approve it first.",
        ReviewState.REJECTED: f"The reviewer said: {version.review.comment} Save a better version and submit that.",
    }[state]
    detail = f"Only approved versions can be published, and the review of version {number} is: {state}. {advice}"
    raise ConflictError(detail)


class Reviews:
    """The operations. Two who decide at once: the second finds what the first decided."""

    def __init__(self, deps: ManageDeps) -> None:
        self._catalog = deps.catalog
        self._now = deps.clock.now_ms
        self._auditor = Auditor(deps.catalog, deps.clock)

    def submit(self, call: Call) -> VersionView:
        """Ask for a review, again after a rejection. Raises: NotFoundError, ConflictError, InvalidError."""

        def change(version: TemplateVersion) -> Review:
            if version.review.state in (ReviewState.SUBMITTED, ReviewState.APPROVED):
                raise ConflictError(f"The version is {version.review.state} already.")
            return Review(
                state=ReviewState.SUBMITTED, submitted_by=call.caller.key_id, submitted_at=self._now(), comment=""
            )

        return self._change(call, change)

    def approve(self, call: Call) -> VersionView:
        """Approve a submitted version. Raises: ForbiddenError for its author or
        submitter; NotFoundError, ConflictError, InvalidError."""
        body: ApproveRequest = call.body

        def change(version: TemplateVersion) -> Review:
            if version.review.state is not ReviewState.SUBMITTED:
                raise ConflictError(f"The review is: {version.review.state}. Only a submitted version can be approved.")
            others = {self._catalog.person(key) for key in (version.author, version.review.submitted_by) if key}
            if self._catalog.person(call.caller.key_id) in others:
                raise _own_version()
            return self._decided(call, version, ReviewState.APPROVED, body.comment)

        return self._change(call, change)

    def reject(self, call: Call) -> VersionView:
        """Reject a version that is submitted, or approved and not published yet.

        Raises: NotFoundError, ConflictError, InvalidError.

        Its author may do so as well, to take it back.
        """
        body: RejectRequest = call.body

        def change(version: TemplateVersion) -> Review:
            if version.published_at is not None:
                detail = "The version has been published, so it cannot be rejected; publish another one instead."
                raise ConflictError(detail)
            if version.review.state not in (ReviewState.SUBMITTED, ReviewState.APPROVED):
                raise ConflictError(f"The review is: {version.review.state}. Only a submitted version can be rejected.")
            return self._decided(call, version, ReviewState.REJECTED, body.comment)

        return self._change(call, change)

    def _decided(self, call: Call, version: TemplateVersion, state: ReviewState, comment: str) -> Review:
        facts = {"state": state, "decided_by": call.caller.key_id, "decided_at": self._now(), "comment": comment}
        return version.review.model_copy(update=facts)

    def _change(self, call: Call, change: Callable[[TemplateVersion], Review]) -> VersionView:
        """Change a version's review as it is now, again if another came first.

        Raises: NotFoundError, ConflictError, InvalidError.
        """
        for _ in range(_ATTEMPTS):
            template = load_template(self._catalog, call).value
            found = load_version(self._catalog, call)
            if template.archived:
                raise archived()
            version = found.value.model_copy(update={"review": change(found.value)})
            before, after = version_view(found.value), version_view(version)
            target = f"template/{template.id}/{version.version}"
            try:
                record = self._auditor.record(call, target, before, after)
                self._catalog.update_review(template, Stored(version, found.rev), record)
            except CatalogConflictError:
                continue
            except CatalogTooLargeError:
                raise too_large() from None
            return after
        raise ConflictError("Others are changing this version; look at it and try again.")


def _own_version() -> ForbiddenError:
    return forbidden(
        "A version is approved by somebody else than the one who saved it and the one who submitted it, and keys that "
        "descend from the same first key are one person's. Ask somebody with a first key of their own."
    )
