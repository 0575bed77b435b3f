// The pointer: clicks, boxes, brush strokes, pan and zoom, with a mouse, a pen or fingers.
const fingers = new Map();
let pinch = null;

function setTool(tool) {
  state.tool = tool;
  $$("[data-tool]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.tool === tool)));
  $("[data-do=dropper]").setAttribute("aria-pressed", String(tool === "dropper"));
  $(".size").hidden = tool !== "brush" && tool !== "eraser";
  canvas.style.touchAction = tool === "click" || tool === "dropper" ? "pan-y" : "none";
  canvas.style.cursor = tool === "brush" || tool === "eraser" ? "none" : "crosshair";
  draw();
}

function setNegative(on) {
  state.negative = on;
  $("[data-do=negative]").setAttribute("aria-pressed", String(on));
}

function setBrush(size) {
  state.brush = Math.min(160, Math.max(4, size));
  $(".brush").value = state.brush;
  draw();
}

function beginDrag(kind, at, event) {
  Object.assign(drag, { kind, from: at, to: at, negative: event.button === 2 || event.altKey || state.negative, pan: { x: zoom.x, y: zoom.y } });
  if (kind === "stroke") {
    const picture = new OffscreenCanvas(...state.size), mine = picture.getContext("2d", { willReadFrequently: true });
    drag.stroke = { picture, pen: mine, erase: state.tool === "eraser" || drag.negative };
    mine.lineCap = mine.lineJoin = "round";
    mine.lineWidth = state.brush;
    mine.strokeStyle = drag.stroke.erase ? "rgb(220, 38, 38)" : "rgb(255, 64, 129)";
    strokeTo(at, at);
  }
}

function strokeTo(from, to) {
  const mine = drag.stroke.pen;
  mine.beginPath();
  mine.moveTo(from.x, from.y);
  mine.lineTo(to.x + 0.01, to.y);
  mine.stroke();
}

function endStroke() {
  const { picture, erase } = drag.stroke, data = picture.getContext("2d").getImageData(0, 0, ...state.size).data;
  const now = mark(), plus = now.plus ? now.plus.slice() : new Uint8Array(pixels());
  const minus = now.minus ? now.minus.slice() : new Uint8Array(pixels());
  for (let at = 0; at < plus.length; at++) if (data[4 * at + 3] > 127) { plus[at] = erase ? 0 : 1; minus[at] = erase ? 1 : 0; }
  drag.stroke = null;
  follow({ ...now, plus, minus }, state.candidates);
}

function endDrag() {
  const { kind, from, to, negative } = drag;
  drag.kind = null;
  if (kind === "stroke") return endStroke();
  const far = Math.hypot(to.px - from.px, to.py - from.py) > 8 * (window.devicePixelRatio || 1);
  if (kind === "box" && far) {
    const [width, height] = state.size, clamp = (v, most) => Math.min(Math.max(v, 0), most);
    const xs = [clamp(from.x, width), clamp(to.x, width)].sort((a, b) => a - b), ys = [clamp(from.y, height), clamp(to.y, height)].sort((a, b) => a - b);
    return setBox([xs[0], ys[0], xs[1], ys[1]]);
  }
  draw();
  if ((kind === "box" || kind === "tap") && !far && inside(from) && state.tool !== "box") {
    if (state.tool === "dropper") return pickPaint(from);
    addPoint(from.x, from.y, negative ? 0 : 1);
  }
}

function pointerDown(event) {
  if (!state.image) return;
  canvas.focus({ preventScroll: true });
  state.cursor = null;
  state.byMouse = true;
  fingers.set(event.pointerId, event);
  if (fingers.size === 2) {
    drag.kind = drag.stroke = null;
    const [a, b] = [...fingers.values()].map(place);
    pinch = { far: Math.hypot(a.px - b.px, a.py - b.py), scale: zoom.scale, middle: [(a.px + b.px) / 2, (a.py + b.py) / 2] };
    return;
  }
  const at = place(event);
  if (event.button === 1 || state.space) beginDrag("pan", at, event);
  else if (state.tool === "brush" || state.tool === "eraser") beginDrag("stroke", at, event);
  else if (state.tool === "dropper" || (event.pointerType === "touch" && state.tool === "click")) beginDrag("tap", at, event);
  else beginDrag("box", at, event);
  if (drag.kind !== "tap") canvas.setPointerCapture(event.pointerId);
  event.preventDefault();
}

function pointerMove(event) {
  if (!state.image) return;
  if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event);
  if (pinch && fingers.size === 2) {
    const [a, b] = [...fingers.values()].map(place), middle = [(a.px + b.px) / 2, (a.py + b.py) / 2];
    zoom.x += middle[0] - pinch.middle[0];
    zoom.y += middle[1] - pinch.middle[1];
    pinch.middle = middle;
    return zoomTo((pinch.scale * Math.hypot(a.px - b.px, a.py - b.py)) / pinch.far, false, middle);
  }
  const at = place(event);
  drag.hover = event.pointerType === "touch" ? null : at;
  if (drag.kind === "pan") { zoom.x = drag.pan.x + at.px - drag.from.px; zoom.y = drag.pan.y + at.py - drag.from.py; }
  if (drag.kind === "stroke") strokeTo(drag.to, at);
  if (drag.kind) drag.to = at;
  if (drag.kind || state.tool !== "click") draw();
}

function pointerUp(event) {
  fingers.delete(event.pointerId);
  if (pinch) { if (!fingers.size) pinch = null; return; }
  if (drag.kind) { if (event.type === "pointercancel") { drag.kind = drag.stroke = null; draw(); } else endDrag(); }
}

canvas.addEventListener("pointerdown", pointerDown);
canvas.addEventListener("pointermove", pointerMove);
canvas.addEventListener("pointerup", pointerUp);
canvas.addEventListener("pointercancel", pointerUp);
canvas.addEventListener("pointerenter", () => { state.over = true; });
canvas.addEventListener("pointerleave", () => { drag.hover = null; state.over = false; draw(); });
canvas.addEventListener("contextmenu", (event) => event.preventDefault());
canvas.addEventListener("wheel", (event) => {
  if (!state.image || (document.activeElement !== canvas && !event.ctrlKey)) return; // else the page scrolls
  if (event.deltaY > 0 && zoom.scale <= zoom.fit) return; // nothing left to zoom out of
  event.preventDefault();
  const { px, py } = place(event);
  zoomTo(zoom.scale * Math.exp(-event.deltaY / 400), false, [px, py]);
}, { passive: false });
