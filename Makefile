# `make run` and `make test` are all a fresh machine needs; they want Python 3.11 or newer, make and git.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
STAMP := $(VENV)/.installed

# The machine's own certificate authorities count, a company's among them, and not only those that come with uv.
export UV_SYSTEM_CERTS ?= 1
# Where this is set, each of the many processes that tests start would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run demo test lint fmt types imports unit coverage bench guarantees soak mutants synth packages bootstrap deploy diff destroy first-key wheel clean

# Start the local stack, send the examples through every channel, serve the API. With KEEP=1 it goes on from where the
# last such run ended, and keeps what there is in .mepush/.
run: $(STAMP)
	$(BIN)/python -m local run $(if $(KEEP),--keep)

# The same, without serving: exits 0 only if every message reached its expected end. With CAMPAIGN=1: a campaign of
# 20,000 rows instead, with a pause and a crash in the middle.
demo: $(STAMP)
	$(BIN)/python -m local $(if $(CAMPAIGN),campaign,demo)

# Every check and every test.
test: lint types imports unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

unit: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadgroup -rs

# The branch coverage of what is deployed and of the command; docs/guarantees.md says what it is and what it leaves out.
coverage: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadgroup --cov --cov-report=term --cov-report=html:build/coverage \
		tests/unit tests/integration tests/contract tests/security

bench: $(STAMP)
	$(BIN)/python -m bench

# The long proofs, whole: the crash matrix, the outages and the attacks of which `make test` tries a sample.
guarantees: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadgroup -rs --whole tests/guarantees tests/security tests/integration/functions/campaign \
		tests/integration/functions/watch/test_sweep.py tests/integration/functions/manage/test_audit.py \
		tests/integration/shared/store/test_verifications.py tests/integration/shared/store/test_caps_and_duplicates.py \
		tests/e2e/test_openapi_fuzz.py

# The guarantees, tried for a quarter of an hour: random lives, then 100,000 messages among faults.
soak: $(STAMP)
	$(BIN)/python -m tests.guarantees.soak

# Takes one guard at a time out of a copy of the project, and sees the named test fail.
mutants: $(STAMP)
	$(BIN)/python -m tests.guarantees.mutations

synth: $(STAMP)
	$(BIN)/python -m infra.cdk_app

# Builds what is deployed and shows its sizes; docs/adr/0050-packages.md says what is in it.
packages: $(STAMP)
	$(BIN)/python -m infra.archives

# In your AWS account, with your credentials: STAGE names a file in infra/stages/. docs/deploy.md is the guide.
# `bootstrap` once prepares an account and Region for the CDK; `destroy` refuses while there is protected data.
STAGE ?= dev
bootstrap deploy diff destroy: $(STAMP)
	@$(BIN)/python -m infra.deploy $@ --stage $(STAGE)

# A deployment's first API key. With TABLE=... in that table, for the tenant TENANT.
first-key: $(STAMP)
ifdef TABLE
	@$(BIN)/python -m infra.first_key --catalog-table $(TABLE) $(if $(REGION),--region $(REGION)) $(if $(TENANT),--tenant $(TENANT))
else
	@$(BIN)/python -m infra.deploy first-key --stage $(STAGE)
endif

# The command and the Python client, for machines that have no platform.
wheel: $(STAMP)
	$(BIN)/python -m hatchling build -t wheel -d build/wheel

fmt: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build cdk.out

# Before version 24.2 pip knows the authorities that come with it and no others: where that fails, it is told where the
# machine's are.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SYSTEM_CERTS := 'import ssl; found = ssl.get_default_verify_paths(); print(found.cafile or found.capath or "")'

# uv reads the lock; it is installed beside the project's own packages, so no tool needs to be there before.
$(STAMP): pyproject.toml uv.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(PIP_INSTALL) --retries 1 uv==$(UV_VERSION) 2>$(VENV)/pip.log || \
		PIP_CERT="$$($(BIN)/python -c $(SYSTEM_CERTS))" $(PIP_INSTALL) uv==$(UV_VERSION) || { cat $(VENV)/pip.log; exit 1; }
	$(BIN)/uv sync --quiet --frozen --python $(BIN)/python
	touch $(STAMP)
