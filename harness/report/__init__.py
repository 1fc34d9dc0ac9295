"""Judgements and journals as one self-contained page, Markdown and figures."""
