"""Fine-tune pretrained image encoders for similar-product search: prepare, fit, compare, export, search, serve.

    import simtrain

    catalog = simtrain.prepare("photos/", out="data/catalog")
    run = simtrain.fit("configs/triplet_resnet50.yaml", catalog=catalog)
    print(simtrain.compare(catalog, ["clip", run]).verdict(run))
    for hit in run.export("data/bundle").search("query.jpg", k=5):
        print(hit.rank, hit.similarity, hit.id)

Each public name is imported when it is first used; `import simtrain` alone is quick and needs no torch. Whatever is not
in `__all__` may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from simtrain.version import VERSION

if TYPE_CHECKING:
    from simtrain import losses as losses
    from simtrain.api import index as index
    from simtrain.api.compare import compare as compare
    from simtrain.api.doctor import doctor as doctor
    from simtrain.api.embed import embed as embed
    from simtrain.api.evaluate import evaluate as evaluate
    from simtrain.api.export import export as export
    from simtrain.api.export import open_bundle as open_bundle
    from simtrain.api.fit import fit as fit
    from simtrain.api.fit import open_run as open_run
    from simtrain.api.init import init as init
    from simtrain.api.interpolate import interpolate as interpolate
    from simtrain.api.prepare import open_catalog as open_catalog
    from simtrain.api.prepare import prepare as prepare
    from simtrain.api.publish import publish as publish
    from simtrain.api.serve import serve as serve
    from simtrain.api.sweep import sweep as sweep
    from simtrain.console import Console as Console
    from simtrain.errors import SimtrainError as SimtrainError
    from simtrain.evaluation.retrieval_metrics import retrieval_metrics as retrieval_metrics
    from simtrain.runs.loaded_encoder import load_encoder as load_encoder

__version__ = VERSION

_HOMES = {
    "Console": "simtrain.console",
    "compare": "simtrain.api.compare",
    "doctor": "simtrain.api.doctor",
    "embed": "simtrain.api.embed",
    "evaluate": "simtrain.api.evaluate",
    "export": "simtrain.api.export",
    "fit": "simtrain.api.fit",
    "init": "simtrain.api.init",
    "interpolate": "simtrain.api.interpolate",
    "load_encoder": "simtrain.runs.loaded_encoder",
    "open_bundle": "simtrain.api.export",
    "open_catalog": "simtrain.api.prepare",
    "open_run": "simtrain.api.fit",
    "prepare": "simtrain.api.prepare",
    "publish": "simtrain.api.publish",
    "retrieval_metrics": "simtrain.evaluation.retrieval_metrics",
    "serve": "simtrain.api.serve",
    "sweep": "simtrain.api.sweep",
    "SimtrainError": "simtrain.errors",
}
"""Public name -> the module that holds it."""

_MODULES = {"index": "simtrain.api.index", "losses": "simtrain.losses"}
"""Public module -> where it lies."""

__all__ = [
    "Console",
    "SimtrainError",
    "compare",
    "doctor",
    "embed",
    "evaluate",
    "export",
    "fit",
    "index",
    "init",
    "interpolate",
    "load_encoder",
    "losses",
    "open_bundle",
    "open_catalog",
    "open_run",
    "prepare",
    "publish",
    "retrieval_metrics",
    "serve",
    "sweep",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name not in _HOMES:
        raise AttributeError(f"module 'simtrain' has no attribute '{name}'; public are: {', '.join(__all__)}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
