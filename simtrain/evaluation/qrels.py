"""Relevance judgements (qrels): a table that says which images are relevant to which queries."""

# Shapes: C catalogue rows, N rows of a task.

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.sources.source import text_of
from simtrain.catalog.sources.spelling import compared
from simtrain.catalog.table import CATALOG_FILE, Catalog
from simtrain.errors import CatalogError
from simtrain.evaluation.image_copies import picture_codes
from simtrain.evaluation.judged_pairs import JudgedPairs
from simtrain.evaluation.metrics import NO_GROUP
from simtrain.phrases import counted, listed


@dataclass(frozen=True, kw_only=True)
class Qrels:
    """Judgements of pairs, as a file holds them.

    Exact copies of an image are judged as one: what is said of one of them counts for all.

    Attributes:
        file: The file, for messages.
        sha256: Hash of the file.
        by: Column whose values the table names; None: it names ids of images.
        queries: Name of each judged pair's query.
        items: Name of its item.
        grades: Its grade; above 0: relevant.
    """

    file: str
    sha256: str
    by: str | None
    queries: tuple[str, ...]
    items: tuple[str, ...]
    grades: tuple[float, ...]

    @cached_property
    def relevant(self) -> list[tuple[str, str]]:
        """Names of the relevant pairs: query, item."""
        rows = zip(self.queries, self.items, self.grades, strict=True)
        return [(query, item) for query, item, grade in rows if grade > 0]

    @property
    def description(self) -> str:
        """The table in words, with its hash, which tells two versions of one file apart."""
        asked = counted(len({query for query, _ in self.relevant}), "query", "queries")
        by = f" by {self.by}" if self.by is not None else ""
        return (
            f"pairs judged relevant{by} in {self.file} ({counted(len(self.relevant), 'pair')} of {asked}, sha256 "
            f"{self.sha256[:12]})"
        )

    @property
    def judges_own(self) -> bool:
        """Whether the table judges any name for itself, as a product whose other photos are right answers."""
        return any(query == item for query, item in zip(self.queries, self.items, strict=True))

    def asking(self, catalog: Catalog) -> NDArray[np.int64]:
        """(C,) code of each image whose answers are judged, -1 for the others."""
        codes, code_of = self._codes(catalog)
        judged = [code_of[query] for query in set(self.queries) if query in code_of]
        return np.where(np.isin(codes, np.array(judged, dtype=np.int64)), codes, NO_GROUP)

    def pairs(self, catalog: Catalog, rows: NDArray[np.int64]) -> JudgedPairs:
        """The relevant pairs by positions in `rows`, (N,) catalogue rows."""
        codes, code_of = self._codes(catalog)
        places: dict[int, list[int]] = {}
        for position, code in enumerate(codes[rows].tolist()):
            places.setdefault(code, []).append(position)
        named = {(code_of.get(query, NO_GROUP), code_of.get(item, NO_GROUP)) for query, item in self.relevant}
        found = [
            (query, item)
            for asked, answer in named
            if asked != NO_GROUP and answer != NO_GROUP
            for query in places.get(asked, ())
            for item in places.get(answer, ())
        ]
        pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
        return JudgedPairs.of(pairs[:, 0], pairs[:, 1])

    def remark(self, catalog: Catalog) -> str | None:
        """Names that the catalogue lacks, with how many and examples; None: it has all of them."""
        _, code_of = self._codes(catalog)
        names = list(dict.fromkeys([*self.queries, *self.items]))
        missing = [name for name in names if name not in code_of]
        if not missing:
            return None
        return (
            f"{self.file}: {len(missing)} of its {counted(len(names), self._noun)} are not in the catalogue and do not "
            f"count: {listed(missing)}"
        )

    def check_known(self, catalog: Catalog) -> None:
        """Refuse a table of which the catalogue has no relevant pair, as where it names something else than ids.

        Raises:
            CatalogError: with examples of both; or for a column that the catalogue lacks.
        """
        _, code_of = self._codes(catalog)
        if not self.relevant:
            raise CatalogError(f"{self.file}: judges no pair relevant; a grade above 0 means relevant")
        if not any(query in code_of and item in code_of for query, item in self.relevant):
            what = "ids" if self.by is None else f"values of '{self.by}'"
            hint = "; a table that names products: relevance={qrels: FILE, by: product}" if self.by is None else ""
            raise CatalogError(
                f"{self.file}: no relevant pair of it is in {catalog.folder / CATALOG_FILE}: it names "
                f"{listed(self.relevant[0])}, the catalogue's {what} are such as {listed(list(code_of)[:2])}{hint}"
            )

    @property
    def _noun(self) -> str:
        return "id" if self.by is None else f"value of {self.by}"

    def _codes(self, catalog: Catalog) -> tuple[NDArray[np.int64], dict[str, int]]:
        """(C,) code of each image, equal for what is judged as one, and the code of each name."""
        codes = picture_codes(catalog) if self.by is None else catalog.groups([self.by])
        names = [text_of(value, where=str(self.by)) for value in catalog.rows[self.by or "id"].tolist()]
        code_of = {str(name): code for name, code in zip(names, codes.tolist(), strict=True) if code != NO_GROUP}
        return codes, code_of | self._otherwise_spelled(code_of)

    def _otherwise_spelled(self, code_of: dict[str, int]) -> dict[str, int]:
        """Names of the table that the catalogue has in another spelling, which a person reads as equal."""
        missing = {name for name in (*self.queries, *self.items) if name not in code_of}
        if not missing:
            return {}
        by_form: dict[str, set[int]] = {}
        for name, code in code_of.items():
            by_form.setdefault(compared(name), set()).add(code)
        found = {name: by_form.get(compared(name), set()) for name in missing}
        return {name: next(iter(codes)) for name, codes in found.items() if len(codes) == 1}
