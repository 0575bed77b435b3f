// The board: its parts, its buttons, dropped files, and the photo that the server hands over as its value.
import { Drawing } from "./drawing.js";
import { bindKeys, listKeys } from "./keys.js";
import { Marking } from "./marking.js";
import { Paints } from "./paints.js";
import { Palettes } from "./palettes.js";
import { loadImage } from "./parts.js";
import { Pointer } from "./pointer.js";
import { Words } from "./words.js";

const MOST_PHOTOS = 200; // dropped at once
const MARKING = new Set(["predict", "refine", "propose", "load_given"]); // calls after which the marks are others

export function start({ element, props, server, watch, texts, about }) {
  const board = new Board(element, server, about, texts);
  watch("value", () => board.open(props.value));
  board.open(props.value);
}

class Board {
  constructor(element, server, about, texts) {
    Object.assign(this, { server, about, image: null, leftOut: "", cameWithout: "", shown: "mask", original: false, pending: new Set() });
    this.$ = (selector) => element.querySelector(selector);
    this.$$ = (selector) => element.querySelectorAll(selector);
    this.root = this.$(".board");
    this.words = new Words(texts, element);
    this.marking = new Marking(this);
    this.drawing = new Drawing(this);
    this.pointer = new Pointer(this);
    this.paints = new Paints(this);
    this.palettes = new Palettes(this);
    this.actions = this.makeActions();
    bindKeys(this);
    this.bindButtons();
    this.bindDrop();
    this.bindUploads();
    this.root.classList.toggle("plain", about.plain);
    if (about.plain) { // one looks and chooses a paint first, and mends what is marked after it
      this.$(".stage .empty").dataset.word = "empty_plain";
      this.root.append(this.$("[role=toolbar]"), this.$(".walls"));
    }
    this.attempt(() => this.palettes.list());
    this.root.settled = () => this.settled(); // what Save and Paint wait for, see component.py
    this.pointer.setTool("click");
    this.words.follow(() => { listKeys(this); this.palettes.show(); this.show(); this.again?.(); });
    this.root.inert = false; // until now a click would have been lost
  }

  get token() { return this.marking.photo.token; }
  draw() { this.drawing.request(); }

  say(key, values = {}, wrong = false) {
    this.tell(this.words.get(key, values), wrong);
    this.again = () => this.say(key, values, wrong);
  }

  sayReady(key, values = {}, wrong = false) { // files that did not come along are named until their photo is ready, and with it
    const without = this.leftOut + this.cameWithout;
    if (without) this.tell(without + this.words.get(key, values), true);
    else this.say(key, values, wrong);
    this.cameWithout = "";
  }

  unsay(key, then = "ready") { if (this.$(".status").textContent === this.words.get(key)) this.sayReady(then); }

  tell(text, wrong = false) {
    const status = this.$(".status");
    status.textContent = text;
    this.again = null; // what says it in another language
    status.classList.toggle("wrong", Boolean(wrong));
  }

  guarded(work) { // what goes wrong is told on the board
    return async (...given) => { try { return await work(...given); } catch (problem) { this.tell(problem.message, true); } };
  }

  attempt(work) { return this.guarded(work)(); }

  async call(name, asked = {}) {
    const answering = this.server[name]({ token: this.token, ...asked });
    if (MARKING.has(name)) this.pending.add(answering);
    const answer = await answering.finally(() => setTimeout(() => this.pending.delete(answering))); // once it is taken in
    if (!answer) throw new Error(this.words.get("no_answer"));
    if (answer.error) throw new Error(answer.error);
    return answer;
  }

  async settled() {
    while (this.pending.size) await new Promise((done) => setTimeout(done, 20));
    await this.marking.settled();
  }

  makeActions() {
    const { marking, pointer, drawing, paints } = this;
    return {
      negative: () => pointer.setNegative(!pointer.negative), undo: () => marking.undo(-1), redo: () => marking.undo(1),
      grow: () => marking.spread(true), shrink: () => marking.spread(false), invert: () => marking.invert(), clear: () => marking.erase(),
      auto: () => this.attempt(() => marking.propose()), given: () => this.attempt(() => marking.useGiven()),
      in: () => drawing.zoomTo(drawing.zoom.scale * 1.5), out: () => drawing.zoomTo(drawing.zoom.scale / 1.5), fit: () => drawing.zoomTo(drawing.zoom.fit),
      dropper: () => pointer.setTool(pointer.tool === "dropper" ? "click" : "dropper"), import: () => this.$("input[type=file]").click(),
      favourite: () => paints.star(), sheet: () => paints.toggleSheet(), white: () => this.attempt(() => paints.toggleWhite()),
    };
  }

  bindButtons() {
    this.root.addEventListener("click", (event) => {
      const { tool, view, candidate, do: action } = event.target.closest("button")?.dataset ?? {};
      if (tool) this.pointer.setTool(tool);
      if (view) this.setView(view);
      if (candidate) this.marking.chooseCandidate(Number(candidate));
      this.actions[action]?.();
    });
    for (const [name, on] of [["pointerdown", true], ["pointerup", false], ["pointerleave", false]]) {
      this.$("[data-do=original]").addEventListener(name, () => this.showOriginal(on));
    }
  }

  setView(view) {
    this.shown = view;
    for (const button of this.$$("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === view));
    if (view === "repaint") this.paints.repaintSoon();
    this.draw();
  }

  showOriginal(on) { if (this.original !== on) { this.original = on; this.draw(); } }

  show() {
    const { wall } = this.marking;
    this.root.dataset.state = this.image ? "open" : "empty";
    for (const part of this.$$(".bar button, .bar input")) part.disabled = !this.image;
    if (wall) {
      this.$("[data-do=undo]").disabled = !wall.at && !this.marking.photo.justRemoved;
      this.$("[data-do=redo]").disabled = wall.at >= wall.history.length - 1;
      for (const name of ["grow", "shrink", "invert"]) this.$(`[data-do=${name}]`).disabled = !wall.area;
      this.root.dataset.marked = wall.area;
    }
    this.showCandidates();
    this.paints.show();
    this.draw();
  }

  showCandidates() {
    const found = this.marking.candidates;
    this.$(".candidates").hidden = !(found?.masks.length > 1);
    if (found) this.$$("[data-candidate]").forEach((button, index) => {
      button.hidden = !found.masks[index];
      if (button.hidden) return;
      this.drawing.drawCandidate(button.querySelector("canvas"), found.masks[index]);
      const number = index + 1, score = Math.round(100 * found.scores[index]), reach = this.words.get(`reach_${found.reaches[index]}`);
      const [about, label] = found.scores[index] === null
        ? [reach, this.words.get(found.scores[0] === null ? "correction" : "candidate_reach", { number, reach })]
        : [`${score} %`, this.words.get("candidate", { number, score })];
      button.querySelector("span").textContent = `${number} · ${about}`;
      button.setAttribute("aria-label", label);
      button.setAttribute("aria-pressed", String(index === found.chosen));
    });
  }

  open(photo) { return this.attempt(() => this.openPhoto(photo)); }

  async openPhoto(photo) {
    if (photo && photo.token === this.token && !photo.again) return;
    if (photo) [this.cameWithout, this.leftOut] = [this.leftOut, ""]; // the photo before may not be ready yet
    this.image = photo ? await loadImage(photo.image) : null;
    if (photo) this.$(".stage").style.setProperty("--ratio", photo.size[0] / photo.size[1]);
    this.marking.open(photo);
    this.paints.repainted = this.pointer.cursor = null;
    this.$("[data-do=given]").hidden = !photo?.given;
    this.show();
    if (!photo) return;
    this.drawing.fit();
    this.pointer.setTool(this.pointer.tool);
    this.setView(this.about.plain && this.marking.marked ? "repaint" : "mask");
    const began = performance.now();
    delete this.root.dataset.ready;
    await (photo.find ? this.marking.propose() : this.look(photo));
    if (photo.token === this.token) this.root.dataset.ready = Math.round(performance.now() - began);
  }

  async look(photo) { // so that the first click need not wait
    this.say("looking");
    await this.call("embed");
    if (photo.token !== this.token) return;
    const ready = this.shown === "repaint" ? "ready_painted" : this.marking.marked ? "ready_marked" : "ready";
    this.sayReady(photo.inverted ? "looks_inverted" : ready, {}, photo.inverted);
  }

  bindDrop() {
    const stage = this.$(".stage"), mark = (event, on) => { event.preventDefault(); stage.classList.toggle("drop", on); };
    for (const name of ["dragover", "dragenter"]) stage.addEventListener(name, (event) => mark(event, true));
    stage.addEventListener("dragleave", (event) => mark(event, false));
    stage.addEventListener("drop", (event) => {
      mark(event, false);
      const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
      this.attempt(async () => this.takeFiles(await listFiles(entries)));
    });
    document.addEventListener("paste", (event) => { // on the tab that is open; words go to the field they are meant for
      const { files, types } = event.clipboardData;
      if (!files.length || !this.root.offsetParent || (types.includes("text/plain") && event.target.matches("input, textarea"))) return;
      event.preventDefault();
      this.attempt(() => this.takeFiles([...files]));
    });
  }

  takeFiles(files) { // the photos go to the upload button
    const input = document.querySelector(`input[type=file]:has(+ ${this.about.uploads[0]})`);
    const zip = this.about.plain ? null : files.find(({ name }) => /\.zip$/i.test(name)), taker = document.querySelector("#import input[type=file]");
    if (zip && taker) { // a whole dataset
      giveFiles(taker, [zip]);
      if (!(files = files.filter((file) => file !== zip)).length) return;
    }
    const good = this.sift(files).slice(0, input?.multiple ? MOST_PHOTOS : 1);
    if (good.length && input) giveFiles(input, good);
  }

  bindUploads() { // a file too large would end the upload of all that come with it
    const inputs = this.about.uploads.map((button) => `input[type=file]:has(+ ${button})`).join();
    document.addEventListener("change", (event) => {
      const input = event.target;
      if (!input.matches(inputs) || !input.files.length) return;
      const good = this.sift([...input.files]);
      if (good.length === input.files.length) return;
      event.stopImmediatePropagation();
      if (good.length) giveFiles(input, good); else input.value = "";
    }, true);
  }

  sift(files) { // give the photos that may go up, name the rest
    const { suffixes, limit } = this.about;
    const fits = ({ name, size }) => size <= limit && suffixes.some((suffix) => name.toLowerCase().endsWith(suffix));
    const good = files.filter(fits), other = files.filter((file) => !fits(file)), names = other.slice(0, 5).map(({ name }) => name).join(", ");
    if (other.length) this.tell(this.leftOut = `${this.words.get("left_out", { count: other.length, names })} `, true);
    if (!good.length) this.say("no_photos", { names, most: limit / 1e6 }, true), this.leftOut = "";
    return good;
  }
}

function giveFiles(input, files) {
  const bag = new DataTransfer();
  for (const file of files) bag.items.add(file);
  input.files = bag.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

async function listFiles(entries) { // folders are walked
  const found = [];
  for (const entry of entries) {
    if (entry.isFile) { found.push(await new Promise((done, fail) => entry.file(done, fail))); continue; }
    const reader = entry.createReader(), read = () => new Promise((done, fail) => reader.readEntries(done, fail));
    for (let part; (part = await read()).length;) found.push(...await listFiles(part));
  }
  return found;
}
