"""A real Postfix for tests: one instance of its own, with a port for each set of extensions, and what it delivered."""

import contextlib
import os
import shutil
import smtplib
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from tests.certificates import Certificate, authority, server

_MASTER = Path("/usr/lib/postfix/sbin/master")
OFFERS = {"chunking": "", "pipelining": "chunking", "in_steps": "chunking, pipelining"}
"""What a port offers, and what Postfix is told to keep to itself for that."""

_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = sink.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = check_recipient_access regexp:{folder}/recipients
smtpd_error_sleep_time = 0
service_throttle_time = 1s
smtpd_soft_error_limit = 3
smtpd_hard_error_limit = 6
transport_maps = regexp:{folder}/transports
header_checks = regexp:{folder}/headers
message_size_limit = 400000
virtual_mailbox_limit = 0
virtual_mailbox_domains = example.com
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
smtpd_tls_security_level = may
smtpd_tls_cert_file = {folder}/server.pem
smtpd_tls_key_file = {folder}/server.pem
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
"""
_SERVICES = """
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
smtp unix - - n - - smtp
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
flush unix n - n 1000? 0 flush
postlog unix-dgram n - n - 1 postlogd
"""


def missing() -> str:
    """Why no Postfix can be started here; empty if one can."""
    if not _MASTER.is_file():
        return "there is no Postfix (Debian: apt-get install --no-install-recommends postfix)"
    return "" if os.geteuid() == 0 else "Postfix wants to be started by root"


class Postfix:
    """An instance in a folder of its own.

    It refuses recipients that begin with `gone` (550) or `later` (450), messages whose subject says `forbidden` (550)
    and those beyond 400,000 bytes (552), and closes with 421 after six errors in a row. It takes messages to
    `returned.example`, and returns them to their sender.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: _free_port() for name in OFFERS}
        self._next = _free_port()
        """Of the server that it passes messages to `returned.example` on to, which refuses them."""
        self.authority: Certificate = authority()

    @contextlib.contextmanager
    def running(self) -> Iterator["Postfix"]:
        self._write_settings()
        subprocess.run(["postfix", "-c", self.folder, "check"], check=True, capture_output=True, timeout=60)
        command = [str(_MASTER), "-c", str(self.folder), "-d"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self._wait_until_it_answers(process)
            yield self
        finally:
            process.terminate()
            process.wait(30)

    def kill_servers(self) -> bool:
        """Kill the processes that talk to clients, as a crash would; returns whether there were any."""
        return subprocess.run(["pkill", "-KILL", "-P", self._master(), "smtpd"], check=False).returncode == 0

    def wait_for(self, expected: int) -> list[Path]:
        """The files that have arrived, once they are that many, or after 20 s."""
        new = self.folder / "mail" / "all" / "new"
        deadline = time.monotonic() + 20
        while len(found := list(new.glob("*"))) < expected and time.monotonic() < deadline:
            time.sleep(0.01)
        return found

    def delivered(self, expected: int) -> list[EmailMessage]:
        """What has arrived, once it is that many."""
        files = self.wait_for(expected)
        found = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
        return [message for message in found if isinstance(message, EmailMessage)]

    def delivered_ids(self, expected: int) -> Counter[str]:
        """How often each message has arrived, by our id."""
        return Counter(str(message["X-MePush-Message-Id"]) for message in self.delivered(expected))

    def forget(self) -> None:
        """Forget what has arrived."""
        shutil.rmtree(self.folder / "mail" / "all", ignore_errors=True)

    def _master(self) -> str:
        return (self.folder / "spool" / "pid" / "master.pid").read_text().strip()

    def _write_settings(self) -> None:
        self.folder.chmod(0o755)
        for name, owner in (("spool", "root"), ("data", "postfix"), ("mail", "nobody")):
            (self.folder / name).mkdir()
            shutil.chown(self.folder / name, owner)
        server(self.authority).save(self.folder)
        (self.folder / "recipients").write_text(
            "/^gone/ 550 5.1.1 User unknown\n/^later/ 450 4.2.0 Greylisted\n/./ DUNNO\n"
        )
        (self.folder / "headers").write_text("/^Subject: .*forbidden/ REJECT 5.7.1 Content refused\n")
        (self.folder / "transports").write_text(f"/@returned\\.example$/ smtp:[127.0.0.1]:{self._next}\n")
        (self.folder / "main.cf").write_text(_MAIN.format(folder=self.folder))
        ports = "".join(
            f"127.0.0.1:{self.ports[name]} inet n - n - - smtpd -o {{smtpd_discard_ehlo_keywords={hidden}}}\n"
            for name, hidden in OFFERS.items()
        )
        refusing = f"127.0.0.1:{self._next} inet n - n - - smtpd -o myhostname=mx.returned.example" + (
            " -o {smtpd_recipient_restrictions=check_recipient_access static:{550 5.1.1 No such user here}}\n"
        )
        (self.folder / "master.cf").write_text(ports + refusing + _SERVICES.lstrip())

    def _wait_until_it_answers(self, process: "subprocess.Popen[bytes]") -> None:
        for _ in range(300):
            if process.poll() is not None:
                raise RuntimeError(f"Postfix ended: {self._log()}")
            try:
                for port in self.ports.values():
                    smtplib.SMTP("127.0.0.1", port, timeout=5).quit()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"Postfix does not answer: {self._log()}")

    def _log(self) -> str:
        log = self.folder / "log"
        return log.read_text()[-2000:] if log.is_file() else "no log"


@contextlib.contextmanager
def postfix() -> Iterator[Postfix]:
    """A running Postfix."""
    # Its sockets' paths are long, and those of pytest's folders longer.
    with tempfile.TemporaryDirectory(prefix="mp") as folder, Postfix(Path(folder)).running() as running:
        yield running


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
