"""Reads a report the way a browser does: tags with attributes, and the figures inside them."""

from html.parser import HTMLParser
from urllib.parse import unquote

URI = "data:image/svg+xml,"


class Page(HTMLParser):
    """Every start tag with its attributes, every text, in order."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags = []
        self.text = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag, css_class=None):
        return [
            attrs
            for name, attrs in self.tags
            if name == tag
            and (css_class is None or css_class in (attrs.get("class") or "").split())
        ]

    @property
    def words(self):
        return " ".join("".join(self.text).split())


def svg(attrs):
    """The SVG inside an <img>."""
    assert attrs["src"].startswith(URI)
    return unquote(attrs["src"][len(URI) :])


def runtime_panels(page, view):
    """Attributes of the images of one view of Figure 3."""
    unit = {"seconds": "Seconds of prepare and steps against"}
    unit["sgd_steps"] = "Prepare and steps in SGD steps against"
    return [image for image in page.all("img", "panel") if image["alt"].startswith(unit[view])]
