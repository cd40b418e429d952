"""Spellings of places where no account may lead, as attackers write them."""

INSIDE = (
    # this machine
    *("127.0.0.1", "127.0.0.2", "127.255.255.254", "127.1", "127.0.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f.1"),
    *("0x7f000001", "2130706433", "017700000001", "127.0.0.1.", "0", "0.0.0.0", "0.0.0.0.", "00.0.0.0", "127.000.0.1"),
    *("localhost", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain", "ip6-localhost", "vm"),
    *(
        "::1",
        "[::1]",
        "0:0:0:0:0:0:0:1",
        "::",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::ffff:0:127.0.0.1",
    ),
    *("64:ff9b::7f00:1", "64:ff9b::127.0.0.1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::1", "::1%lo"),
    *("①②⑦.⓪.⓪.①", "127。0。0。1", "１２７.0.0.1", "ⓛocalhost", "loc\u00adalhost", "127.0.0.1\u200b", "localho\u017ft"),
    *("127.0.0.1%00.example.com", "127.0.0.1#", "127.0.0.1/", "127.0.0.1:25", "127.0.0.1@example.com", "\t127.0.0.1"),
    *(" localhost ", "127.0.0.1\n", "local\thost", "localhost\x00", "0x7f.0x0.0x0.0x1", "0x", "0x.0x.0x.0x"),
    # link-local, and the metadata and credentials of clouds
    *("169.254.169.254", "169.254.170.2", "169.254.170.23", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376"),
    *("169.254.43518", "169.0xfea9fe", "[fd00:ec2::254]", "fd00:ec2::254", "fd00:ec2::23", "fe80::1", "fe80::1%eth0"),
    *("::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "100.100.100.200"),
    *("168.63.129.16", "192.0.0.192", "metadata.inside.test", "169.254.169.254.", "::169.254.169.254"),
    # networks of the company's own, where nobody has opened them
    *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.0.1", "192.168.0.1", "100.64.0.1", "198.18.0.1", "fc00::1"),
    *("fd12:3456:789a::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "relay.inside.test", "mixed.inside.test", "167772161"),
    # nowhere
    *("224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "ff02::1", "192.0.2.1", "2001:db8::1", "fec0::1"),
)
"""Hosts. What ends in `inside.test`, and the machine's own names, `NAMES` resolves."""

NAMES = {
    "vm": [["127.0.0.1"]],
    "ip6-localhost": [["::1"]],
    "localhost.localdomain": [["127.0.0.1"]],
    "a.localhost": [["127.0.0.1"]],
    "metadata.inside.test": [["169.254.169.254"]],
    "relay.inside.test": [["10.1.2.3"]],
    "mixed.inside.test": [["1.1.1.1", "10.1.2.3"]],
}

OTHER_PARSERS = (
    # {v}: the vendor's own name. Each is read by one program or another as a name that is not the vendor's.
    *("https://127.0.0.1:9\\@{v}", "https://127.0.0.1\\@{v}", "https://[::1]\\@{v}", "https://vm:9\\@{v}"),
    *("https://evil.example\\.{v}", "https://evil.example\\{v}", "https:\\\\{v}", "https://evil.example/\\@{v}"),
    *("https://127.0.0.1#@{v}", "https://127.0.0.1#{v}", "https://127.0.0.1/#@{v}", "https://127.0.0.1?@{v}"),
    *("https://127.0.0.1%2f@{v}", "https://127.0.0.1%23@{v}", "https://127.0.0.1%5c@{v}", "https://127.0.0.1%40{v}"),
    *("https://127.0.0.1%00{v}", "https://{v}%00.evil.example", "https://{v}%2eevil.example", "https://{v}%09.evil"),
    *("https://user@{v}", "https://user:pw@{v}", "https://{v}@127.0.0.1", "https://{v}:443@127.0.0.1", "https://@{v}"),
    *("https://{v}:pw@evil.example", "https://a@b@{v}", "https://{v}@", "https://{v}:@evil.example"),
    *("https://{v}\t.evil.example", "https://{v}\n.evil.example", "https://{v}\r\nHost: evil", "https://evil\t{v}"),
    *("https://{v}\x00.evil.example", "https://{v}\x0b", "https://{v} .evil.example", "https://evil.example {v}"),
    *("https://{v}。evil.example", "https://{v}．evil.example", "https://{v}｡evil.example", "https://{v}／.evil"),
    *(
        "https://{v}\u2100.evil",
        "https://{v}＠evil.example",
        "https://{v}\u2028",
        "https://{v}\u200b",
        "https://evil？{v}",
    ),
    *(
        "https://{v}.",
        "https://{v}..",
        "https://.{v}",
        "https://{v}.evil.example",
        "https://evil{v}",
        "https://evil-{v}",
    ),
    *("https://{v};evil.example", "https://{v},evil.example", "https://{v}|evil.example", "https://{v}&evil.example"),
    *(
        "https://{v}/path",
        "https://{v}/../",
        "https://{v}//evil.example",
        "https://{v}?x=1",
        "https://{v}#",
        "https://{v}/;",
    ),
    *("https://{v}:25", "https://{v}:80", "https://{v}:0", "https://{v}:99999", "https://{v}:443x", "https://{v}:-1"),
    *(
        "https://{v}:４４３",
        "https://{v}:",
        "https://{v}:443:443",
        "http://{v}",
        "http://{v}:443",
        "ftp://{v}",
        "//{v}",
    ),
    *("{v}", "https:/{v}", "https:{v}", "https:///{v}", "https://https://{v}", "javascript://{v}", "file://{v}/etc"),
    *("https://[{v}]", "https://[::1]@{v}", "https://[::ffff:127.0.0.1]{v}", "https://[::1%25{v}]", "https://[v1.{v}]"),
    *("https://evil.example/https://{v}", "https://evil.example?{v}", "", "https://", "https://*.{v}", "https://_{v}"),
    "https://" + "a" * 300 + ".{v}",
)
"""Endpoints that seem to be a vendor's."""

NEIGHBOURS = {
    "ses": (
        "https://abc123.execute-api.eu-west-1.amazonaws.com",
        "https://bucket.s3.amazonaws.com",
        "https://email.s3.eu-west-1.amazonaws.com",
        "https://email.amazonaws.com",
        "https://email.evil.amazonaws.com",
        "https://email.eu-west-1.evil.amazonaws.com",
        "https://email.eu-west-1.amazonaws.com.evil.example",
        "https://email.eu-west-1.amazonaws.co",
        "https://emails.eu-west-1.amazonaws.com",
        "https://email.eu-west-1-1.amazonaws.com",
        "https://sms-voice.eu-west-1.amazonaws.com",
        "https://secretsmanager.eu-west-1.amazonaws.com",
        "https://vpce-svc-1.eu-west-1.vpce.amazonaws.com",
        "https://vpce-1.evil.eu-west-1.vpce.amazonaws.com",
        "https://evil.vpce-1.email.eu-west-1.vpce.amazonaws.com",
        "https://evil.elb.eu-west-1.amazonaws.com",
        "https://evil.lambda-url.eu-west-1.on.aws",
    ),
    "aws": (
        "https://abc123.execute-api.eu-west-1.amazonaws.com",
        "https://email.eu-west-1.amazonaws.com",
        "https://sms-voice.s3.amazonaws.com",
        "https://sms-voice.amazonaws.com",
        "https://sms.eu-west-1.amazonaws.com",
        "https://evil.sms-voice.eu-west-1.amazonaws.com",
        "https://sms-voice.eu-west-1.evil.api.aws",
    ),
    "tencent": (
        "https://tencentcloudapi.com",
        "https://cvm.tencentcloudapi.com",
        "https://evil.sms.tencentcloudapi.com",
        "https://sms.evil.tencentcloudapi.com",
        "https://sms.tencentcloudapi.com.cn",
        "https://sms.tencentcloudapi.co",
        "https://sms-tencentcloudapi.com",
    ),
    "app": (
        "https://weixin.qq.com",
        "https://qq.com",
        "https://evil.qyapi.weixin.qq.com",
        "https://qyapi.weixin.qq.co",
    ),
    "robot": ("https://api.weixin.qq.com", "https://qyapi-weixin.qq.com", "https://qyapi.weixin.qq.com.cn"),
}
"""By provider: names of others close to the vendor's."""
