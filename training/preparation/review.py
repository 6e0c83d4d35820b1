"""The manual pass: pages with every picture, to tick what must go, and what was ticked read back in.

A page needs nothing but a browser: thumbnails and script are inside it. Ticks survive a reload where the browser keeps
them; the button saves them as a small JSON file, {"remove": [id, ...]}.
"""

import base64
import html
from string import Template

from alignment.text import one_line, shown
from weights.files import read_json, written_atomically

from . import PreparationError
from .measure import thumbnail_path
from .urls import public

PER_PAGE = 1000  # pictures, about 5 MB

PAGE = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Review, page $page of $pages</title>
<style>
body { font: 14px system-ui, sans-serif; margin: 0; background: #fafafa; color: #222 }
header { position: sticky; top: 0; padding: 8px 12px; background: #fff; border-bottom: 1px solid #ccc; z-index: 1 }
header > * { margin-right: 14px }
main { display: flex; flex-wrap: wrap; gap: 6px; padding: 8px }
label { width: 160px; position: relative; cursor: pointer; font-size: 11px }
label { content-visibility: auto; contain-intrinsic-size: 160px 190px }
label input { position: absolute; opacity: 0 }
label img { width: 160px; height: 160px; display: block }
label:has(:focus-visible) { outline: 2px solid #06c }
label:has(:checked) { background: #c00; color: #fff }
label:has(:checked) img { opacity: .3 }
span { display: block; overflow: hidden; white-space: nowrap; text-overflow: ellipsis }
</style>
<header><b>Click what must go.</b> <b id="count">0</b> of $count on this page
<button id="save">Save review-$page.json</button>
Sort by <select id="order"><option value="index">order<option value="sharpness">sharpness<option value="turn">pose
<option value="side">size</select> $links</header>
<main>
$pictures
</main>
<script>
const main = document.querySelector("main"), boxes = [...main.querySelectorAll("input")]
const key = "lifelike review $signature"
const ticked = () => boxes.filter(box => box.checked).map(box => box.value)
const show = () => document.getElementById("count").textContent = ticked().length
try { const kept = new Set(JSON.parse(localStorage.getItem(key) || "[]"))
      boxes.forEach(box => box.checked = kept.has(box.value)) } catch {}
main.onchange = () => { show(); try { localStorage.setItem(key, JSON.stringify(ticked())) } catch {} }
document.getElementById("save").onclick = () => {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(new Blob([JSON.stringify({remove: ticked()}, null, 1)], {type: "application/json"}))
  link.download = "review-$page.json"
  link.click()
}
document.getElementById("order").onchange = event => {
  const by = event.target.value
  main.append(...[...main.children].sort((a, b) => a.dataset[by] - b.dataset[by]))
}
show()
</script>
</html>
""")


def write_review(folder, kept, crops, progress=lambda items: items):
    """Write review.html, review-2.html, ... into `folder` and remove pages of an earlier, larger set.

    kept: [(record, face)] of sort_out. crops: the folder that holds the thumbnails. Returns the paths.
    """
    pages = [kept[start : start + PER_PAGE] for start in range(0, max(len(kept), 1), PER_PAGE)]
    paths = [folder / _page_name(number) for number in range(1, len(pages) + 1)]
    links = " ".join(f'<a href="{path.name}">{number}</a>' for number, path in enumerate(paths, 1))
    for number, (path, page) in enumerate(progress(list(zip(paths, pages, strict=True))), 1):
        text = PAGE.substitute(
            page=number,
            pages=len(pages),
            count=len(page),
            links=f"Pages {links}" if len(pages) > 1 else "",
            signature=f"{folder.resolve().name} {page[0][1]['id'] if page else ''}",
            pictures="\n".join(_figure(index, *entry, crops) for index, entry in enumerate(page)),
        )
        with written_atomically(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    for path in folder.glob("review-*.html"):
        if path not in paths:
            path.unlink()
    return paths


def read_review(path):
    """The ids in a file that the page saved. Raises PreparationError when it is something else."""
    try:
        remove = read_json(path)["remove"]
        if not isinstance(remove, list) or not all(isinstance(identity, str) for identity in remove):
            raise ValueError("`remove` is not a list of ids")
    except (ValueError, KeyError, TypeError) as error:
        remedy = f"not a file saved by review.html ({one_line(error)}); save it there again"
        raise PreparationError(f"{shown(path)}: {remedy}") from error
    return set(remove)


def _page_name(number):
    return "review.html" if number == 1 else f"review-{number}.html"


def _figure(index, record, face, crops):
    picture = base64.b64encode(thumbnail_path(crops, face["id"]).read_bytes()).decode()
    name = html.escape(public(record["name"]), quote=True)
    data = f'data-index="{index}" data-sharpness="{face["sharpness"]}" data-turn="{-abs(face["yaw"])}" '
    return (
        f'<label title="{name}" {data}data-side="{face["side"]}"><input type="checkbox" value="{face["id"]}">'
        f'<img loading="lazy" alt="" src="data:image/jpeg;base64,{picture}">'
        f"<span>{name.rsplit('/', 1)[-1]}</span>"
        f"<span>{face['side']:.0f} px, {face['yaw']:.0f}&deg;, sharp {face['sharpness']:.1f}</span></label>"
    )
