"""Import and export, one file per format."""

from storage.transfer.exporting import export
from storage.transfer.formats import FORMATS
from storage.transfer.importing import ImportReport, RefusedFile, SkippedRow, import_file

__all__ = ["FORMATS", "ImportReport", "RefusedFile", "SkippedRow", "export", "import_file"]
