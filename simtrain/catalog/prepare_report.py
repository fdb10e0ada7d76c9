"""Report of `prepare`: counts, findings and fixes, read from and written to `findings.json`."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override

from simtrain.catalog.inspection.console_summary import lines_of
from simtrain.catalog.store.layout import read_record
from simtrain.catalog.summary import SummaryContent
from simtrain.catalog.table import CATALOG_FILE, SPLITS, Catalog, read_catalog
from simtrain.files import write_json
from simtrain.phrases import counted

FINDINGS_FILE = "findings.json"
SUMMARY_FILE = "summary.html"
_FORMAT_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class PrepareReport:
    """Result of `prepare`.

    Attributes:
        catalog: The catalogue that was written.
        source: Source of the images, as it was given to `prepare`.
        counts: The counts of `findings.json`.
        findings: Problems found, as dictionaries with a `kind`, the `ids` and a `message`.
        fixes: What was done about the findings, as dictionaries with a `kind` and a `message`.
        store: How the images are stored, as a phrase.
        files: Number of files of the source.
        fresh: Number of files that were decoded now; the others were known. None: nothing had changed at all.
    """

    catalog: Catalog
    source: str
    counts: dict[str, Any]
    findings: list[dict[str, Any]]
    fixes: list[dict[str, Any]]
    store: str
    files: int
    fresh: int | None

    def lines(self) -> list[str]:
        """Lines of a summary for the user, without markup."""
        folder = self.catalog.folder
        known = "" if self.fresh is None or self.fresh == self.files else f" ({self.files - self.fresh} known already)"
        unchanged = [f"nothing has changed since the last time: {self.files} files, none of them read again"]
        return [
            *(unchanged if self.fresh is None else []),
            *_content_lines(self.counts),
            *(_one_line(line) for line in lines_of(self.findings, self.counts)),
            f"images: {self.store}{known}",
            f"catalogue: {folder / CATALOG_FILE}; what was found: {folder / SUMMARY_FILE}",
            *self._next(f"simtrain init {shlex.quote(str(folder))}"),
        ]

    def _next(self, command: str) -> list[str]:
        """The next command; before it, the one that reads more of what the source knows of these images."""
        better, why = self._better()
        if better is None:
            return [f"next: {command}"]
        return [_one_line(f"next: {better}"), _one_line(f"  {why}"), f"or, without it: {command}"]

    def _better(self) -> tuple[str | None, str]:
        """The command by which `prepare` would know more, and what."""
        tables = [
            finding
            for finding in self.findings
            if finding["kind"] == "side_table" and finding.get("command") and 2 * finding["images"] >= self.files
        ]
        if tables:
            first = tables[0]
            return first["command"], f"which reads {first['path']}: it describes {first['images']} of these images"
        for finding in [] if self.counts["products"] else self.findings:
            if finding["kind"] == "likely_columns" and finding.get("grouping"):
                told = ", ".join(f"'{name}' as the {part}" for part, name in finding["columns"].items())
                return self._again(finding["settings"]), f"which takes {told}"
            if finding["kind"] == "likely_product_pattern":
                told = f"{counted(finding['products'], 'product')} from the names of {finding['images']} files"
                return self._again([finding["setting"]]), f"which takes {told}"
        return None, ""

    def _again(self, settings: list[str]) -> str:
        """The command that prepares the same source with more settings; those of this time are kept by itself."""
        words = ["simtrain", "prepare", self.source, "--out", str(self.catalog.folder)]
        for setting in settings:
            words += ["--set", setting]
        return shlex.join(words)


@dataclass(frozen=True, kw_only=True)
class PreparedCatalog(Catalog):
    """A catalogue that was just prepared; `print` shows what was read and what was found.

    Attributes:
        report: The same as data.
    """

    report: PrepareReport

    @staticmethod
    def of(report: PrepareReport) -> "PreparedCatalog":
        """The catalogue of a report."""
        made = report.catalog
        return PreparedCatalog(rows=made.rows, root=made.root, folder=made.folder, report=report)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the folder, and what `findings.json` holds."""
        told = self.report
        return {
            "catalog": str(self.folder),
            "source": told.source,
            "counts": told.counts,
            "store": told.store,
            "fixes": told.fixes,
            "findings": told.findings,
        }

    @override
    def __str__(self) -> str:
        return "\n".join(self.report.lines())


def write_findings(path: Path, content: SummaryContent) -> None:
    """Write `findings.json`."""
    write_json(
        path,
        {
            "format_version": _FORMAT_VERSION,
            "source": content.source,
            "counts": content.counts,
            "store": content.store,
            "fixes": content.fixes,
            "findings": content.findings,
        },
    )


def read_report(out: Path, *, fresh: int | None) -> PrepareReport:
    """The report of a catalogue's folder.

    Args:
        out: Folder of the catalogue.
        fresh: Number of files that were decoded now; None: nothing had changed at all.
    """
    written = json.loads((out / FINDINGS_FILE).read_text(encoding="utf-8"))
    record = read_record(out, columns=["path"])
    return PrepareReport(
        catalog=read_catalog(out),
        source=written["source"],
        counts=written["counts"],
        findings=written["findings"],
        fixes=written["fixes"],
        store=written["store"],
        files=record.table.num_rows if record is not None else 0,
        fresh=fresh,
    )


def _one_line(text: str) -> str:
    """Without line breaks, which names of files may hold."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _content_lines(counts: dict[str, Any]) -> list[str]:
    products = f" of {counted(counts['products'], 'product')}" if counts["products"] else ", no products named"
    labels = f", {counted(counts['labels'], 'label')}" if counts["labels"] else ", no labels"
    lines = [f"{counted(counts['images'], 'image')}{products}{labels}"]
    for split in SPLITS:
        of_products = counts["products_per_split"][split]
        line = f"  {split:5} {counted(counts['images_per_split'][split], 'image')}"
        lines.append(line + (f" of {counted(of_products, 'product')}" if of_products else ""))
    return lines
