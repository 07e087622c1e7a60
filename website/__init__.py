"""The site: what MkDocs adds to ``docs/`` when it builds. It is not installed."""
