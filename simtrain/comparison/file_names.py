"""Names of the files that a comparison writes."""

JSON_FILE = "comparison.json"
PAGE_FILE = "comparison.html"
