"""Constant links: the same for everybody, to be written into a text; who follows one is counted, and not known."""

from functions.manage.deps import ManageDeps
from shared.api.kit import Call, OperationFunction
from shared.api.manage import ConstantLink, LinkQuery
from shared.errors import invalid_field, not_found
from shared.model.origin import origin_of_template
from shared.model.words import MessageClass
from shared.policy.links import is_web_address
from shared.policy.tracking import MOST_TARGET_BYTES, Tracked, click_link


def link_operations(deps: ManageDeps) -> dict[str, OperationFunction]:
    """The operation on links, by id."""

    def get_link(call: Call) -> ConstantLink:
        """A link that leads to a target by way of the platform, and counts for a template. It is stored nowhere.

        Raises: NotFoundError, InvalidError.
        """
        tenant = deps.catalog.tenant(call.caller.tenant)
        template = deps.catalog.template(call.caller.tenant, call.path["id"])
        if tenant is None or template is None:
            raise not_found("template")
        if template.message_class is MessageClass.VERIFICATION:
            raise invalid_field("template", "is for codes, and their links must lead straight on")
        query: LinkQuery = call.query
        version = template.published or template.latest
        origin = origin_of_template(template.id, version, template.message_class)
        made = Tracked(None, 1, query.target, 0, origin=f"{template.channel}_{origin}")
        url = click_link(call.origin, tenant.id, tenant.salt, made) if is_web_address(query.target) else None
        if url is None:
            message = f"give a whole web address, with https:// before it, of at most {MOST_TARGET_BYTES:,} bytes"
            raise invalid_field("query.target", message)
        return ConstantLink(url=url, characters=len(url), target=query.target, template=template.id, version=version)

    return {"get_link": get_link}
