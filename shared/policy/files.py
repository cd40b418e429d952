"""Where files of recipients, and what is worked out of them, are kept in the assets bucket, and for how long."""

AUDIENCES = "audiences/"
"""What the keys of audience files begin with; the tenant follows."""
UPLOADS = "uploads/"
"""Below an audience's tenant: those that were uploaded by a form."""
UPLOAD_TAG = ("mepush:keep", "upload")
"""The tag of uploads, by which the bucket forgets them: no rule can name the keys of all tenants."""
RUNS = "runs/"
"""What the keys of a run's own files begin with; the tenant and the run follow."""
KEEP_DAYS = 60
"""For so long after they were written, uploads are kept, and a run's own files."""


def audience_key(tenant: str, file: str) -> str:
    """The key of an audience file."""
    return f"{AUDIENCES}{tenant}/{file}"


def run_key(tenant: str, run: str, kind: str, number: int) -> str:
    """The key of a run's own file. kind: `shards`, `rejects`, `refused`, `hashes`, `repeats`, or `compare`, of which
    there is one (0) per run; number: of the shard."""
    return f"{RUNS}{tenant}/{run}/{kind}/{number:06d}"
