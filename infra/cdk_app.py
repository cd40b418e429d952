"""The CDK app: `python -m infra.cdk_app` synthesises one stage into a directory, without Docker or credentials.

Without `--package` the functions' code is left out, so that the template can be looked at and tested anywhere, at once;
the result is marked so that `cdk deploy` refuses it. `cdk.json` asks for the packages.
"""

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from infra.archives import archive_all
from infra.node import use_project_node
from infra.specs import FUNCTIONS
from infra.stage import Stage, stage_named, stage_names

if TYPE_CHECKING:
    from aws_cdk import App

DEFAULT_STAGE = "dev"
_STUB = "# The function's code is left out of this synthesis.\n"


def synth(outdir: Path, *, stub_assets: bool = False, stage: Stage | None = None) -> Path:
    """Synthesise a stage, by default the local stack's, into `outdir`; return the path of the functions' template.

    stub_assets: leave the functions' code out, which needs neither a package registry nor time.
    Raises: infra.packaging.PackagingError; StageError.
    """
    stage = stage or stage_named("local")
    if stub_assets:
        with tempfile.TemporaryDirectory(prefix="mepush-stub-") as folder:
            stub = Path(folder)
            (stub / "__init__.py").write_text(_STUB)
            return _synth(outdir, stage, dict.fromkeys(FUNCTIONS, stub), deployable=False)
    return _synth(outdir, stage, archive_all(), deployable=True)


def build(stage: Stage, packages: Mapping[str, Path], *, outdir: Path | None = None, validate: bool = True) -> "App":
    """Make the app of a stage. packages: the folder or archive of each function, by logical name.

    validate: have the CDK check the template, which takes some seconds.
    """
    use_project_node()
    from aws_cdk import App
    from aws_cdk import aws_lambda as lambda_

    from infra.data import DataStack
    from infra.edge import EdgeStack
    from infra.stack import PlatformStack

    app = App(
        outdir=None if outdir is None else str(outdir),
        auto_synth=False,
        analytics_reporting=False,
        builtin_cloud_formation_validation=validate,
        stack_traces=False,
        # What another stack imports cannot be removed or replaced: data is protected by that (ADR 49).
        context={"@aws-cdk/core:defaultCrossStackReferences": "strong"},
        tree_metadata=validate,
    )
    code = {name: lambda_.Code.from_asset(str(path)) for name, path in packages.items()}
    kept = DataStack(app, stage=stage).kept if stage.data_apart else None
    PlatformStack(app, stage=stage, code=code, kept=kept)
    if stage.domain is not None and stage.domain.edge:
        EdgeStack(app, stage=stage, domain=stage.domain)
    return app


def _synth(outdir: Path, stage: Stage, packages: Mapping[str, Path], *, deployable: bool) -> Path:
    app = build(stage, packages, outdir=outdir, validate=deployable)
    if not deployable:
        from aws_cdk import Annotations

        Annotations.of(app.node.find_child(stage.prefix)).add_error(
            "The functions' code is left out: synthesise with --package to deploy."
        )
    app.synth()
    return outdir / f"{stage.prefix}.template.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Synthesise as the command line says. The CDK's command tells by CDK_OUTDIR where it looks for the result."""
    parser = argparse.ArgumentParser(prog="python -m infra.cdk_app", description=__doc__)
    parser.add_argument("--stage", choices=stage_names(), default=DEFAULT_STAGE)
    parser.add_argument("--package", action="store_true", help="build the functions' packages (slow the first time)")
    parser.add_argument("--outdir", type=Path, default=Path(os.environ.get("CDK_OUTDIR", "cdk.out")))
    parser.add_argument("--archive", action="store_true", help="with an archive, whatever the stage says")
    options = parser.parse_args(arguments)
    stage = stage_named(options.stage)
    if options.archive:
        stage = replace(stage, archive=True)
    path = synth(options.outdir, stub_assets=not options.package, stage=stage)
    print(path)  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
