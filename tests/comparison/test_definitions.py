from nnunet_tricks.comparison import definitions
from nnunet_tricks.comparison.metrics import all_metrics
from tests.checkout import ROOT


def test_the_document_is_the_registrys() -> None:
    document = (ROOT / "docs" / "metrics.md").read_text()
    expected = definitions.inserted(document, definitions.as_markdown())
    assert document == expected, "definitions have changed: run 'python -m nnunet_tricks.comparison.definitions'"
    assert all(f"| `{metric.name}` |" in document for metric in all_metrics([1]))
    assert all(f"- **`{metric.name}`**: {metric.definition[:20]}" in document for metric in all_metrics([1]))
    assert max(len(line) for line in document.splitlines()) <= definitions.WIDTH
