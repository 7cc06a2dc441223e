"""Numbers as text, tables as HTML, figures as SVG."""
