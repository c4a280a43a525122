"""The diagrams in docs/images, as SVG: python -m tools.site.diagrams

A diagram is a grid of boxes, joined by arrows. It has a background of its own, so that it can be
read on light and dark pages alike, and uses the fonts of the reader's system.
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs/images"
WIDTH, HEIGHT = 196, 84  # pixels of a box
GAP = 78, 56  # pixels between two boxes: beside, below
MARGIN = 24
STYLE = """
  .panel { fill: #fff; stroke: #d9deef }
  .box { fill: #eef1fc; stroke: #8c9ade }
  .file { fill: #fff8e8; stroke: #d9b15c }
  text { font: 12px system-ui, sans-serif; fill: #3a4154; text-anchor: middle }
  .title { font-weight: 600; font-size: 15px; fill: #1c2130 }
  .label { fill: #555d73 }
  path { fill: none; stroke: #5b68a8; stroke-width: 1.6 }
  marker path { fill: #5b68a8; stroke: none }
"""


@dataclass(frozen=True)
class Box:
    column: int
    row: int
    title: str
    lines: tuple[str, ...] = ()
    kind: str = "box"  # or "file", for what is on disk

    @property
    def corner(self) -> tuple[int, int]:
        return (
            MARGIN + self.column * (WIDTH + GAP[0]),
            MARGIN + self.row * (HEIGHT + GAP[1]),
        )

    def drawn(self) -> str:
        x, y = self.corner
        first = y + HEIGHT / 2 + 5 - 8 * len(self.lines)  # the baseline of the title
        texts = [
            f'<text class="title" x="{x + WIDTH / 2:g}" y="{first:g}">{escape(self.title)}</text>'
        ]
        texts += [
            f'<text x="{x + WIDTH / 2:g}" y="{first + 2 + 16 * number:g}">{escape(line)}</text>'
            for number, line in enumerate(self.lines, 1)
        ]
        size = f'width="{WIDTH}" height="{HEIGHT}" rx="8"'
        return "".join([f'<rect class="{self.kind}" x="{x}" y="{y}" {size}/>', *texts])


@dataclass(frozen=True)
class Arrow:
    start: Box
    end: Box  # in the same row or column
    label: str = ""

    def drawn(self) -> str:
        (x, y), (to_x, to_y) = self.start.corner, self.end.corner
        if y == to_y:
            side = 1 if to_x > x else -1
            a = x + WIDTH / 2 + side * WIDTH / 2, y + HEIGHT / 2
            b = to_x + WIDTH / 2 - side * (WIDTH / 2 + 4), a[1]
            place = (a[0] + b[0]) / 2, a[1] - 8
        else:
            side = 1 if to_y > y else -1
            a = x + WIDTH / 2, y + HEIGHT / 2 + side * HEIGHT / 2
            b = a[0], to_y + HEIGHT / 2 - side * (HEIGHT / 2 + 4)
            place = a[0] + 6 + 3.2 * len(self.label), (a[1] + b[1]) / 2 + 4
        line = f'<path d="M{a[0]:g} {a[1]:g}L{b[0]:g} {b[1]:g}" marker-end="url(#tip)"/>'
        text = f'<text class="label" x="{place[0]:g}" y="{place[1]:g}">{escape(self.label)}</text>'
        return line + (text if self.label else "")


def svg(meaning: str, boxes: list[Box], arrows: list[Arrow]) -> str:
    """A drawing with `meaning` as the text for those who do not see it."""
    width = max(box.corner[0] for box in boxes) + WIDTH + MARGIN
    height = max(box.corner[1] for box in boxes) + HEIGHT + MARGIN
    size = f'width="{width}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {height}" '
            f'role="img"><title>{escape(meaning)}</title>',
            f"<style>{STYLE}</style>",
            '<marker id="tip" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0 0L8 4L0 8z"/></marker>',
            f'<rect class="panel" x=".5" y=".5" width="{width - 1}" '
            f'height="{height - 1}" rx="12"/>',
            *(box.drawn() for box in boxes),
            *(arrow.drawn() for arrow in arrows),
            "</svg>\n",
        ]
    )


def pipeline() -> str:
    images = Box(0, 0, "images", ("MNIST, or your own", "folder, CSV, IDX"), "file")
    training = Box(1, 0, "training", ("PyTorch, calibration,", "test set"))
    run = Box(2, 0, "runs/<id>", ("checkpoint, metrics, plots",), "file")
    own = Box(0, 1, "ONNX or weights", ("that you have",), "file")
    export = Box(2, 1, "export", ("ONNX equal to PyTorch", "on every test image"))
    version = Box(
        2, 2, "models/<name>/<n>", ("model.onnx, card.json,", "sha256 of all files"), "file"
    )
    service = Box(1, 2, "service", ("ONNX Runtime, batches,", "metrics"))
    clients = Box(0, 2, "clients", ("HTTP, web page,", "Triton's protocol"))
    importing = Box(1, 1, "export import", ("wrapped, proven equal",))
    return svg(
        "Training makes a run of images. Export makes a model version of a run or of an ONNX file "
        "and proves it. The service loads a version and answers clients.",
        [images, training, run, own, importing, export, version, service, clients],
        [
            Arrow(images, training), Arrow(training, run), Arrow(run, export),
            Arrow(own, importing), Arrow(export, version), Arrow(importing, export),
            Arrow(version, service), Arrow(clients, service),
        ],
    )  # fmt: skip


def request() -> str:
    body = Box(0, 0, "image file", ("any size and format",), "file")
    decode = Box(1, 0, "decode", ("limits by the header,", "then pixels, upright"))
    prepare = Box(2, 0, "prepare", ("as the card says;", "digits: as in MNIST"))
    queue = Box(2, 1, "queue", ("bounded, with deadlines",))
    engine = Box(1, 1, "model call", ("batch of queued images,", "ONNX Runtime"))
    answer = Box(0, 1, "answer", ("label, confidence,", "probabilities"), "file")
    return svg(
        "An image is decoded, prepared as the model card says, queued, and classified in a batch "
        "with the images that wait beside it.",
        [body, decode, prepare, queue, engine, answer],
        [
            Arrow(body, decode), Arrow(decode, prepare), Arrow(prepare, queue, "uint8 pixels"),
            Arrow(queue, engine), Arrow(engine, answer),
        ],
    )  # fmt: skip


def switch() -> str:
    change = Box(0, 0, "current changed", ("or a request of an admin",), "file")
    verify = Box(1, 0, "verify", ("sha256 of every file,", "signature"))
    load = Box(2, 0, "load", ("beside the running one,", "warmed up"))
    golden = Box(2, 1, "golden set", ("64 images, against", "PyTorch's logits"))
    swap = Box(1, 1, "swap", ("between two batches",))
    stays = Box(0, 1, "new version serves", ("the old one stays loaded",))
    return svg(
        "A new version is verified, loaded beside the running one, compared with PyTorch's logits "
        "on its golden set, and then swapped in between two batches.",
        [change, verify, load, golden, swap, stays],
        [
            Arrow(change, verify), Arrow(verify, load), Arrow(load, golden),
            Arrow(golden, swap), Arrow(swap, stays),
        ],
    )  # fmt: skip


DIAGRAMS = {"pipeline": pipeline, "request": request, "switch": switch}


def main() -> None:
    for name, draw in DIAGRAMS.items():
        path = FOLDER / f"{name}.svg"
        path.write_text(draw())
        print(path)


if __name__ == "__main__":
    main()
