// The keyboard, as IOPaint's users know it, and a cursor for those who use nothing else.
const KEYS = [
  ["I", "key_click"], ["B", "key_brush"], ["E", "key_eraser"], ["X", "key_box"], ["D", "key_dropper"], ["N", "key_negative"],
  ["[  ]", "key_size"], ["Ctrl Z", "key_undo"], ["Ctrl Shift Z", "key_redo"], ["1 2 3", "key_candidate"], ["+  −", "key_spread"],
  ["A", "key_auto"], ["R", "key_repaint"], ["O / Tab", "key_original"], ["Space", "key_pan"], ["Esc", "key_fit"], ["Delete", "key_clear"],
  ["← ↑ → ↓", "key_cursor"], ["Enter / Alt Enter", "key_enter"],
];
const PRESS = {
  i: () => setTool("click"), b: () => setTool("brush"), e: () => setTool("eraser"), x: () => setTool("box"), d: () => setTool("dropper"),
  n: () => setNegative(!state.negative), a: () => findAuto(), r: () => setView(state.view === "repaint" ? "mask" : "repaint"),
  "[": () => setBrush(state.brush - 6), "]": () => setBrush(state.brush + 6), "+": () => spread(true), "=": () => spread(true), "-": () => spread(false),
  1: () => chooseCandidate(0), 2: () => chooseCandidate(1), 3: () => chooseCandidate(2),
  delete: clearMarks, backspace: clearMarks, escape: () => { state.cursor = null; drag.kind = drag.stroke = null; zoomTo(zoom.fit); },
};
if (BOARD.plain) { delete PRESS.d; delete PRESS.r; }
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function showOriginal(on) { if (state.original !== on) { state.original = on; draw(); } }

function moveCursor([dx, dy], fine) {
  const [width, height] = state.size, far = fine ? 1 : Math.max(width, height) / 50;
  const at = state.cursor ?? { x: width / 2, y: height / 2 };
  state.cursor = { x: Math.min(Math.max(at.x + dx * far, 0), width - 1), y: Math.min(Math.max(at.y + dy * far, 0), height - 1) };
  state.byMouse = false;
  draw();
}

function pressEnter(negative) {
  if (!state.cursor) return moveCursor([0, 0], true);
  if (state.tool === "dropper") return pickPaint(state.cursor);
  if (state.tool === "click" || state.tool === "box") return addPoint(state.cursor.x, state.cursor.y, negative || state.negative ? 0 : 1);
  Object.assign(drag, { from: state.cursor, to: state.cursor });
  beginDrag("stroke", state.cursor, { altKey: negative });
  endDrag();
}

function keyDown(event) {
  if (!state.image || event.target.matches("input, select, textarea")) return;
  const key = event.key, onPhoto = event.target === canvas, held = event.ctrlKey || event.metaKey;
  if (held && key.toLowerCase() === "z") step(event.shiftKey ? 1 : -1);
  else if (held && key.toLowerCase() === "y") step(1);
  else if (held) return;
  else if (key.toLowerCase() === "o") showOriginal(true);
  else if (key === "Tab" && onPhoto && state.byMouse && state.over) showOriginal(true); // a keyboard's Tab still leaves
  else if (key === " " && onPhoto) { state.space = true; canvas.style.cursor = "grab"; }
  else if (key in ARROWS && onPhoto) moveCursor(ARROWS[key], event.shiftKey);
  else if (key === "Enter" && onPhoto) pressEnter(event.altKey);
  else if (PRESS[key.toLowerCase()] && !event.altKey) PRESS[key.toLowerCase()]();
  else return;
  event.preventDefault();
}

function keyUp(event) {
  if (event.key.toLowerCase() === "o" || event.key === "Tab") showOriginal(false);
  if (event.key === " ") { state.space = false; setTool(state.tool); }
}

root.addEventListener("keydown", keyDown);
window.addEventListener("keyup", keyUp);
window.addEventListener("blur", () => { showOriginal(false); state.space = false; });
