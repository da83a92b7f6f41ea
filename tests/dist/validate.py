"""Holds a document against the schema of CycloneDX 1.6, without a network."""
import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(pathlib.Path(sys.argv[1]).read_text(encoding='utf-8'))
if error:
    sys.exit(str(error))
