"""What a stage may have besides: a domain with CloudFront, a network, a key, a mail domain, a budget."""

from typing import Any

import pytest

from infra.functions import KEY_ACTIONS
from infra.options import Budget, Domain, Mail, Network
from infra.specs import FUNCTIONS
from infra.stage import Stage, StageError
from tests.infra.template import Template

DOMAIN = Domain("push.example.com", "Z0123456789")


def test_the_api_is_reached_by_its_name_alone(full: Template, full_edge: Template) -> None:
    (api,) = full.of("ApiGatewayV2::Api").values()
    assert api.properties["DisableExecuteApiEndpoint"] is True
    (name,) = full.of("ApiGatewayV2::DomainName").values()
    assert name.properties["DomainName"] == "push-origin.example.com"
    assert name.properties["DomainNameConfigurations"][0]["SecurityPolicy"] == "TLS_1_2"
    urls = {
        each.properties["Environment"]["Variables"].get("PUBLIC_URL")
        for each in full.functions().values()
        if "Environment" in each.properties
    }
    assert urls - {None} == {"https://push.example.com"}
    (made,) = full_edge.of("CloudFront::Distribution").values()
    config = made.properties["DistributionConfig"]
    assert config["Aliases"] == ["push.example.com"]
    assert [each["DomainName"] for each in config["Origins"]] == ["push-origin.example.com"]
    assert config["WebACLId"] == "${Firewall.Arn}"


def test_what_stands_in_front_keeps_nothing_and_takes_no_template_for_an_attack(full_edge: Template) -> None:
    (made,) = full_edge.of("CloudFront::Distribution").values()
    behaviour = made.properties["DistributionConfig"]["DefaultCacheBehavior"]
    assert behaviour["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    assert {"POST", "PATCH", "DELETE"} < set(behaviour["AllowedMethods"])
    (firewall,) = full_edge.of("WAFv2::WebACL").values()
    assert [each["Name"] for each in firewall.properties["Rules"]] == [
        "rate",
        "AWSManagedRulesAmazonIpReputationList",
        "AWSManagedRulesKnownBadInputsRuleSet",
    ]
    counted = [firewall.properties, *firewall.properties["Rules"]]
    assert not any(each["VisibilityConfig"]["SampledRequestsEnabled"] for each in counted)


def test_who_connects_to_others_does_so_from_fixed_addresses(full: Template, full_data: Template) -> None:
    inside = {name for name, each in full.functions().items() if "VpcConfig" in each.properties}
    assert inside == {name for name, spec in FUNCTIONS.items() if spec.connects}
    assert {"dispatch_wecom", "dispatch_email", "webhooks_send", "mailboxes"} <= inside
    assert len(full_data.of("EC2::NatGateway")) == len(full_data.of("EC2::EIP")) == 2
    assert full_data.json["Outputs"]["FixedAddresses"]["Value"]["Fn::Join"][1][1] == ", "
    (group,) = full_data.of("EC2::SecurityGroup").values()
    assert "SecurityGroupIngress" not in group.properties
    for name in inside:
        statements = full.statements(f"{FUNCTIONS[name].construct_id}Role")
        assert [each["Resource"] for each in statements if "ec2:CreateNetworkInterface" in each["Action"]] == [["*"]]


def test_a_network_that_is_there_is_taken_as_it_is() -> None:
    network = Network(subnets=("subnet-0123456789abcdef0",), security_groups=("sg-0123456789abcdef0",))
    assert Stage("test", "test", network=network).network == network


def test_all_that_is_kept_is_under_the_stages_key_and_functions_may_use_it(full: Template, full_data: Template) -> None:
    (key,) = full_data.of("KMS::Key").values()
    assert key.properties["EnableKeyRotation"] is True and key.raw["DeletionPolicy"] == "Retain"
    for table in full_data.of("DynamoDB::Table").values():
        assert table.properties["SSESpecification"]["KMSMasterKeyId"] == "${Key.Arn}"
    for bucket in full_data.of("S3::Bucket").values():
        (rule,) = bucket.properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "${Key.Arn}"}
    (stream,) = full_data.of("Kinesis::Stream").values()
    assert stream.properties["StreamEncryption"]["KeyId"] == "${Key.Arn}"
    for spec in FUNCTIONS.values():
        allowed = [each for each in full.statements(f"{spec.construct_id}Role") if each["Resource"] == ["${Key.Arn}"]]
        assert [each["Action"] for each in allowed] == [list(KEY_ACTIONS)]
    assert {"Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Effect": "Allow", "Resource": ["${Key.Arn}"]} in (
        full.statements("ArchiveStoreRole")
    )


def test_mails_are_signed_and_what_becomes_of_them_is_told(full_data: Template) -> None:
    (identity,) = full_data.of("SES::EmailIdentity").values()
    assert identity.properties["EmailIdentity"] == "mail.example.com" and identity.raw["DeletionPolicy"] == "Retain"
    records = [each.properties for each in full_data.of("Route53::RecordSet").values()]
    assert [each["Name"] for each in records] == [f"${{MailIdentity.DkimDNSTokenName{n}}}" for n in (1, 2, 3)]
    assert {each["Type"] for each in records} == {"CNAME"}
    (destination,) = full_data.of("SES::ConfigurationSetEventDestination").values()
    types = set(destination.properties["EventDestination"]["MatchingEventTypes"])
    assert {"BOUNCE", "COMPLAINT", "DELIVERY"} < types and "SEND" not in types
    assert full_data.json["Outputs"]["ConfigurationSet"]["Value"] == "mepush"


def test_people_hear_of_alarms_and_of_costs(full: Template) -> None:
    (heard,) = [each for each in full.of("SNS::Subscription").values() if each.properties["Protocol"] == "email"]
    assert (heard.properties["Endpoint"], heard.properties["TopicArn"]) == ("oncall@example.com", "${AlarmsTopic}")
    (budget,) = full.of("Budgets::Budget").values()
    assert budget.properties["Budget"]["BudgetLimit"] == {"Amount": 200, "Unit": "USD"}
    told = budget.properties["NotificationsWithSubscribers"]
    assert {each["Address"] for some in told for each in some["Subscribers"]} == {"oncall@example.com"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"domain": Domain("https://push", "Z0123456789")}, "domain.name: a name in small letters"),
        ({"domain": Domain("push.example.com", "/hostedzone/Z1")}, "domain.zone_id: the id of a hosted zone"),
        ({"network": Network("8.8.8.0/24")}, "network.cidr: a private network"),
        ({"network": Network("10.0.0.0/8")}, "network.cidr: a private network"),
        ({"network": Network("here")}, "network.cidr: a private network"),
        ({"network": Network(addresses=3)}, "network.addresses: 1 or 2"),
        ({"network": Network(subnets=("subnet-0123456789abcdef0",))}, "network.subnets: give `subnets` and"),
        (
            {"network": Network(subnets=("x",), security_groups=("y",))},
            "network.subnets: ids .*network.security_groups",
        ),
        ({"mail": Mail("MAIL")}, "mail.domain: a name in small letters"),
        ({"mail": Mail("mail.example.com", "x")}, "mail.zone_id: the id of a hosted zone"),
        ({"budget": Budget(0), "alarm_email": "a@example.com"}, "budget.monthly_usd: 1 or more"),
        ({"budget": Budget(10)}, "budget: give `alarm_email` too"),
        ({"data_apart": False, "customer_key": True}, "data_apart: true"),
        ({"region": "cn-north-1", "mail": Mail("mail.example.com")}, "mail: leave it out: there is no Amazon SES"),
        (
            {"region": "cn-north-1", "domain": Domain("push.example.com", "Z0123456789", edge=True)},
            "domain.edge: leave it out",
        ),
    ],
)
def test_an_option_that_does_not_fit_is_named_with_its_field(options: dict[str, Any], said: str) -> None:
    with pytest.raises(StageError, match=said):
        Stage("test", "test", **options)


def test_only_what_stands_behind_cloudfront_has_another_name() -> None:
    assert DOMAIN.origin == "push.example.com"
    assert Domain("push.example.com", "Z0123456789", edge=True).origin == "push-origin.example.com"
