"""A small report of a comparison: chance, a baseline, its whitened twin and a run, with a little of everything."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from simtrain.comparison.report_images import EmbeddingMap, FoundImage, PossibleDuplicate, ReportImages, ShownQuery
from simtrain.comparison.result import (
    ComparisonReport,
    Cost,
    EncoderFigures,
    EncoderKind,
    RelevanceFigures,
    RobustnessFigure,
    Unavailable,
)
from simtrain.comparison.verdict import Verdict, VerdictWord
from simtrain.evaluation.breakdown import CategoryFigures, ConfusedPair
from simtrain.evaluation.geometry import Geometry
from simtrain.evaluation.label_errors import LabelSuspect, LabelSuspects
from simtrain.evaluation.statistics import Interval
from simtrain.evaluation.thresholds import SimilarityHistogram, SimilarityThresholds, Threshold

METRICS = ("recall_at_1", "recall_at_5", "recall_at_10", "map_at_r", "r_precision", "mrr")
CATEGORIES = ("chair", "table", "lamp")
RELEVANCE = ("product", "label")
ROWS = 12


def jpeg(row: int, side: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (side, side), (20 * row % 256, 90, 160)).save(buffer, "JPEG")
    return buffer.getvalue()


def around(mean: float, reach: float = 0.03) -> Interval:
    return Interval(mean=mean, low=max(0.0, mean - reach), high=min(1.0, mean + reach))


def verdict(encoder: str, *, baseline: str, relevance: str, word: VerdictWord, difference: float) -> Verdict:
    return Verdict(
        encoder=encoder,
        baseline=baseline,
        metric="map_at_r",
        relevance=relevance,
        word=word,
        difference=Interval(mean=difference, low=difference - 0.02, high=difference + 0.02),
        p_value=0.3 if word == "not shown to be better" else 0.0004,
        corrected_p_value=0.6 if word == "not shown to be better" else 0.0008,
        comparisons=4,
        resolvable_difference=0.034,
        queries=200,
        products=60,
        differing_products=41,
        seed_means=(0.5,),
        seed_spread=None,
        confidence=0.95,
        power=0.8,
    )


def relevance_figures(
    name: str, *, quality: float, baseline: str, relevance: str, word: VerdictWord | None, difference: float
) -> RelevanceFigures:
    return RelevanceFigures(
        relevance=relevance,
        queries=200,
        lone_queries=7,
        metrics={metric: around(quality + 0.01 * place) for place, metric in enumerate(METRICS)},
        macro={metric: around(quality - 0.05) for metric in ("recall_at_1", "map_at_r")},
        verdict=None
        if word is None
        else verdict(name, baseline=baseline, relevance=relevance, word=word, difference=difference),
    )


def thresholds(similarity: float = 0.812) -> SimilarityThresholds:
    found = Threshold(
        wanted_precision=0.9, similarity=similarity, precision=0.9012, precision_low=0.8731, precision_high=0.9276,
        recall=0.4321, positives=365, negatives=40, queries=98, stricter_hold=False, reason=None,
    )  # fmt: skip
    none = Threshold(
        wanted_precision=0.99, similarity=None, precision=None, precision_low=None, precision_high=None, recall=None,
        positives=0, negatives=0, queries=0, stricter_hold=None, reason="the highest precision of 500 pairs is 0.951",
    )  # fmt: skip
    edges = (-1.0, -0.5, 0.0, 0.5, 1.0)
    return SimilarityThresholds(
        thresholds=(found, none),
        neighbours=10,
        queries=120,
        queries_drawn_from=120,
        gallery=200,
        positives=700,
        negatives=500,
        neighbour_pairs=SimilarityHistogram(edges=edges, positives=(0, 0, 100, 600), negatives=(0, 20, 380, 100)),
        all_pairs=SimilarityHistogram(edges=edges, positives=(0, 10, 300, 900), negatives=(100, 9000, 8000, 690)),
    )


def encoder(
    name: str, kind: EncoderKind, *, quality: float, baseline: str, word: VerdictWord | None, difference: float
) -> EncoderFigures:
    plain = EncoderFigures(
        name=name,
        kind=kind,
        words=f"what {name} is",
        seeds=1,
        embedding_size=None if kind == "chance" else 512,
        relevances={
            relevance: relevance_figures(
                name, quality=quality, baseline=baseline, relevance=relevance, word=word, difference=difference
            )
            for relevance in RELEVANCE
        },
        grades={"ndcg_at_10": around(quality + 0.1)},
        recall_curve=tuple(min(1.0, quality + 0.02 * k) for k in range(1, 21)),
    )
    return plain if kind == "chance" else _with_the_rest(plain, quality=quality)


def _with_the_rest(plain: EncoderFigures, *, quality: float) -> EncoderFigures:
    return EncoderFigures(
        **{
            **vars(plain),
            "categories": [
                CategoryFigures(
                    name=name,
                    queries=100 - 30 * place,
                    products=30 - 9 * place,
                    metrics={metric: around(quality - 0.1 * place) for metric in ("recall_at_1", "map_at_r")},
                    note=None,
                )
                for place, name in enumerate(CATEGORIES)
            ],
            "confused": [ConfusedPair(category="chair", answer="table", count=9, queries=100)],
            "robustness": [
                RobustnessFigure(name="rotated_10", words="turned by 10 degrees", share=around(quality), queries=50),
                RobustnessFigure(name="jpeg_30", words="saved at JPEG quality 30", share=around(quality), queries=50),
            ],
            "text": {"text_to_image_recall_at_5": around(0.31)} if plain.kind == "off_the_shelf" else {},
            "geometry": Geometry(
                mean_similarity=0.213, isotropy=0.61, effective_rank=87.4, uniformity=-2.31, alignment=0.58,
                features=512, rows=200, sampled_rows=200,
            ),
            "thresholds": thresholds(),
            "cost": Cost(
                device="cpu (2 threads)", embedding_seconds=10.0 + 40.0 * quality, search_seconds=0.021, gallery=200,
                embedding_bytes=2_048_000,
            ),
            "details": {"weights": "of its authors", "fingerprint": "0f" * 8},
        }
    )  # fmt: skip


def pictures(names: tuple[str, ...]) -> ReportImages:
    def found(first: int) -> tuple[FoundImage, ...]:
        return tuple(
            FoundImage(row=(first + step) % ROWS, similarity=0.9 - 0.1 * step, relevant=step % 2 == 0)
            for step in range(1, 4)
        )

    return ReportImages(
        captions={row: f"image-{row:02}; {CATEGORIES[row % 3]}" for row in range(ROWS)},
        queries=tuple(
            ShownQuery(row=row, found={name: found(row + place) for place, name in enumerate(names)}) for row in (0, 5)
        ),
        worst={name: (ShownQuery(row=3, found={name: found(3)}, average_precision=0.0123),) for name in names[::2]},
        maps=tuple(
            EmbeddingMap(
                encoder=name,
                method="PCA",
                rows=tuple(range(ROWS)),
                x=tuple(float(row % 4) for row in range(ROWS)),
                y=tuple(float(row // 4) for row in range(ROWS)),
                groups=tuple(CATEGORIES[row % 3] for row in range(ROWS)),
            )
            for name in names[::2]
        ),
        suspects=LabelSuspects(
            suspects=(LabelSuspect(row=7, label="table", suggested="lamp", score=0.77, neighbours=(8, 2)),),
            found=5,
            judged=180,
            unjudged=20,
        ),
        alike=(PossibleDuplicate(rows=(1, 10), similarity=0.987),),
        reference_encoder=names[-1],
    )


def tiny_comparison(*, baseline: str = "clip", run: str = "tuned") -> ComparisonReport:
    """All that a page can show, of encoders with these names."""
    whitened = f"{baseline}_whitened"
    return ComparisonReport(
        catalog="catalogues/furniture",
        data={"sha256": "ab" * 32},
        images="images.raw, 256 pixels",
        split="test",
        folds=(),
        queries=207,
        products=63,
        gallery=211,
        copies=4,
        near_copies=2,
        relevance=list(RELEVANCE),
        relevance_words={name: f"same {name}" for name in RELEVANCE},
        metric="map_at_r",
        levels=["product", "label"],
        category="label",
        categories=list(CATEGORIES),
        baseline=baseline,
        baseline_reason="the highest map_at_r on val of the encoders that no run has trained",
        baselines=dict.fromkeys(RELEVANCE, baseline),
        resolvable={"product": 0.071, "label": None},
        resolvable_words=[
            "By product the split can resolve differences of 7.1 points of recall_at_1 or more (found with 80 % "
            "probability).",
            "By label the split is too small to resolve any difference.",
        ],
        encoders=[
            encoder("chance", "chance", quality=0.01, baseline=baseline, word=None, difference=0.0),
            encoder(baseline, "off_the_shelf", quality=0.5, baseline=baseline, word=None, difference=0.0),
            encoder(
                whitened, "whitened", quality=0.52, baseline=baseline, word="not shown to be better", difference=0.02
            ),
            encoder(run, "run", quality=0.6, baseline=baseline, word="better", difference=0.1),
        ],
        unavailable=[Unavailable(name="simclr_resnet50", reason="weights: no such file: simclr.pt")],
        test_readings={run: 2},
        confidence=0.95,
        draws=5000,
        made_with={"simtrain": "0.1.0"},
        pictures=pictures((baseline, whitened, run)),
    )
