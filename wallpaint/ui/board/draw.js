// Drawing: the photo under a zoom and a pan, the walls' tints and outlines, clicks, box, brush and cursor.
const canvas = $("canvas.photo"), stage = $(".stage"), pen = canvas.getContext("2d");
const zoom = { scale: 1, x: 0, y: 0, fit: 1 };
const drag = { kind: null, from: null, to: null, stroke: null };
const tints = new WeakMap(); // mark -> its tinted picture

function fit() {
  const ratio = window.devicePixelRatio || 1, { clientWidth: width, clientHeight: height } = stage;
  if (!width || !state.image) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  zoom.fit = Math.min(canvas.width / state.size[0], canvas.height / state.size[1]);
  zoomTo(zoom.fit, true);
}

function zoomTo(scale, center = false, at = null) {
  const next = Math.min(Math.max(scale, zoom.fit), zoom.fit * 16);
  const [px, py] = at ?? [canvas.width / 2, canvas.height / 2], was = zoom.scale;
  zoom.x = center ? (canvas.width - state.size[0] * next) / 2 : px - ((px - zoom.x) / was) * next;
  zoom.y = center ? (canvas.height - state.size[1] * next) / 2 : py - ((py - zoom.y) / was) * next;
  zoom.scale = next;
  if (next === zoom.fit) { zoom.x = (canvas.width - state.size[0] * next) / 2; zoom.y = (canvas.height - state.size[1] * next) / 2; }
  draw();
}

function place(event) { // screen -> canvas pixels and picture pixels
  const area = canvas.getBoundingClientRect(), ratio = canvas.width / area.width;
  const px = (event.clientX - area.left) * ratio, py = (event.clientY - area.top) * ratio;
  return { px, py, x: (px - zoom.x) / zoom.scale, y: (py - zoom.y) / zoom.scale };
}

const inside = ({ x, y }) => x >= 0 && y >= 0 && x < state.size[0] && y < state.size[1];

function tint(of, index) {
  const current = mark(of);
  const kept = tints.get(current);
  if (kept && kept.index === index) return kept.picture;
  const [width, height] = state.size, mask = compose(current), [red, green, blue] = TINTS[index % TINTS.length];
  const picture = new OffscreenCanvas(width, height), data = new ImageData(width, height);
  const words = new Uint32Array(data.data.buffer);
  const soft = (96 << 24) | (blue << 16) | (green << 8) | red, hard = (255 << 24) | (blue << 16) | (green << 8) | red;
  for (let y = 0, at = 0; y < height; y++) for (let x = 0; x < width; x++, at++) {
    if (!mask[at]) continue;
    const rim = (x > 0 && !mask[at - 1]) || (x < width - 1 && !mask[at + 1]) || (y > 0 && !mask[at - width]) || (y < height - 1 && !mask[at + width]);
    words[at] = rim ? hard : soft;
  }
  picture.getContext("2d").putImageData(data, 0, 0);
  tints.set(current, { picture, index });
  return picture;
}

let drawing = false;
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => { drawing = false; paintFrame(); });
}

function paintFrame() {
  if (!state.image) return;
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.setTransform(zoom.scale, 0, 0, zoom.scale, zoom.x, zoom.y);
  pen.imageSmoothingEnabled = zoom.scale < 3;
  const repaint = state.view === "repaint" && state.repainted && !state.original;
  pen.drawImage(repaint ? state.repainted : state.image, 0, 0, ...state.size);
  if (state.original) return;
  if (!repaint) state.walls.forEach((of, index) => {
    pen.globalAlpha = index === state.active ? 1 : 0.55;
    pen.drawImage(tint(of, index), 0, 0);
  });
  pen.globalAlpha = 1;
  const line = (width) => { pen.lineWidth = width / zoom.scale; };
  if (!repaint) drawMarks(state.wanted ?? mark(), line);
  if (drag.kind === "box") drawBox([drag.from.x, drag.from.y, drag.to.x, drag.to.y], line);
  if (drag.stroke) pen.drawImage(drag.stroke.picture, 0, 0);
  drawPointer(line);
}

function drawMarks(of, line) {
  if (of.box) drawBox(of.box, line);
  const radius = 7 * (window.devicePixelRatio || 1) / zoom.scale;
  for (const [x, y, label] of of.points) {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 7);
    pen.fillStyle = label ? "#15803d" : "#b91c1c";
    pen.fill();
    pen.strokeStyle = "white";
    line(3);
    pen.stroke();
    pen.beginPath();
    pen.moveTo(x - radius / 2, y); pen.lineTo(x + radius / 2, y);
    if (label) { pen.moveTo(x, y - radius / 2); pen.lineTo(x, y + radius / 2); }
    pen.stroke();
  }
}

function drawBox([x0, y0, x1, y1], line) {
  for (const [color, width] of [["black", 4], ["white", 2]]) {
    pen.strokeStyle = color; line(width);
    pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }
}

function drawPointer(line) {
  const at = state.cursor ?? drag.hover;
  if (!at) return;
  if (state.tool === "brush" || state.tool === "eraser") {
    pen.beginPath();
    pen.arc(at.x, at.y, state.brush / 2, 0, 7);
    pen.strokeStyle = state.tool === "brush" ? "white" : "#fca5a5"; line(2);
    pen.stroke();
  } else if (state.cursor) {
    const far = 14 / zoom.scale * (window.devicePixelRatio || 1);
    for (const [color, width] of [["black", 5], ["white", 2]]) {
      pen.strokeStyle = color; line(width);
      pen.beginPath();
      pen.moveTo(at.x - far, at.y); pen.lineTo(at.x + far, at.y); pen.moveTo(at.x, at.y - far); pen.lineTo(at.x, at.y + far);
      pen.stroke();
    }
  }
}

function showCandidates() {
  const box = $(".candidates"), found = state.candidates;
  box.hidden = !found || found.masks.length < 2;
  if (box.hidden) return;
  $$("[data-candidate]").forEach((button, index) => {
    button.hidden = !found.masks[index];
    if (button.hidden) return;
    const view = button.querySelector("canvas"), small = view.getContext("2d", { willReadFrequently: true });
    small.drawImage(state.image, 0, 0, view.width, view.height);
    const data = small.getImageData(0, 0, view.width, view.height), [width, height] = state.size;
    for (let y = 0; y < view.height; y++) for (let x = 0; x < view.width; x++) {
      const at = Math.floor((y * height) / view.height) * width + Math.floor((x * width) / view.width);
      if (found.masks[index][at]) [255, 64, 129].forEach((c, i) => { const k = 4 * (y * view.width + x) + i; data.data[k] = (data.data[k] + c) / 2; });
    }
    small.putImageData(data, 0, 0);
    const score = Math.round(100 * found.scores[index]);
    button.querySelector("span").textContent = `${index + 1} · ${score} %`;
    button.setAttribute("aria-label", word("candidate", { number: index + 1, score }));
    button.setAttribute("aria-pressed", String(index === found.chosen));
  });
}
