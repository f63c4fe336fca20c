"""Linting a table of energy claims: what it leaves unsaid, and where its own numbers contradict each other.

`reading` turns CSV, Markdown, LaTeX and TOML into one record, `columns` finds what each column holds, `quantities`
reads numbers with the precision they are printed with, `rules` and `recomputing` judge. No torch.
"""
