// The picture at hand: its walls, each with a history of marks. A mask is a Uint8Array of the view's pixels.
// A mark is what the model said, what was brushed on and what was taken off; it is never changed, only followed.
const $ = (selector) => element.querySelector(selector);
const $$ = (selector) => [...element.querySelectorAll(selector)];
const root = $(".board");
const HISTORY = 40, BLANK = { model: null, plus: null, minus: null, points: [], box: null };
const TINTS = [[255, 64, 129], [0, 188, 212], [255, 193, 7], [139, 195, 74], [156, 39, 176], [255, 112, 67], [63, 81, 181], [0, 150, 136]];
const state = {
  token: null, size: [0, 0], image: null, given: false, walls: [], active: 0, tool: "click", negative: false, brush: 28,
  view: "mask", repainted: null, candidates: null, wanted: null, turn: 0, cursor: null, aim: "paint", original: false,
};

const language = () => (document.documentElement.lang in WORDS ? document.documentElement.lang : "en");
const word = (key, values = {}) =>
  Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, value), WORDS[language()][key] ?? key);

function say(text, wrong = false) {
  const status = $(".status");
  status.textContent = text;
  status.classList.toggle("wrong", wrong);
}

const MARKING = new Set(["ask", "auto", "given", "keep"]);
let marking = 0; // calls on their way after which the marks are others
async function call(name, asked = {}) {
  marking += MARKING.has(name);
  try {
    const answer = await server[name]({ token: state.token, ...asked });
    if (!answer) throw new Error(word("no_answer"));
    if (answer.error) throw new Error(answer.error);
    return answer;
  } finally { marking -= MARKING.has(name); }
}
const settled = async () => { while (marking) await new Promise((done) => setTimeout(done, 20)); };

const guarded = (work) => async (...given) => {
  try { return await work(...given); } catch (problem) { say(problem.message, true); }
};

function newWall(said = {}) {
  const wall = { history: [BLANK], at: 0, now: said.now || "", chosen: Boolean(said.chosen), paint: said.paint || "#7A9E7E", dirty: false };
  if (said.runs) { wall.history.push({ ...BLANK, model: fromRuns(said.runs) }); wall.at = 1; }
  return wall;
}

const wall = () => state.walls[state.active];
const mark = (of = wall()) => of.history[of.at];
const pixels = () => state.size[0] * state.size[1];

function fromRuns(runs) {
  const mask = new Uint8Array(pixels());
  let at = 0;
  runs.forEach((run, index) => { if (index % 2) mask.fill(1, at, at + run); at += run; });
  return mask;
}

function toRuns(mask) {
  const runs = [];
  let value = 0, start = 0;
  for (let at = 0; at <= mask.length; at++) {
    if (at === mask.length || mask[at] !== value) { runs.push(at - start); start = at; value ^= 1; }
  }
  return runs;
}

const composed = new WeakMap();
function compose(of) { // (model or plus) and not minus
  if (!composed.has(of)) {
    const mask = of.model ? of.model.slice() : new Uint8Array(pixels());
    if (of.plus) for (let at = 0; at < mask.length; at++) mask[at] |= of.plus[at];
    if (of.minus) for (let at = 0; at < mask.length; at++) if (of.minus[at]) mask[at] = 0;
    composed.set(of, mask);
  }
  return composed.get(of);
}

const isMarked = (of) => compose(mark(of)).includes(1);

function follow(next, candidates = null) {
  const of = wall();
  of.history = [...of.history.slice(Math.max(0, of.at + 2 - HISTORY), of.at + 1), next];
  of.at = of.history.length - 1;
  settle(candidates);
}

function settle(candidates = null) { // after the wall's marks changed in whatever way
  wall().dirty = true;
  state.candidates = candidates;
  state.wanted = null;
  state.turn++;
  showAll();
  keepSoon();
}

function step(by) {
  const of = wall(), to = of.at + by;
  if (state.wanted) { state.wanted = null; state.turn++; if (by < 0) return draw(); }
  if (to < 0 || to >= of.history.length) return;
  of.at = to;
  settle();
}

async function ask(points, box) {
  const turn = ++state.turn, began = performance.now(), of = wall();
  state.wanted = { points, box };
  draw();
  const answer = await call("ask", { points, box });
  root.dataset.latency = Math.round(performance.now() - began);
  return turn === state.turn && of === wall() ? answer : null;
}

const addPoint = guarded(async (x, y, label) => {
  const now = state.wanted ?? mark(), point = [x, y, label];
  const loose = mark().model && !mark().points.length && !mark().box && !state.wanted;
  if (loose) return joinObject(point);
  const points = [...now.points, point];
  if (!label && !now.box && !now.points.some((other) => other[2])) return eraseObject(point);
  await askMarks(points, now.box);
});

async function askMarks(points, box) {
  const answer = await ask(points, box);
  if (!answer) return;
  const masks = answer.masks.map(fromRuns);
  follow({ ...mark(), model: masks[0], points, box }, { masks, scores: answer.scores, chosen: 0 });
  say(word("found", { score: Math.round(100 * answer.scores[0]), ms: root.dataset.latency }));
}

async function joinObject(point) { // a mask from elsewhere (found, own, grown) is added to or taken from
  const answer = await ask([[point[0], point[1], 1]], null);
  if (!answer) return;
  const mask = compose(mark()).slice(), other = fromRuns(answer.masks[0]);
  for (let at = 0; at < mask.length; at++) if (other[at]) mask[at] = point[2];
  follow({ ...BLANK, model: mask });
}

async function eraseObject(point) {
  if (!isMarked(wall())) return say(word("first_wall"), true);
  return joinObject(point);
}

const setBox = guarded((box) => askMarks([], box));

function chooseCandidate(index) {
  const found = state.candidates;
  if (!found || !found.masks[index] || index === found.chosen) return;
  follow({ ...mark(), model: found.masks[index] }, { ...found, chosen: index });
}

function clearMarks() { if (isMarked(wall()) || mark().points.length) follow(BLANK); }

function spread(grow) { // by two pixels, a cross and a square in turn, which is nearly a disc
  const [width, height] = state.size, value = grow ? 1 : 0;
  let mask = compose(mark());
  if (!mask.includes(1)) return;
  for (const square of [false, true]) {
    const next = mask.slice();
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      if (mask[y * width + x] !== value) continue;
      for (let dy = -1; dy <= 1; dy++) for (let dx = -1; dx <= 1; dx++) {
        const nx = x + dx, ny = y + dy;
        if ((square || !dx || !dy) && nx >= 0 && ny >= 0 && nx < width && ny < height) next[ny * width + nx] = value;
      }
    }
    mask = next;
  }
  follow({ ...BLANK, model: mask });
}

const findAuto = guarded(async () => {
  say(word("searching"));
  const answer = await call("auto");
  if (!answer.runs) return say(word("nothing_found"), true);
  follow({ ...BLANK, model: fromRuns(answer.runs) });
  say(word("auto_found", { confidence: Math.round(100 * answer.confidence) }));
});

const useGiven = guarded(async () => follow({ ...BLANK, model: fromRuns((await call("given")).runs) }));

let keeping = Promise.resolve(), waiting = null;
function keepSoon() { // one at a time; what changes meanwhile goes with the next
  if (!state.token || waiting === state.walls) return keeping;
  const sent = state.walls, token = state.token;
  waiting = sent;
  keeping = keeping.then(guarded(async () => {
    if (waiting === sent) waiting = null;
    const walls = sent.map((of) => ({
      runs: of.dirty ? toRuns(compose(mark(of))) : null, now: of.now, chosen: of.chosen, paint: of.paint,
    }));
    sent.forEach((of) => { of.dirty = false; });
    const answer = await call("keep", { token, walls, active: sent === state.walls ? state.active : 0 });
    sent.forEach((of, index) => { if (!of.chosen) of.now = answer.now[index] || ""; });
    if (sent !== state.walls) return;
    showPaints();
    if (state.view === "repaint") await fetchRepaint();
  }));
  return keeping;
}
