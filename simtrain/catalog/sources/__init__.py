"""Sources of a catalogue: folders of images and tables that name them. No image is opened here."""

from simtrain.catalog.sources.folder import read_folder
from simtrain.catalog.sources.source import PARTS, Source
from simtrain.catalog.sources.table_source import read_table_source

__all__ = ["PARTS", "Source", "read_folder", "read_table_source"]
