// Masks and marks. A mask is a Uint8Array of the photo's pixels on the board, 1 = wall. A mark is what the model
// gave (for clicks, a box, and the mask before them), what was brushed on and what was taken off; it is never changed,
// another one follows it.

export const BLANK = { model: null, plus: null, minus: null, points: [], box: null, before: null };
const HISTORY = 40; // marks that can be undone

// Runs are the lengths of 0s and 1s in turn, row by row, 0s first.
export function fromRuns(runs, pixels) {
  const mask = new Uint8Array(pixels);
  let at = 0;
  runs.forEach((run, index) => { if (index % 2) mask.fill(1, at, at + run); at += run; });
  return mask;
}

export const count = (mask) => mask.reduce((sum, value) => sum + value, 0);

export function toRuns(mask) {
  const runs = [];
  let value = 0, start = 0;
  for (let at = 0; at <= mask.length; at++) {
    if (at === mask.length || mask[at] !== value) { runs.push(at - start); start = at; value ^= 1; }
  }
  return runs;
}

function compose({ model, plus, minus }, pixels) { // (model or plus) and not minus
  const mask = model ? model.slice() : new Uint8Array(pixels);
  if (plus) for (let at = 0; at < pixels; at++) mask[at] |= plus[at];
  if (minus) for (let at = 0; at < pixels; at++) if (minus[at]) mask[at] = 0;
  return mask;
}

// Grow or shrink by two pixels: a cross and a square in turn, which is nearly a disc.
export function spread(mask, [width, height], grow) {
  const value = grow ? 1 : 0;
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
  return mask;
}

export class Wall {
  // The second: a wall as the server describes it; nothing for a new one.
  constructor(pixels, { runs = null, now = "", chosen = false, paint } = {}) {
    Object.assign(this, { pixels, now: now || "", chosen, paint });
    this.history = [runs ? { ...BLANK, model: fromRuns(runs, pixels) } : BLANK]; // as it was opened: no step to undo
    this.at = 0;
    this.saved = this.mark; // the mark that the server has
    this.composed = {}; // of the mark at hand alone: a long history stays small
  }

  get mark() { return this.history[this.at]; }

  get mask() {
    if (this.composed.mark !== this.mark) this.composed = { mark: this.mark, mask: compose(this.mark, this.pixels) };
    return this.composed.mask;
  }

  get area() { return count(this.mask); }

  amend(mark) { this.history[this.at] = mark; } // the same step, done better

  follow(mark) {
    this.history = [...this.history.slice(Math.max(0, this.at + 2 - HISTORY), this.at + 1), mark];
    this.at = this.history.length - 1;
  }
}
