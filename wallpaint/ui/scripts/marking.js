// The walls of the photo at hand: marked by what the model answers, saved on the server as they change.
import { BLANK, Wall, count, fromRuns, spread, toRuns } from "./marks.js";

const touch = () => (matchMedia("(hover: none)").matches ? "_touch" : ""); // fingers have one button

export class Marking {
  constructor(board) {
    this.board = board;
    this.saving = Promise.resolve();
    this.open(null);
  }

  open(photo) { // as the server describes it; null: none
    const size = photo?.size ?? [0, 0], pixels = size[0] * size[1];
    const walls = (photo?.walls ?? []).map((told) => new Wall(pixels, told));
    // `wanted` counts what changed, `saved` up to where the server has it, `waiting` tells of a save to come.
    this.photo = { token: photo?.token ?? null, known: photo?.known ?? [], white: photo?.white ?? false, sheet: photo?.sheet ?? [], walls, active: photo?.active ?? 0, removed: [], wanted: 0, saved: 0, waiting: false };
    Object.assign(this, { size, pixels, candidates: null, asked: null });
    this.turn = (this.turn ?? 0) + 1; // an answer to an older turn comes too late
  }

  get walls() { return this.photo.walls; }
  get active() { return this.photo.active; }
  get wall() { return this.walls[this.active]; }
  get marked() { return this.walls.some((wall) => wall.area); }

  choose(index) {
    Object.assign(this.photo, { active: index, justRemoved: false });
    Object.assign(this, { candidates: null, asked: null });
    this.turn++;
    this.board.show();
    this.saveSoon();
  }

  addWall() {
    this.walls.push(new Wall(this.pixels, { paint: this.wall.paint }));
    this.choose(this.walls.length - 1);
  }

  removeWall() {
    this.photo.removed.push({ wall: this.wall, index: this.active });
    this.setWalls(this.walls.filter((wall) => wall !== this.wall), Math.max(0, this.active - 1));
    this.photo.justRemoved = true;
    this.board.show();
  }

  restoreWall() {
    const { wall, index } = this.photo.removed.pop();
    this.setWalls(this.walls.toSpliced(index, 0, wall), index);
  }

  setWalls(walls, active) { // numbers change, so the server needs all of them anew
    this.photo.walls = walls;
    walls.forEach((wall) => { wall.saved = null; });
    this.choose(active);
  }

  follow(mark, candidates = null) {
    this.wall.follow(mark);
    this.settle(candidates);
  }

  settle(candidates = null) { // after the wall's mark changed in whatever way
    this.choose(this.active);
    if (this.marked) for (const stale of ["ready", "looks_inverted"]) this.board.unsay(stale, "ready_marked");
    else this.board.say("ready"); // and nothing of what was marked
    this.candidates = candidates;
    this.board.showCandidates();
  }

  undo(by) {
    if (by < 0 && this.photo.justRemoved) return this.restoreWall();
    const to = this.wall.at + by;
    if (this.asked) { this.asked = null; this.turn++; if (by < 0) return this.board.draw(); }
    if (to < 0 || to >= this.wall.history.length) return;
    this.wall.at = to;
    this.settle();
    if (this.marked) this.board.say("ready_marked"); // how sure the mark was that has gone says nothing
  }

  async predict(points, box, before) {
    const turn = ++this.turn, began = performance.now(), { wall } = this;
    this.asked = { points, box, before };
    this.board.draw();
    const answer = await this.board.call("predict", { points, box, before: before && toRuns(before) });
    this.board.root.dataset.latency = Math.round(performance.now() - began);
    return turn === this.turn && wall === this.wall ? answer : null;
  }

  // A mask of the model's for the wall at hand, which leaves to other walls what is theirs, unless a click is on them.
  read(runs, points = []) {
    const mask = fromRuns(runs, this.pixels), [width] = this.size;
    const spots = points.filter((point) => point[2]).map(([x, y]) => Math.floor(y) * width + Math.floor(x));
    for (const other of this.walls) {
      if (other === this.wall || spots.some((at) => other.mask[at])) continue;
      for (let at = 0; at < mask.length; at++) if (other.mask[at]) mask[at] = 0;
    }
    return mask;
  }

  async addPoint(x, y, label) {
    const { mark, area, mask } = this.wall, point = [x, y, label];
    let { points, box, before } = this.asked ?? mark;
    if (!points.length && !box && area) before = mask; // from elsewhere: found, given, brushed, grown
    if (!label && !before && !box && !points.some((other) => other[2])) return this.board.say("first_wall", {}, true);
    await this.markObject([...points, point], box, before);
  }

  async markObject(points, box, before = null) {
    const answer = await this.predict(points, box, before);
    if (!answer) return;
    const masks = answer.masks.map((runs) => this.read(runs, points)), areas = masks.map(count);
    // What is said of those without a score: a correction's are so far, less and more; else each beside the first.
    const reaches = areas.map((area, index) => (answer.scores[0] === null ? index + 1 : area < 0.95 * areas[0] ? 2 : area > 1.05 * areas[0] ? 3 : "other"));
    const mark = before === this.wall.mark.before ? this.wall.mark : BLANK; // what was brushed is in the mask before
    this.follow({ ...mark, model: masks[0], points, box, before }, { masks, scores: answer.scores, reaches, chosen: 0 });
    this.board.say(before ? "corrected" : `found${touch()}`, { score: Math.round(100 * answer.scores[0]) });
    await this.refine();
  }

  async refine() { // what a click has shown is moved to the photo's edges, unless something else came meanwhile
    const { turn, wall, candidates: found } = this, { mark } = wall;
    if (!found || found.fine?.has(found.chosen)) return;
    const { points, before } = mark;
    const answer = await this.board.call("refine", { runs: toRuns(mark.model), points, before: before && toRuns(before) });
    if (turn !== this.turn || mark !== wall.mark) return;
    const masks = found.masks.slice();
    masks[found.chosen] = this.read(answer.runs, points);
    wall.amend({ ...mark, model: masks[found.chosen] });
    this.settle({ ...found, masks, fine: new Set([...(found.fine ?? []), found.chosen]) });
  }

  async chooseCandidate(index) {
    const found = this.candidates;
    if (!found?.masks[index] || index === found.chosen) return;
    this.follow({ ...this.wall.mark, model: found.masks[index] }, { ...found, chosen: index });
    await this.refine();
  }

  replace(mask) { this.follow({ ...BLANK, model: mask }); }
  erase() { if (this.wall.area || this.wall.mark.points.length) this.follow(BLANK); }
  spread(grow) { if (this.wall.area) this.replace(spread(this.wall.mask, this.size, grow)); }
  invert() { if (this.wall.area) this.replace(this.wall.mask.map((value) => value ^ 1)); }

  async propose() { // what is found is not laid over what a person has marked meanwhile
    const { board, photo, turn } = this;
    board.say("searching");
    const answer = await board.call("propose");
    if (photo !== this.photo) return;
    if (turn !== this.turn || board.pointer.marking) return board.unsay("searching");
    if (!answer.runs) return board.sayReady("nothing_found", {}, true);
    this.replace(this.read(answer.runs));
    board.sayReady(`auto_${answer.sure ? "found" : "unsure"}${touch()}`, { confidence: Math.round(100 * answer.confidence) });
  }

  async useGiven() { this.replace(fromRuns((await this.board.call("load_given")).runs, this.pixels)); }

  saveSoon() { // one at a time; what changes meanwhile goes with the next
    const { photo } = this;
    photo.wanted++;
    if (!photo.token || photo.waiting) return;
    photo.waiting = true;
    this.saving = this.saving.then(this.board.guarded(() => this.save(photo)));
  }

  async save(photo) {
    photo.waiting = false;
    const { wanted, active } = photo, walls = [...photo.walls], marks = walls.map((wall) => wall.mark);
    const sent = walls.map(({ mark, saved, mask, now, chosen, paint }) => ({
      runs: mark === saved ? null : toRuns(mask), now, chosen, paint,
    }));
    const { sheet } = photo, palette = this.board.$("select").value;
    const answer = await this.board.call("save_walls", { token: photo.token, walls: sent, active, sheet, palette });
    // Only now is it there. Where a wall was taken out meanwhile, the next save sends all of them.
    photo.saved = wanted;
    if (walls.every((wall, index) => wall === photo.walls[index])) walls.forEach((wall, index) => { wall.saved = marks[index]; });
    walls.forEach((wall, index) => { if (!wall.chosen) wall.now = answer.now[index] || ""; });
    if (photo !== this.photo) return;
    if (answer.inverted) this.board.say("looks_inverted", {}, true);
    this.board.paints.show();
    if (this.board.shown === "repaint") this.board.paints.repaintSoon();
  }

  // Wait until the server has all of it; a save that failed is tried once more.
  async settled() {
    await this.saving;
    if (this.photo.token && this.photo.saved !== this.photo.wanted) await this.save(this.photo);
  }
}
