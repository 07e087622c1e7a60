from nnunet_tricks.comparison import definitions
from nnunet_tricks.comparison.metrics import all_metrics


def test_the_document_is_the_registrys() -> None:
    document = definitions.DOCUMENT.read_text()
    expected = definitions.inserted(document, definitions.as_markdown())
    assert document == expected, "definitions have changed: run 'python -m nnunet_tricks.comparison.definitions'"
    assert all(f"| `{metric.name}` |" in document for metric in all_metrics([1]))
