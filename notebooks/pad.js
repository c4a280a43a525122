// The browser's part of pad.py: draws strokes, sends them as a PNG, shows the prediction.

const SIDE = 280; // pixels of the drawing
const PEN = 20; // width of a stroke
const STEP = 10; // pixels that an arrow key moves the pen
const PAUSE = 100; // milliseconds between two drawings that are sent

const HELP = "Draw with a pointer or a finger. With keys: arrows move the pen, Space lowers and lifts it, "
  + "Backspace removes the last stroke, Delete all of them.";

function element(name, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

function render({ model, el }) {
  const canvas = element("canvas", { width: SIDE, height: SIDE, tabIndex: 0 });
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", `Drawing pad. ${HELP}`);
  const label = element("div", { className: "drawing-pad-label" });
  label.setAttribute("role", "status");
  const classes = element("ul", { className: "drawing-pad-classes" });
  const undo = element("button", { type: "button", textContent: "Undo", onclick: () => remove(1) });
  const clear = element("button", { type: "button", textContent: "Clear", onclick: () => remove() });
  const help = element("p", { className: "drawing-pad-help", textContent: HELP });
  const side = element("div", { className: "drawing-pad-side" }, label, classes, undo, clear, help);
  el.append(element("div", { className: "drawing-pad" }, canvas, side));
  el.dataset.lmSuppressShortcuts = "true"; // the keys are the pad's, not JupyterLab's

  const context = canvas.getContext("2d");
  const strokes = []; // of points [x, y] in pixels
  const pen = { x: SIDE / 2, y: SIDE / 2, down: false, shown: false }; // moved by keys
  let stroke = null; // the one that a pointer draws
  let timer = null;

  function paint(withPen = pen.shown) {
    context.fillStyle = "white";
    context.fillRect(0, 0, SIDE, SIDE);
    Object.assign(context, { strokeStyle: "black", lineWidth: PEN, lineCap: "round", lineJoin: "round" });
    for (const points of strokes) {
      context.beginPath();
      context.moveTo(...points[0]);
      for (const point of points) {
        context.lineTo(...point);
      }
      context.stroke();
    }
    if (withPen) {
      context.beginPath();
      context.arc(pen.x, pen.y, PEN / 2, 0, 2 * Math.PI);
      Object.assign(context, { strokeStyle: pen.down ? "#c8372d" : "#2f6db5", lineWidth: 2 });
      context.stroke();
    }
  }

  function send() {
    timer = null;
    paint(false);
    model.set("drawing", strokes.length ? canvas.toDataURL("image/png") : "");
    model.save_changes();
    paint();
  }

  function changed() {
    paint();
    timer ??= setTimeout(send, PAUSE);
  }

  function remove(count = strokes.length) {
    strokes.splice(strokes.length - Math.min(count, strokes.length));
    pen.down = false;
    changed();
  }

  function point(event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * SIDE / box.width, (event.clientY - box.top) * SIDE / box.height];
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    stroke = [point(event)];
    strokes.push(stroke);
    pen.down = pen.shown = false;
    changed();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (stroke) {
      stroke.push(point(event));
      changed();
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => { stroke = null; });
  }

  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    pen.shown = true;
    if (move) {
      pen.x = Math.min(SIDE, Math.max(0, pen.x + STEP * move[0]));
      pen.y = Math.min(SIDE, Math.max(0, pen.y + STEP * move[1]));
      if (pen.down) {
        strokes.at(-1).push([pen.x, pen.y]);
      }
    } else if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) {
        strokes.push([[pen.x, pen.y]]);
      }
    } else if (event.key === "Backspace") {
      remove(1);
    } else if (event.key === "Delete") {
      remove();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    changed();
  });
  canvas.addEventListener("blur", () => {
    pen.shown = false;
    paint();
  });

  function show() {
    const { label: likeliest = "", top_k: best = [] } = model.get("prediction");
    label.textContent = likeliest;
    classes.replaceChildren(...best.map(({ label: name, confidence }) => element("li", {}, name,
      element("meter", { value: confidence, ariaLabel: `probability of ${name}` }),
      `${(100 * confidence).toFixed(1)} %`)));
    if (model.get("problem")) {
      classes.replaceChildren(element("li", { textContent: model.get("problem") }));
    }
  }

  model.on("change:prediction change:problem", show);
  paint();
  show();
  return () => {
    clearTimeout(timer);
    model.off("change:prediction change:problem", show);
  };
}

export default { render };
