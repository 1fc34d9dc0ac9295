"""A report's content, and how it becomes HTML, Markdown and figures."""
