"""Sections of the schema: every key described, unknown ones refused."""

from collections.abc import Iterator

import pytest

from simtrain.config import RunConfig
from simtrain.config.section import Section

SECTIONS_OF_A_RUN = {
    "AugmentationConfig",
    "ClipConfig",
    "ComponentConfig",
    "DataConfig",
    "DistillConfig",
    "EncoderWhiteningConfig",
    "EvaluationConfig",
    "ExportConfig",
    "FalseNegativesConfig",
    "HistogramConfig",
    "ImageTextConfig",
    "KeepConfig",
    "LevelConfig",
    "KindConfig",
    "QrelsConfig",
    "LoraConfig",
    "MemoryConfig",
    "MetricLearningConfig",
    "MixedDistillationConfig",
    "MixedTextsConfig",
    "OptimizerConfig",
    "PixelsConfig",
    "ProjectionHeadConfig",
    "PythonEncoderConfig",
    "PythonObjectiveConfig",
    "ResNetConfig",
    "SimCLRConfig",
    "ThresholdsConfig",
    "TimmConfig",
    "TrainerConfig",
    "TrackingConfig",
    "TransformConfig",
    "TripletConfig",
    "TwoTowersConfig",
    "WandbConfig",
}


def sections(base: type[Section]) -> Iterator[type[Section]]:
    for section in base.__subclasses__():
        yield section
        yield from sections(section)


ALL_SECTIONS = sorted(set(sections(Section)), key=lambda section: section.__name__)
ALL_FIELDS = [
    pytest.param(section, name, id=f"{section.__name__}.{name}")
    for section in ALL_SECTIONS
    for name in section.model_fields
]


def test_sections_are_those_of_runs_of_prepare_and_of_compare():
    names = {section.__name__ for section in ALL_SECTIONS if not section.__name__.startswith("_")}
    of_prepare = {"PrepareConfig", "ColumnsConfig", "DialectConfig", "SplitConfig", "SyntheticConfig"}
    of_prepare |= {"InspectionConfig", "NearDuplicatesConfig", "StoreConfig"}
    of_compare = {"CompareConfig", "PicturesConfig", "WhiteningConfig"}
    bases = {"RunConfig", "NamedCode", "TextsConfig", "DistillationConfig", "ObjectiveSection"}
    assert names == SECTIONS_OF_A_RUN | of_prepare | of_compare | bases


@pytest.mark.parametrize(("section", "name"), ALL_FIELDS)
def test_key_is_described(section: type[Section], name: str):
    assert (section.model_fields[name].description or "").strip()


@pytest.mark.parametrize("section", ALL_SECTIONS, ids=lambda section: section.__name__)
def test_section_refuses_unknown_keys(section: type[Section]):
    assert section.model_json_schema()["additionalProperties"] is False


def test_json_schema_defines_every_section_of_a_run():
    assert set(RunConfig.model_json_schema()["$defs"]) == SECTIONS_OF_A_RUN
