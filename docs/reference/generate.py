"""The pages of the reference that come from the code, as mkdocs builds the documentation."""

import claims
import dictionary
import settings
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGES = {
    "claims.md": claims.claims_page,
    "reference/command_line.md": settings.commands_page,
    "reference/spec.md": settings.spec_page,
    "reference/presets.md": settings.presets_page,
    "reference/columns.md": dictionary.columns_page,
    "reference/journal.md": dictionary.journal_page,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add them to the files that are there."""
    for name, page in PAGES.items():
        files.append(File.generated(config, name, content=page()))
    return files
