"""Mutations of deploying: where a stage may go, what may be taken away, and what installers share."""

from tests.guarantees.mutation import Mutation

_DEPLOY = "tests/infra/test_deploy.py"

OF_DEPLOYING = (
    Mutation(
        "a stage is not taken away while its data is protected",
        "infra/deploy.py",
        "if found := protections(stage, place.session):",
        "if found := list[str]():",
        f"{_DEPLOY}::test_protected_data_is_named_and_nothing_is_destroyed",
    ),
    Mutation(
        "a bucket that holds files is protected",
        "infra/protection.py",
        'if found.get("Versions") or found.get("DeleteMarkers"):',
        'if found.get("Versions"):',
        f"{_DEPLOY}::test_a_bucket_that_holds_anything_is_protected",
    ),
    Mutation(
        "a stage goes to no other account",
        "infra/deploy.py",
        "if stage.account not in (None, account):",
        "if not account:",
        f"{_DEPLOY}::test_who_cannot_be_let_in_is_told_why_before_anything_happens",
    ),
    Mutation(
        "trimming changes no file that others use",
        "infra/trimming.py",
        'trimmed = path.with_name(f".{path.name}")',
        "trimmed = path",
        "tests/infra/test_trimming.py::test_a_file_that_an_installer_linked_stays_as_it_is_elsewhere",
    ),
    Mutation(
        "what is kept is exported whether it is used or not",
        "infra/data.py",
        "for value in self._referred():",
        "for value in list[str]():",
        "tests/infra/test_data.py::test_all_that_is_kept_is_exported_whether_it_is_used_or_not",
    ),
)
