"""The API's own name: its certificate, its records, and the way from one to the other."""

from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_route53 as route53
from constructs import Construct

from infra.options import Domain


def certificate(scope: Construct, name: str, zone_id: str) -> acm.CfnCertificate:
    """A certificate that renews itself: it is proved by a record that AWS puts into the zone."""
    proof = acm.CfnCertificate.DomainValidationOptionProperty(domain_name=name, hosted_zone_id=zone_id)
    return acm.CfnCertificate(
        scope,
        "Certificate",
        domain_name=name,
        domain_validation_options=[proof],
        key_algorithm="EC_prime256v1",
        validation_method="DNS",
    )


def point(scope: Construct, name: str, zone_id: str, target: str, target_zone: str) -> None:
    """Have a name lead to what AWS calls `target`. target_zone: the zone that AWS keeps that in."""
    for type in ("A", "AAAA"):
        route53.CfnRecordSet(
            scope,
            f"Record{type}",
            hosted_zone_id=zone_id,
            name=f"{name}.",
            type=type,
            alias_target=route53.CfnRecordSet.AliasTargetProperty(dns_name=target, hosted_zone_id=target_zone),
        )


class ApiDomain(Construct):
    """The name that the API has, or that of the API behind CloudFront."""

    def __init__(self, scope: Construct, id: str, *, domain: Domain, api_id: str, stage: str) -> None:
        super().__init__(scope, id)
        made = apigatewayv2.CfnDomainName(
            self,
            "Name",
            domain_name=domain.origin,
            domain_name_configurations=[
                apigatewayv2.CfnDomainName.DomainNameConfigurationProperty(
                    certificate_arn=certificate(self, domain.origin, domain.zone_id).ref,
                    endpoint_type="REGIONAL",
                    ip_address_type="dualstack",
                    security_policy="TLS_1_2",
                )
            ],
        )
        apigatewayv2.CfnApiMapping(self, "Mapping", api_id=api_id, domain_name=made.ref, stage=stage)
        point(self, domain.origin, domain.zone_id, made.attr_regional_domain_name, made.attr_regional_hosted_zone_id)
