// Wiring: buttons, words, dropped files, and the picture that the server hands over as the component's value.
const DO = {
  negative: () => setNegative(!state.negative), undo: () => step(-1), redo: () => step(1), grow: () => spread(true), shrink: () => spread(false),
  clear: clearMarks, auto: findAuto, given: useGiven, in: () => zoomTo(zoom.scale * 1.5), out: () => zoomTo(zoom.scale / 1.5),
  fit: () => zoomTo(zoom.fit), dropper: () => setTool(state.tool === "dropper" ? "click" : "dropper"), import: () => $("input[type=file]").click(),
};

function setView(view) {
  state.view = view;
  $$("[data-view]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.view === view)));
  if (view === "repaint") repaintSoon();
  draw();
}

function showAll() {
  root.dataset.state = state.image ? "open" : "empty";
  $$(".bar button, .bar input").forEach((part) => { part.disabled = !state.image; });
  $("[data-do=given]").hidden = !state.given;
  if (state.walls.length) {
    const of = wall(), marked = isMarked(of);
    $("[data-do=undo]").disabled = !of.at;
    $("[data-do=redo]").disabled = of.at >= of.history.length - 1;
    for (const name of ["grow", "shrink"]) $(`[data-do=${name}]`).disabled = !marked;
    root.dataset.marked = compose(mark(of)).reduce((sum, value) => sum + value, 0);
  }
  showCandidates();
  showPaints();
  draw();
}

function showWords() {
  $$("[data-word]").forEach((part) => { part.textContent = word(part.dataset.word); });
  $$("[data-tip]").forEach((part) => { part.title = word(part.dataset.tip); });
  $$("[data-label]").forEach((part) => { part.setAttribute("aria-label", word(part.dataset.label)); });
  $("input[type=search]").placeholder = word("find_color");
  const keys = KEYS.filter(([, what]) => !BOARD.plain || !["key_dropper", "key_repaint"].includes(what));
  $(".keys dl").replaceChildren(...keys.flatMap(([key, what]) => {
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = key;
    text.textContent = word(what);
    return [term, text];
  }));
  showPalette();
  showAll();
}

const openPicture = guarded(async (said) => {
  if (!said) { state.image = state.token = null; state.walls = []; return showAll(); }
  if (said.token === state.token) return;
  const image = await loadImage(said.image);
  Object.assign(state, { token: said.token, size: said.size, image, given: said.given, repainted: null, candidates: null, wanted: null, cursor: null });
  state.turn++;
  state.walls = said.walls.map(newWall);
  state.active = said.active;
  showAll();
  fit();
  setView("mask");
  say(word("looking"));
  const began = performance.now();
  await call("look");
  if (said.token === state.token) { say(word("ready")); root.dataset.ready = Math.round(performance.now() - began); }
});

async function droppedFiles(transfer) { // folders are walked; their photos come along
  const found = [], walk = async (entry) => {
    if (entry.isFile) found.push(await new Promise((done, fail) => entry.file(done, fail)));
    else {
      const reader = entry.createReader();
      for (let part; (part = await new Promise((done, fail) => reader.readEntries(done, fail))).length;) for (const inner of part) await walk(inner);
    }
  };
  for (const entry of [...transfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean)) await walk(entry);
  return found.filter((file) => /\.(jpe?g|png|webp|bmp|tiff?|gif)$/i.test(file.name)).slice(0, 200);
}

const drop = guarded(async (event) => {
  event.preventDefault();
  stage.classList.remove("drop");
  const files = await droppedFiles(event.dataTransfer), input = document.querySelector(`input[type=file]:has(+ ${BOARD.drop})`);
  if (!files.length || !input) return say(word("no_photos"), true);
  const bag = new DataTransfer();
  files.slice(0, input.multiple ? files.length : 1).forEach((file) => bag.items.add(file));
  input.files = bag.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
});

root.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.tool) setTool(button.dataset.tool);
  if (button.dataset.view) setView(button.dataset.view);
  if (button.dataset.candidate) chooseCandidate(Number(button.dataset.candidate));
  if (DO[button.dataset.do]) DO[button.dataset.do]();
});
for (const [name, on] of [["pointerdown", true], ["pointerup", false], ["pointerleave", false]]) $("[data-do=original]").addEventListener(name, () => showOriginal(on));
for (const name of ["dragover", "dragenter"]) stage.addEventListener(name, (event) => { event.preventDefault(); stage.classList.add("drop"); });
stage.addEventListener("dragleave", () => stage.classList.remove("drop"));
stage.addEventListener("drop", drop);
$(".brush").oninput = (event) => setBrush(Number(event.target.value));
new ResizeObserver(() => fit()).observe(stage);
new MutationObserver(showWords).observe(document.documentElement, { attributes: true, attributeFilter: ["lang"] });
watch("value", () => openPicture(props.value));
// What waits for a click on Save or Paint: whatever the page knows has reached the server by then.
window.wallpaintKept = { ...window.wallpaintKept, [BOARD.name]: settled };
root.classList.toggle("plain", BOARD.plain);
if (BOARD.plain) $(".stage .empty").dataset.word = "empty_plain";

setTool("click");
showWords();
if (!BOARD.plain) guarded(async () => { shelf = (await call("palettes")).palettes; listPalettes(); })();
openPicture(props.value);
