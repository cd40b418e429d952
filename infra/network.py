"""The network of functions that connect to others' servers, with addresses that stay."""

from aws_cdk import CfnOutput
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.nag import acknowledge
from infra.options import Network


class Vpc(Construct):
    """The subnets and security groups of a stage's network; those of a VPC that is there are taken as they are.

    It is kept with the data: what a provider lets in by its address would have to be entered anew.
    """

    def __init__(self, scope: Construct, id: str, *, network: Network) -> None:
        super().__init__(scope, id)
        self.subnets, self.security_groups = list(network.subnets), list(network.security_groups)
        if not network.subnets:
            self._make(network)

    def _make(self, network: Network) -> None:
        vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(network.cidr),
            max_azs=2,
            nat_gateways=network.addresses,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="Out", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=28),
                ec2.SubnetConfiguration(name="Functions", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
            ],
            # Traffic to these is most of all, and costs nothing by these ways.
            gateway_endpoints={
                "Tables": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
                "Files": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
            },
        )
        acknowledge(vpc, "VPC7", "functions connect out only, and the timeline says whom to and how it ended")
        group = ec2.SecurityGroup(self, "Functions", vpc=vpc, description="Connects out; nothing connects to it")
        self.subnets = vpc.select_subnets(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS).subnet_ids
        self.security_groups = [group.security_group_id]
        found = [each.node.try_find_child("EIP") for each in vpc.public_subnets]
        fixed = [each.ref for each in found if isinstance(each, ec2.CfnEIP)]
        CfnOutput(
            self, "Addresses", value=", ".join(fixed), description="What functions connect from"
        ).override_logical_id("FixedAddresses")
