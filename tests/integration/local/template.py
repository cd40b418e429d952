"""A small template of the same types of resources as the platform's."""

from typing import Any

Resources = dict[str, Any]


def function(name: str, **variables: Any) -> dict[str, Any]:
    """A function resource."""
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "FunctionName": f"small-{name}",
            "Handler": f"functions.{name}.handler.lambda_handler",
            "Runtime": "python3.14",
            "Timeout": 7,
            "MemorySize": 256,
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"S3Bucket": {"Fn::Sub": "assets-${AWS::AccountId}"}, "S3Key": "x.zip"},
            "LoggingConfig": {"LogGroup": {"Ref": "Logs"}},
            "Environment": {"Variables": {"OWN": name, **variables}},
        },
        "DependsOn": ["Policy", "Role"],
    }


def route(key: str, integration: str = "DoorIntegration", *, guarded: bool = True) -> dict[str, Any]:
    """A route resource."""
    guard = {"AuthorizationType": "CUSTOM", "AuthorizerId": {"Ref": "Authorizer"}}
    return {
        "Type": "AWS::ApiGatewayV2::Route",
        "Properties": {
            "ApiId": {"Ref": "Api"},
            "RouteKey": key,
            "Target": {"Fn::Join": ["/", ["integrations", {"Ref": integration}]]},
            **(guard if guarded else {"AuthorizationType": "NONE"}),
        },
    }


def _storage() -> Resources:
    """A role, a table, a stream and queues."""
    return {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": []}}},
        "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {}},
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": "pk", "AttributeType": "S"},
                    {"AttributeName": "sk", "AttributeType": "S"},
                ],
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
            },
        },
        "Stream": {
            "Type": "AWS::Kinesis::Stream",
            "Properties": {"Name": "small-events", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}},
        },
        "Dead": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "small-dead"}},
        "StreamDead": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "small-stream-dead"}},
        "Queue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "QueueName": "small-work",
                "VisibilityTimeout": 42,
                "RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": 3},
            },
        },
    }


def _functions() -> Resources:
    """Two behind an API, one behind a queue, one behind a stream."""
    return {
        "Door": function(
            "door",
            QUEUE_URLS={"Fn::Join": ["", ['{"work":"', {"Ref": "Queue"}, '"}']]},
            TABLE={"Ref": "Table"},
            ALLOW_LOOPBACK_ENDPOINTS="false",
        ),
        "Guard": function("guard"),
        "Worker": function("worker", STREAM={"Ref": "Stream"}, DEAD_URL={"Fn::GetAtt": ["Dead", "QueueUrl"]}),
        "Tail": function("tail"),
    }


def _api() -> Resources:
    """An API with an authorizer."""
    uri = ["arn:aws:apigateway:us-east-1:lambda:path/functions/", {"Fn::GetAtt": ["Guard", "Arn"]}, "/invocations"]
    return {
        "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "small", "ProtocolType": "HTTP"}},
        "Stage": {"Type": "AWS::ApiGatewayV2::Stage", "Properties": {"ApiId": {"Ref": "Api"}, "StageName": "$default"}},
        "Authorizer": {
            "Type": "AWS::ApiGatewayV2::Authorizer",
            "Properties": {
                "ApiId": {"Ref": "Api"},
                "AuthorizerType": "REQUEST",
                "AuthorizerPayloadFormatVersion": "2.0",
                "AuthorizerResultTtlInSeconds": 0,
                "AuthorizerUri": {"Fn::Join": ["", uri]},
                "EnableSimpleResponses": True,
            },
        },
        "DoorIntegration": {
            "Type": "AWS::ApiGatewayV2::Integration",
            "Properties": {
                "ApiId": {"Ref": "Api"},
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": {"Fn::GetAtt": ["Door", "Arn"]},
                "PayloadFormatVersion": "2.0",
            },
        },
        "PostItem": route("POST /items"),
        "GetItem": route("GET /items/{id}"),
        "GetOpen": route("GET /open", guarded=False),
    }


def _mappings() -> Resources:
    """What feeds the functions behind queue and stream; a group for schedules."""
    return {
        "Group": {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": "small"}},
        "WorkMapping": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "BatchSize": 10,
                "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
                "FunctionName": {"Ref": "Worker"},
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                "ScalingConfig": {"MaximumConcurrency": 2},
            },
        },
        "TailMapping": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "BatchSize": 100,
                "EventSourceArn": {"Fn::GetAtt": ["Stream", "Arn"]},
                "FunctionName": {"Ref": "Tail"},
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                "BisectBatchOnFunctionError": True,
                "MaximumRetryAttempts": 2,
                "MaximumRecordAgeInSeconds": 3600,
                "StartingPosition": "TRIM_HORIZON",
                "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["StreamDead", "Arn"]}}},
            },
        },
    }


def small_template() -> dict[str, Any]:
    """The whole template."""
    outputs = {
        "ApiUrl": {"Value": {"Fn::GetAtt": ["Api", "ApiEndpoint"]}},
        "TableName": {"Value": {"Ref": "Table"}},
        "LogsName": {"Value": {"Ref": "Logs"}},
    }
    return {"Resources": {**_storage(), **_functions(), **_api(), **_mappings()}, "Outputs": outputs}
