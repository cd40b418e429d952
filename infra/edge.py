"""CloudFront with a firewall in front of the API, in the one Region that has both."""

from aws_cdk import DefaultStackSynthesizer, Environment, Stack
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from infra.domain import certificate, point
from infra.nag import acknowledge
from infra.options import EDGE_REGION, Domain
from infra.stage import Stage

_CLOUDFRONT_ZONE = "Z2FDTNDATAQYW2"
"""The zone of all distributions (Route 53 API reference, AliasTarget)."""
_CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
_ALL_VIEWER_EXCEPT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
"""AWS's own policies (CloudFront developer guide, "Use managed policies")."""
_WINDOW_S = 300
_GROUPS = ("AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesKnownBadInputsRuleSet")
"""Not the common rules: they take bodies of more than 8 KB, and HTML in them, for attacks; templates are both."""


class EdgeStack(Stack):
    """The distribution of a stage, which knows of the API only its name: nothing is joined across Regions."""

    def __init__(self, scope: Construct, *, stage: Stage, domain: Domain) -> None:
        super().__init__(
            scope,
            f"{stage.prefix}-edge",
            description="mePush: what stands in front of the API",
            analytics_reporting=False,
            env=Environment(region=EDGE_REGION),
            synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        firewall = self._firewall(stage)
        made = cloudfront.CfnDistribution(
            self,
            "Distribution",
            distribution_config=cloudfront.CfnDistribution.DistributionConfigProperty(
                enabled=True,
                comment=stage.prefix,
                aliases=[domain.name],
                http_version="http2and3",
                ipv6_enabled=True,
                web_acl_id=firewall.attr_arn,
                origins=[_origin(domain)],
                default_cache_behavior=_behaviour(),
                viewer_certificate=cloudfront.CfnDistribution.ViewerCertificateProperty(
                    acm_certificate_arn=certificate(self, domain.name, domain.zone_id).ref,
                    minimum_protocol_version="TLSv1.2_2021",
                    ssl_support_method="sni-only",
                ),
            ),
        )
        acknowledge(made, "CFR1", "recipients open their pages from any country")
        acknowledge(made, "CFR3", "paths of pages hold what opens them; the API logs what is needed, without paths")
        point(self, domain.name, domain.zone_id, made.attr_domain_name, _CLOUDFRONT_ZONE)

    def _firewall(self, stage: Stage) -> wafv2.CfnWebACL:
        # A single address may take as much as the API gives to all: a company's servers are one address.
        limit = wafv2.CfnWebACL.RateBasedStatementProperty(
            aggregate_key_type="IP", limit=max(10, stage.rate_per_s * _WINDOW_S), evaluation_window_sec=_WINDOW_S
        )
        rules = [
            wafv2.CfnWebACL.RuleProperty(
                name="rate",
                priority=0,
                action=wafv2.CfnWebACL.RuleActionProperty(block={}),
                statement=wafv2.CfnWebACL.StatementProperty(rate_based_statement=limit),
                visibility_config=_counted("rate"),
            ),
            *(_group(name, priority) for priority, name in enumerate(_GROUPS, 1)),
        ]
        return wafv2.CfnWebACL(
            self,
            "Firewall",
            name=stage.prefix,
            scope="CLOUDFRONT",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            rules=rules,
            visibility_config=_counted("all"),
        )


def _group(name: str, priority: int) -> wafv2.CfnWebACL.RuleProperty:
    group = wafv2.CfnWebACL.ManagedRuleGroupStatementProperty(name=name, vendor_name="AWS")
    return wafv2.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        override_action=wafv2.CfnWebACL.OverrideActionProperty(none={}),
        statement=wafv2.CfnWebACL.StatementProperty(managed_rule_group_statement=group),
        visibility_config=_counted(name),
    )


def _counted(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    # Samples would hold the paths and headers of requests.
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
    )


def _origin(domain: Domain) -> cloudfront.CfnDistribution.OriginProperty:
    return cloudfront.CfnDistribution.OriginProperty(
        id="api",
        domain_name=domain.origin,
        custom_origin_config=cloudfront.CfnDistribution.CustomOriginConfigProperty(
            origin_protocol_policy="https-only", origin_ssl_protocols=["TLSv1.2"]
        ),
    )


def _behaviour() -> cloudfront.CfnDistribution.DefaultCacheBehaviorProperty:
    return cloudfront.CfnDistribution.DefaultCacheBehaviorProperty(
        target_origin_id="api",
        viewer_protocol_policy="https-only",
        allowed_methods=["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"],
        cache_policy_id=_CACHING_DISABLED,
        origin_request_policy_id=_ALL_VIEWER_EXCEPT_HOST,
        compress=False,
    )
