"""An in-memory AWS for tests: DynamoDB, SQS and Kinesis as our code uses them, fast and strict."""
