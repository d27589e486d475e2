"""Import and export, one file per format."""

from storage.transfer.exporting import export
from storage.transfer.formats import FORMATS
from storage.transfer.importing import IMPORTS, import_file
from storage.transfer.report import ImportReport, RefusedFile, SkippedRow

__all__ = ["FORMATS", "IMPORTS", "ImportReport", "RefusedFile", "SkippedRow", "export", "import_file"]
