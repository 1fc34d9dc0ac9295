"""Judgements and journals as one self-contained page, Markdown and figures."""

import os

# Pages are drawn as SVG alone; a back end that the environment names may not exist here.
os.environ["MPLBACKEND"] = "svg"
