"""Reports as one page that holds everything itself."""

import base64
from html.parser import HTMLParser

from medseg import page


class Reader(HTMLParser):
    """Text of the cells, and whether all that is opened is closed."""

    def __init__(self):
        super().__init__()
        self.cells, self.open, self.addresses = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data


def test_a_page_is_well_formed_and_asks_for_nothing():
    png = b"\x89PNG"
    parts = [
        page.table(("case", "<Dice>"), [("a & b", 0.5), ("<script>", 1)]),
        page.figure(page.picture(png), "it's 'quoted' & <b>"),
        page.text("a < b"),
        page.data({"k": ["<"]}),
    ]
    made = page.page("x <y>", parts)
    reader = Reader()
    reader.feed(made)
    assert reader.open in ([], ["html", "body"])
    assert reader.cells == ["case", "<Dice>", "a & b", "0.5", "<script>", "1"]
    assert reader.addresses == ["data:image/png;base64," + base64.b64encode(png).decode()]
    assert made.count("<script>") == 1
    assert "http" not in made
    assert "prefers-color-scheme:dark" in made
