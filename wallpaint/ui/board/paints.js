// Paints: the one on the wall now, the one to try, palettes, the eyedropper and the live repaint.
const HEX = /^#?([0-9a-f]{3}|[0-9a-f]{6})$/i;
let shelf = []; // palettes

function readHex(text) {
  const found = HEX.exec(text.trim());
  if (!found) return null;
  const digits = found[1].length === 6 ? found[1] : [...found[1]].map((digit) => digit + digit).join("");
  return "#" + digits.toUpperCase();
}

function setPaint(which, hex) {
  if (!state.walls.length) return;
  wall()[which] = hex;
  if (which === "now") wall().chosen = true;
  showPaints();
  if (which === "paint") { setView("repaint"); repaintSoon(); }
}

function showPaints() {
  if (BOARD.plain) return showWalls();
  for (const which of ["now", "paint"]) {
    const box = $(`[data-paint=${which}]`), hex = state.walls.length ? wall()[which] : "", [picker, text] = box.querySelectorAll("input");
    if (hex) picker.value = hex.toLowerCase();
    if (document.activeElement !== text) { text.value = hex; text.removeAttribute("aria-invalid"); }
    box.classList.toggle("aim", state.aim === which);
    nameSoon(which, hex, box.querySelector(".named"));
  }
  showWalls();
}

const asked = { now: "", paint: "" };
const nameSoon = guarded(async (which, hex, line) => {
  const key = `${hex} ${$("select").value} ${language()}`;
  if (asked[which] === key) return;
  asked[which] = key;
  if (!hex) { line.textContent = ""; return; }
  await new Promise((done) => setTimeout(done, 120)); // a picker that is dragged asks once
  if (asked[which] !== key) return;
  const found = await call("nearest", { hex, id: $("select").value });
  if (asked[which] === key) line.textContent = word("nearest", { name: found.name, far: found.delta_e.toFixed(1) });
});

let fetching = null, again = false;
function repaintSoon() { // one at a time, the last wish wins
  if (fetching) { again = true; return fetching; }
  fetching = fetchRepaint().finally(() => {
    fetching = null;
    if (again) { again = false; repaintSoon(); }
  });
  return fetching;
}

const fetchRepaint = guarded(async () => {
  if (!state.token || !state.walls.some(isMarked)) { state.repainted = null; return draw(); }
  const token = state.token, answer = await call("repaint", { paints: state.walls.map((of) => of.paint) });
  if (token !== state.token) return;
  state.repainted = answer.image ? await loadImage(answer.image) : null;
  draw();
});

function loadImage(source) {
  return new Promise((done, fail) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = () => fail(new Error(word("no_answer")));
    image.src = source;
  });
}

const pickPaint = guarded(async ({ x, y }) => {
  const found = await call("pick", { x, y });
  setPaint("now", found.hex);
  keepSoon();
  setTool("click");
  say(word("picked", { hex: found.hex, seen: found.seen }));
});

function showWalls() {
  const list = $(".walls");
  list.replaceChildren(...state.walls.map((of, index) => {
    const tab = document.createElement("button"), chip = document.createElement("span");
    tab.type = "button";
    tab.setAttribute("aria-pressed", String(index === state.active));
    chip.className = "chip";
    chip.style.background = `rgb(${TINTS[index % TINTS.length]})`;
    tab.append(chip, word("wall", { number: index + 1 }));
    tab.onclick = () => { state.active = index; state.candidates = state.wanted = null; state.turn++; showAll(); keepSoon(); };
    return tab;
  }));
  list.hidden = BOARD.plain && state.walls.length < 2;
  if (!state.walls.length || BOARD.plain) return;
  const more = document.createElement("button"), less = document.createElement("button");
  more.type = less.type = "button";
  more.dataset.do = "add-wall";
  less.dataset.do = "remove-wall";
  more.textContent = word("add_wall");
  less.textContent = word("remove_wall");
  more.disabled = state.walls.length >= TINTS.length;
  less.disabled = state.walls.length < 2;
  more.onclick = () => { state.walls.push(newWall({ paint: wall().paint })); state.active = state.walls.length - 1; settle(); };
  less.onclick = () => {
    state.walls.splice(state.active, 1);
    state.active = Math.max(0, state.active - 1);
    state.walls.forEach((of) => { of.dirty = true; });
    settle();
  };
  list.append(more, less);
}

function showPalette() {
  const chosen = shelf.find((palette) => palette.id === $("select").value) ?? shelf[0], wish = $("input[type=search]").value.trim().toLowerCase();
  if (!chosen) return;
  const fits = chosen.colors.filter(([name, hex]) => !wish || `${name} ${hex}`.toLowerCase().includes(wish)).slice(0, 600);
  $(".grid").replaceChildren(...fits.map(([name, hex]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.style.background = hex;
    button.title = `${name} ${hex}`;
    button.setAttribute("aria-label", `${name} ${hex}`);
    button.onclick = () => { setPaint(state.aim, hex); keepSoon(); };
    return button;
  }));
  $(".source").textContent = [fits.length ? "" : word("no_color"), chosen.source && word("source", { source: chosen.source })].join(" ");
}

function listPalettes(keep) {
  $("select").replaceChildren(...shelf.map(({ id, name }) => new Option(name, id)));
  if (keep) $("select").value = keep;
  showPalette();
  showPaints();
}

const importPalette = guarded(async (file) => {
  if (!file) return;
  if (file.size > 2_000_000) throw new Error(word("palette_large"));
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  bytes.forEach((byte) => { text += String.fromCharCode(byte); });
  const { palette } = await call("import_palette", { name: file.name, data: btoa(text) });
  shelf = [...shelf.filter(({ id }) => id !== palette.id), palette];
  listPalettes(palette.id);
  say(word("imported", { name: palette.name, count: palette.colors.length }));
});

for (const box of $$("[data-paint]")) {
  const which = box.dataset.paint, [picker, text] = box.querySelectorAll("input");
  picker.oninput = () => setPaint(which, picker.value.toUpperCase());
  picker.onchange = () => keepSoon();
  text.oninput = () => {
    const hex = readHex(text.value);
    text.setAttribute("aria-invalid", String(!hex));
    if (hex) { setPaint(which, hex); keepSoon(); }
  };
  box.addEventListener("focusin", () => { state.aim = which; $$("[data-paint]").forEach((other) => other.classList.toggle("aim", other === box)); });
}
$("select").onchange = () => { showPalette(); showPaints(); };
$("input[type=search]").oninput = showPalette;
$("input[type=file]").onchange = (event) => { importPalette(event.target.files[0]); event.target.value = ""; };
