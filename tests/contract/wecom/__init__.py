"""Contract tests of the WeCom providers against the sandbox."""
