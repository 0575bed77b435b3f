// The keyboard, as IOPaint's users know it, and a cursor for those who use nothing else.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
// What the board lists: the keys, and the word that explains them.
const LISTED = [
  ["I", "key_click"], ["B", "key_brush"], ["E", "key_eraser"], ["X", "key_box"], ["D", "key_dropper"], ["N", "key_negative"],
  ["[  ]", "key_size"], ["Ctrl Z", "key_undo"], ["Ctrl Shift Z", "key_redo"], ["1 2 3", "key_candidate"], ["+  −", "key_spread"],
  ["V", "key_invert"], ["A", "key_auto"], ["R", "key_repaint"], ["O / Tab", "key_original"], ["Space", "key_pan"], ["Esc", "key_fit"],
  ["Delete", "key_clear"], ["← ↑ → ↓", "key_cursor"], ["Enter / Alt Enter", "key_enter"],
];

export function listKeys(board) {
  board.$(".keys dl").replaceChildren(...LISTED.flatMap((row) => row.map((text, index) => {
    const cell = document.createElement(index ? "dd" : "dt");
    cell.textContent = index ? board.words.get(text) : text;
    return cell;
  })));
}

export function bindKeys(board) {
  const { marking, pointer, drawing, actions } = board;
  const pressed = {
    i: () => pointer.setTool("click"), b: () => pointer.setTool("brush"), e: () => pointer.setTool("eraser"), x: () => pointer.setTool("box"),
    n: actions.negative, a: actions.auto, v: actions.invert, "+": actions.grow, "=": actions.grow, "-": actions.shrink,
    "[": () => pointer.setBrush(pointer.brush - 6), "]": () => pointer.setBrush(pointer.brush + 6),
    1: () => marking.chooseCandidate(0), 2: () => marking.chooseCandidate(1), 3: () => marking.chooseCandidate(2),
    delete: actions.clear, backspace: actions.clear, escape: () => { pointer.cursor = null; pointer.cancel(); actions.fit(); },
    r: () => board.setView(board.shown === "repaint" ? "mask" : "repaint"),
    d: () => { if (!board.about.plain) board.paints.aim = "now"; pointer.setTool("dropper"); },
  };

  board.root.addEventListener("keydown", (event) => {
    if (!board.image || event.target.matches("input, select, textarea")) return;
    const { key } = event, letter = key.toLowerCase(), onPhoto = event.target === drawing.canvas, held = event.ctrlKey || event.metaKey;
    if (held && letter === "z") marking.undo(event.shiftKey ? 1 : -1);
    else if (held && letter === "y") marking.undo(1);
    else if (held) return;
    else if (letter === "o") board.showOriginal(true);
    else if (key === "Tab" && onPhoto && pointer.byMouse && pointer.over) board.showOriginal(true); // a keyboard's Tab still leaves
    else if (key === " " && onPhoto) pointer.setPanning(true);
    else if (key in ARROWS && onPhoto) pointer.moveCursor(ARROWS[key], event.shiftKey);
    else if (key === "Enter" && onPhoto) pointer.pressCursor(event.altKey);
    else if (pressed[letter] && !event.altKey) pressed[letter]();
    else return;
    event.preventDefault();
  });
  window.addEventListener("keyup", ({ key }) => {
    if (key === "o" || key === "O" || key === "Tab") board.showOriginal(false);
    if (key === " " && pointer.panning) pointer.setPanning(false);
  });
  window.addEventListener("blur", () => { board.showOriginal(false); pointer.panning = false; });
}
