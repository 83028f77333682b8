"""Pieces of a report: one HTML page that holds its style, scripts and pictures itself, in light and dark."""

import base64
import html
import json
from collections.abc import Iterable, Sequence

STYLE = """
:root{color-scheme:light dark;--ink:#222;--paper:#fff;--line:#ddd;--shade:#f4f4f4;--soft:#555}
@media (prefers-color-scheme:dark){:root{--ink:#e4e4e4;--paper:#16181b;--line:#3a3d42;--shade:#23262a;--soft:#aaa}}
body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:var(--ink);
background:var(--paper)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px}
td,th{padding:.2em .7em;border-bottom:1px solid var(--line);text-align:right}
td:first-child,th:first-child,.two td:nth-child(2),.two th:nth-child(2){text-align:left}
th{background:var(--shade);position:sticky;top:0} .sortable th{cursor:pointer}
figure{margin:1em 0} img{max-width:100%} figcaption,.soft{color:var(--soft);font-size:13px}
pre{background:var(--shade);padding:.7em;overflow:auto;font-size:12px} .scroll{max-height:30em;overflow:auto}
"""

SCRIPT = """
document.querySelectorAll('table.sortable th').forEach(head => head.onclick = () => {
  const body = head.closest('table').tBodies[0], up = head.dataset.up !== '1';
  head.dataset.up = up ? '1' : '';
  const key = row => { const t = row.cells[head.cellIndex].textContent, n = parseFloat(t);
    return t === 'inf' ? Infinity : isNaN(n) || !/^[-+0-9.]/.test(t) ? t : n };
  [...body.rows].sort((a, b) => { const x = key(a), y = key(b); return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1) })
    .forEach(row => body.append(row));
});
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page.

    Args:
        title: of the window, plain text.
        parts: HTML, one after the other.
    """
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width'><title>{html.escape(title)}</title>"
        f"<style>{STYLE}</style><body>{''.join(parts)}<script>{SCRIPT}</script></body></html>\n"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence], names: int = 1) -> str:
    """A table that a click on a heading sorts.

    Args:
        heads: of the columns, plain text.
        rows: a cell each; what is not text already is written by ``str``.
        names: how many columns at the left hold words, 1 or 2.
    """
    top = "".join(f"<th>{html.escape(head)}</th>" for head in heads)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    kind = "sortable two" if names == 2 else "sortable"
    return f"<div class='scroll'><table class='{kind}'><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def picture(png: bytes) -> str:
    """A PNG as a data address."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def figure(address: str, caption: str) -> str:
    """A picture, by its data address, with the words below it."""
    words = html.escape(caption)
    return f"<figure><img src='{address}' alt='{words}'><figcaption>{words}</figcaption></figure>"


def text(words: str) -> str:
    """Lines as they are, such as a command."""
    return f"<pre>{html.escape(words)}</pre>"


def data(values) -> str:
    """Plain JSON types, as JSON."""
    return text(json.dumps(values, indent=1))
