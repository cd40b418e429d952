"""The domain that Amazon SES sends from, and the configuration set by which it says what became of mails."""

from aws_cdk import CfnOutput, RemovalPolicy, Stack
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_ses as ses
from constructs import Construct

from infra.options import Mail
from infra.stage import Stage

EVENTS = (
    "BOUNCE",
    "CLICK",
    "COMPLAINT",
    "DELIVERY",
    "DELIVERY_DELAY",
    "OPEN",
    "REJECT",
    "RENDERING_FAILURE",
    "SUBSCRIPTION",
)
"""All but that of having been sent, which the answer to sending says (docs/receipts.md)."""
_RECORD_TTL = "1800"


class MailDomain(Construct):
    """The identity with its DKIM records, in Route 53 or in the stack's outputs; the configuration set `<prefix>`."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage, mail: Mail) -> None:
        super().__init__(scope, id)
        name = stage.prefix
        made = ses.CfnConfigurationSet(self, "Set", name=name)
        destination = ses.CfnConfigurationSetEventDestination(
            self,
            "Receipts",
            configuration_set_name=name,
            event_destination=ses.CfnConfigurationSetEventDestination.EventDestinationProperty(
                name="receipts",
                enabled=True,
                matching_event_types=list(EVENTS),
                event_bridge_destination=ses.CfnConfigurationSetEventDestination.EventBridgeDestinationProperty(
                    # SES takes the account's own bus alone.
                    event_bus_arn=Stack.of(self).format_arn(
                        service="events", resource="event-bus", resource_name="default"
                    )
                ),
            ),
        )
        destination.node.add_dependency(made)
        self._identity = ses.CfnEmailIdentity(
            self,
            "Identity",
            email_identity=mail.domain,
            dkim_signing_attributes=ses.CfnEmailIdentity.DkimSigningAttributesProperty(
                next_signing_key_length="RSA_2048_BIT"
            ),
        )
        if stage.keep_data:
            # Made anew it would have other records, and mails would not be signed until those are entered.
            self._identity.apply_removal_policy(RemovalPolicy.RETAIN)
        self._records(mail)
        CfnOutput(self, "ConfigurationSet", value=name).override_logical_id("ConfigurationSet")

    def _records(self, mail: Mail) -> None:
        made = self._identity
        pairs = (
            (made.attr_dkim_dns_token_name1, made.attr_dkim_dns_token_value1),
            (made.attr_dkim_dns_token_name2, made.attr_dkim_dns_token_value2),
            (made.attr_dkim_dns_token_name3, made.attr_dkim_dns_token_value3),
        )
        for number, (name, value) in enumerate(pairs, 1):
            if mail.zone_id is None:
                id = f"DkimRecord{number}"
                CfnOutput(self, id, value=f"{name} CNAME {value}").override_logical_id(id)
            else:
                route53.CfnRecordSet(
                    self,
                    f"Dkim{number}",
                    hosted_zone_id=mail.zone_id,
                    name=name,
                    type="CNAME",
                    ttl=_RECORD_TTL,
                    resource_records=[value],
                )
