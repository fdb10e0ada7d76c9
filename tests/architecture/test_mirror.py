"""Tests mirror the package: each test file is named after a module, and each module with behaviour has a test file."""

import ast
from pathlib import Path

import pytest

import simtrain

PACKAGE = Path(simtrain.__file__).parent
TESTS = Path(__file__).parents[1]

OF_NO_MODULE = {
    "cli/test_disturbed.py": "end to end: kills, full disks, two at once",
    "cli/test_fuzz.py": "end to end: mutated files",
    "modules/test_gpu_steps.py": "steps of all objectives, as on a GPU",
    "test_first_format.py": "end to end: artifacts that an earlier version wrote",
    "test_documentation.py": "the README and docs/: commands, keys, links, the site",
    "test_documented_commands.py": "end to end: the commands of the pages",
    "test_first_hour.py": "end to end: the commands of the README",
    "test_notebooks.py": "end to end: the notebooks",
    "test_own_parts_page.py": "end to end: docs/own_parts.md",
    "test_scripts.py": "scripts that are no part of the package",
}

TESTED_BY_CALLERS = {
    "api/compare.py": "cli/test_compare.py",
    "api/doctor.py": "cli/test_doctor.py",
    "api/embed.py": "commands/test_embed.py",
    "api/evaluate.py": "cli/test_evaluate.py",
    "api/export.py": "cli/test_export.py",
    "api/fit.py": "cli/test_fit.py",
    "api/index.py": "commands/test_index.py",
    "api/init.py": "commands/test_init.py",
    "api/inputs.py": "test_init.py",
    "api/interpolate.py": "cli/test_interpolate.py",
    "api/prepare.py": "cli/test_prepare.py",
    "api/publish.py": "commands/test_publish.py",
    "api/run.py": "test_init.py",
    "api/serve.py": "cli/test_serve.py",
    "api/sweep.py": "cli/test_sweep.py",
    "builders/auxiliary_losses.py": "builders/test_objective.py",
    "builders/devices.py": "commands/test_fit.py",
    "config/encoder_names.py": "runs/test_loaded_encoder.py",
    "builders/judged_catalog.py": "commands/test_evaluate.py",
    "builders/near_duplicate_verification.py": "cli/test_prepare.py",
    "builders/processes.py": "commands/test_fit.py",
    "builders/validation.py": "builders/test_data.py",
    "catalog/assembly.py": "commands/test_prepare.py",
    "catalog/inspection/alignment.py": "catalog/inspection/test_near_duplicates.py",
    "catalog/inspection/candidates.py": "catalog/inspection/test_near_duplicates.py",
    "catalog/inspection/fingerprint.py": "catalog/inspection/test_dct_descriptor.py",
    "catalog/inspection/kinds.py": "catalog/inspection/test_console_summary.py",
    "catalog/ownership.py": "commands/test_prepare.py",
    "catalog/png_texts.py": "catalog/test_image_opening.py",
    "catalog/prepare_report.py": "commands/test_prepare.py",
    "catalog/readable.py": "commands/test_prepare.py",
    "catalog/remedies.py": "commands/test_prepare.py",
    "catalog/sources/clutter.py": "catalog/sources/test_walk.py",
    "catalog/sources/csv_records.py": "catalog/sources/test_csv_dialect.py",
    "catalog/sources/collection.py": "commands/test_embed.py",
    "catalog/sources/described.py": "catalog/sources/test_side_tables.py",
    "catalog/sources/embedded_columns.py": "catalog/sources/test_embedded.py",
    "catalog/sources/embedded_layout.py": "catalog/sources/test_embedded.py",
    "catalog/sources/generated.py": "catalog/sources/test_opening.py",
    "catalog/sources/naming_files.py": "catalog/sources/test_side_tables.py",
    "catalog/sources/opened.py": "catalog/sources/test_opening.py",
    "catalog/sources/path_lookup.py": "catalog/sources/test_table_paths.py",
    "catalog/sources/sidecars.py": "catalog/sources/test_side_tables.py",
    "catalog/sources/source.py": "catalog/sources/test_table_source.py",
    "catalog/sources/spelling.py": "catalog/sources/test_alike.py",
    "catalog/sources/table_file.py": "catalog/sources/test_csv_dialect.py",
    "catalog/store/checking.py": "commands/test_prepare.py",
    "catalog/store/moving.py": "commands/test_prepare.py",
    "catalog/store/shards.py": "catalog/inspection/test_read_worker.py",
    "catalog/summary_sections.py": "catalog/test_summary.py",
    "catalog/thumbnails.py": "commands/test_prepare.py",
    "catalog/unchanged.py": "commands/test_prepare.py",
    "cli/console.py": "cli/test_init.py",
    "commands/serve.py": "cli/test_serve.py",
    "comparison/assemble.py": "commands/test_compare.py",
    "comparison/repeated_training.py": "commands/test_compare.py",
    "comparison/candidates.py": "commands/test_compare.py",
    "comparison/embeddings.py": "commands/test_compare.py",
    "comparison/image_panels.py": "commands/test_compare.py",
    "comparison/leakage.py": "commands/test_compare.py",
    "comparison/report/chart.py": "comparison/report/test_charts_quality.py",
    "comparison/report/image_panels.py": "comparison/report/test_content.py",
    "comparison/report/method.py": "comparison/report/test_content.py",
    "comparison/scoring.py": "commands/test_compare.py",
    "comparison/secondary_metrics.py": "commands/test_compare.py",
    "comparison/summary.py": "comparison/test_result.py",
    "comparison/verdict_sentences.py": "comparison/test_verdict.py",
    "comparison/whitened_variants.py": "commands/test_compare.py",
    "config/augmentation.py": "config/test_run.py",
    "config/evaluation.py": "config/test_run.py",
    "config/objective.py": "config/test_run.py",
    "config/overrides.py": "config/test_loading.py",
    "config/prepare.py": "config/test_loading.py",
    "config/proposal_facts.py": "config/test_proposal.py",
    "config/relevance.py": "config/test_run.py",
    "encoders/sending.py": "modules/test_gpu_steps.py",
    "evaluation/relevance_checks.py": "evaluation/test_protocol.py",
    "interpolation/summary.py": "interpolation/test_result.py",
    "launch/launched_comparison.py": "commands/test_doctor.py",
    "launch/small_encoders.py": "launch/test_ddp_equivalence.py",
    "runs/evaluation.py": "commands/test_evaluate.py",
    "runs/evaluation_report.py": "commands/test_evaluate.py",
    "runs/evaluation_text.py": "commands/test_evaluate.py",
    "runs/folder.py": "commands/test_fit.py",
    "runs/frozen_features.py": "commands/test_fit_frozen.py",
    "runs/preparation.py": "commands/test_fit.py",
    "runs/reused_embeddings.py": "commands/test_export_reuse.py",
    "runs/run.py": "commands/test_fit.py",
    "runs/source_name.py": "runs/test_untouched_encoder.py",
    "runs/text_embeddings.py": "commands/test_fit_texts.py",
    "serving/app/bundle_items.py": "serving/app/test_queries.py",
    "serving/app/metrics.py": "serving/app/test_guard.py",
    "serving/app/request_error.py": "serving/app/test_micro_batches.py",
    "serving/app/settings.py": "serving/app/test_uploads.py",
    "serving/bundle_change.py": "commands/test_index.py",
    "serving/bundle_place.py": "serving/test_bundle_writer.py",
    "serving/given_bundle.py": "commands/test_search.py",
    "serving/encoder_writer.py": "serving/test_bundle_writer.py",
    "serving/golden_writer.py": "serving/test_bundle.py",
    "serving/index_source.py": "commands/test_index.py",
    "serving/known_embeddings.py": "commands/test_export_reuse.py",
    "serving/milvus/collection.py": "serving/milvus/test_publishing.py",
    "serving/milvus/searching.py": "serving/milvus/test_publishing.py",
    "serving/milvus/source.py": "serving/milvus/test_publishing.py",
    "serving/onnx_runtime.py": "serving/test_onnx_export.py",
    "serving/onnx_text_encoder.py": "serving/test_onnx_text_export.py",
    "serving/opened_bundle.py": "commands/test_search.py",
    "serving/query_encoder.py": "serving/test_searcher.py",
    "serving/recreated_encoder.py": "serving/test_bundle.py",
    "serving/shard_worker.py": "commands/test_embed.py",
    "serving/stray_files.py": "serving/test_bundle.py",
    "serving/torch_query_encoder.py": "serving/test_searcher.py",
    "training/saved_weights.py": "training/test_checkpoints.py",
    "training/signals.py": "training/test_interruption.py",
    "training/strategies.py": "training/test_devices.py",
}
"""Modules without a test file of their own -> the test file that runs their code."""


def has_behaviour(path: Path) -> bool:
    """Whether a module has a function or method with a body: not only constants, records, schemas and protocols."""
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    return any(any(not is_empty(line) for line in function.body) for function in functions)


def is_empty(line: ast.stmt) -> bool:
    """A docstring, `...` or `pass`."""
    return isinstance(line, ast.Pass) or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))


def modules() -> list[str]:
    """Modules of the package with behaviour, such as `data/batch.py`."""
    return [path.relative_to(PACKAGE).as_posix() for path in sorted(PACKAGE.rglob("*.py")) if has_behaviour(path)]


def own_test_file(module: str) -> str:
    path = Path(module)
    return path.with_name(f"test_{path.stem.strip('_')}.py").as_posix()


def mirrored(test: Path) -> bool:
    """Whether `test_NAME.py` or `test_NAME_ASPECT.py` stands where `NAME.py` stands in the package."""
    folder, words = PACKAGE / test.relative_to(TESTS).parent, test.stem.removeprefix("test_").split("_")
    names = ["_".join(words[:count]) for count in range(1, len(words) + 1)]
    return any((folder / f"{'__init__' if name == 'init' else name}.py").is_file() for name in names)


def test_every_test_file_is_named_after_a_module() -> None:
    files = [path for path in sorted(TESTS.rglob("test_*.py")) if "architecture" not in path.parts]
    assert len(files) > 200
    others = [path.relative_to(TESTS).as_posix() for path in files if not mirrored(path)]
    assert others == sorted(OF_NO_MODULE)


def test_every_module_with_behaviour_has_its_test_file() -> None:
    without = {module for module in modules() if not (TESTS / own_test_file(module)).is_file()}
    assert without == set(TESTED_BY_CALLERS)


@pytest.mark.parametrize("module", sorted(TESTED_BY_CALLERS))
def test_what_runs_a_module_instead_is_there(module: str) -> None:
    assert (TESTS / TESTED_BY_CALLERS[module]).is_file()
