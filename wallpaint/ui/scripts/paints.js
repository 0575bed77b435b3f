// Paints: the one on the wall now, the one to try, the eyedropper and the live repaint.
import { TINTS } from "./drawing.js";
import { loadImage, makeButton } from "./parts.js";

const MOST_RECENT = 12, MOST_ON_SHEET = 12;
const LATER = 500; // ms: a list that grew at once would push away the button whose press has ended the typing
const HEX = /^#?([0-9a-f]{3}|[0-9a-f]{6})$/i;
const KINDS = ["now", "paint"];

function readHex(text) {
  const digits = HEX.exec(text.trim())?.[1];
  return digits ? "#" + (digits.length === 6 ? digits : digits.replace(/./g, "$&$&")).toUpperCase() : null;
}

// The reader's own lists of paints, the same on both boards: "recent" and "favourites", kept by the browser.
const lists = {
  read(name) { try { return JSON.parse(localStorage.getItem(`wallpaint-${name}`) ?? "[]").map(readHex).filter(Boolean); } catch { return []; } },
  write(name, paints) {
    try { localStorage.setItem(`wallpaint-${name}`, JSON.stringify(paints)); } catch { /* a browser that keeps nothing */ }
    document.dispatchEvent(new Event("paints"));
  },
};

export class Paints {
  constructor(board) {
    Object.assign(this, { board, aim: "paint", repainted: null, fetching: null, again: false });
    this.named = { now: "", paint: "" }; // what each line of names was asked for
    const { $ } = board;
    for (const which of KINDS) this.bindPaint(which, $(`[data-paint=${which}]`));
    document.addEventListener("paints", () => this.showMine());
  }

  bindPaint(which, box) {
    const [picker, text] = box.querySelectorAll("input"), { marking } = this.board;
    picker.oninput = () => this.set(which, picker.value.toUpperCase());
    picker.onchange = () => { marking.saveSoon(); this.remember(which); };
    text.onchange = () => this.remember(which);
    text.oninput = () => {
      const hex = readHex(text.value);
      text.setAttribute("aria-invalid", String(!hex));
      if (hex) { this.set(which, hex); marking.saveSoon(); }
    };
    for (const name of ["focusin", "click"]) box.addEventListener(name, () => { this.aim = which; this.showAim(); }, true);
  }

  showAim() { for (const which of KINDS) this.board.$(`[data-paint=${which}]`).classList.toggle("aim", this.aim === which); }

  set(which, hex) {
    const { wall } = this.board.marking;
    if (!wall) return;
    wall[which] = hex;
    if (which === "now") wall.chosen = true;
    this.show();
    if (which === "paint") this.board.setView("repaint");
  }

  remember(which) { // a paint that was chosen
    const hex = this.board.marking.wall?.[which];
    if (!hex || which !== "paint") return;
    const note = () => lists.write("recent", [hex, ...lists.read("recent").filter((other) => other !== hex)].slice(0, MOST_RECENT));
    setTimeout(note, LATER);
  }

  choose(which, hex) { // by a press, not on the way to another
    this.set(which, hex);
    this.board.marking.saveSoon();
    this.remember(which);
  }

  star() {
    const { paint } = this.board.marking.wall ?? {}, paints = lists.read("favourites");
    if (paint) lists.write("favourites", paints.includes(paint) ? paints.filter((other) => other !== paint) : [...paints, paint]);
  }

  toggleSheet() { // the paints that are painted side by side
    const { photo, wall } = this.board.marking, { sheet } = photo;
    if (!wall) return;
    if (sheet.includes(wall.paint)) photo.sheet = sheet.filter((other) => other !== wall.paint);
    else if (sheet.length < MOST_ON_SHEET) photo.sheet = [...sheet, wall.paint];
    else return this.board.say("sheet_full", { most: MOST_ON_SHEET }, true);
    this.board.marking.saveSoon();
    this.showMine();
  }

  showMine() {
    const { board } = this, { sheet } = board.marking.photo, groups = { sheet, known: board.marking.photo.known, favourites: lists.read("favourites"), recent: lists.read("recent") };
    for (const [name, paints] of Object.entries(groups)) {
      const box = board.$(`[data-group=${name}]`);
      box.hidden = !paints.length;
      box.replaceChildren(box.firstElementChild, ...paints.map((hex) => this.makeChip(hex, hex, "paint")));
    }
    const starred = groups.favourites.includes(board.marking.wall?.paint), button = board.$("[data-do=favourite]");
    button.setAttribute("aria-pressed", String(starred));
    button.textContent = starred ? "★" : "☆";
    board.$("[data-do=sheet]").setAttribute("aria-pressed", String(sheet.includes(board.marking.wall?.paint)));
  }

  makeChip(hex, title, which) {
    const button = makeButton({ title, onclick: () => this.choose(which ?? this.aim, hex) });
    button.style.background = hex;
    button.setAttribute("aria-label", title);
    return button;
  }

  show() {
    this.showWalls();
    this.showMine();
    for (const which of KINDS) {
      const box = this.board.$(`[data-paint=${which}]`), hex = this.board.marking.wall?.[which] ?? "", [picker, text] = box.querySelectorAll("input");
      const waits = hex ? "" : `now_${this.board.marking.wall?.area ? "sought" : "unmarked"}`;
      if (hex) picker.value = hex.toLowerCase();
      picker.classList.toggle("unknown", !hex);
      if (document.activeElement !== text) { text.value = hex; text.removeAttribute("aria-invalid"); }
      this.board.attempt(() => this.showName(which, hex, waits, box.querySelector(".named")));
    }
    this.showAim();
  }

  async showName(which, hex, waits, line) {
    const id = this.board.$("select").value, key = `${hex}${waits} ${id} ${document.documentElement.lang}`;
    if (this.named[which] === key) return;
    this.named[which] = key;
    line.textContent = waits && this.board.words.get(waits); // it spoke of another paint
    if (!hex) return;
    await new Promise((done) => setTimeout(done, 120)); // a picker that is dragged asks once
    if (this.named[which] !== key) return;
    const found = await this.board.call("name_color", { hex, id });
    if (this.named[which] !== key) return;
    const told = { hex, name: found.name, far: found.delta_e.toFixed(1), lrv: found.lrv };
    line.textContent = this.board.words.get(found.delta_e ? "nearest" : "named", told);
  }

  repaintSoon() { // one at a time, the last wish wins
    if (this.fetching) { this.again = true; return; }
    this.fetching = this.board.attempt(() => this.fetchRepaint()).finally(() => {
      this.fetching = null;
      if (this.again) { this.again = false; this.repaintSoon(); }
    });
  }

  async fetchRepaint() {
    const { board } = this, { token, marking } = board;
    if (!token || !marking.marked) { this.repainted = null; return board.draw(); }
    const paints = marking.walls.map((wall) => wall.paint), answer = await board.call("repaint", { paints });
    if (token !== board.token) return;
    this.repainted = answer.image ? await loadImage(answer.image) : null;
    board.root.dataset.painted = paints.join(" ");
    board.draw();
  }

  async pick({ x, y }) {
    const { board } = this, { hex, seen } = await board.call("pick_color", { x, y });
    this.choose(this.aim, hex);
    board.pointer.setTool("click");
    board.say("picked", { hex, seen });
  }

  async pickWhite({ x, y }) { // the light of the room, by something white in it
    const { board } = this, { hex, far } = await board.call("read_white", { x, y });
    board.marking.photo.white = true;
    board.pointer.setTool("click");
    board.marking.saveSoon();
    board.say(hex ? "white_read" : "white_kept", { hex, far });
  }

  async toggleWhite() { // a second press forgets it
    const { board } = this, { pointer, marking } = board;
    if (!marking.photo.white || pointer.tool === "white") {
      pointer.setTool(pointer.tool === "white" ? "click" : "white");
      return board.say(pointer.tool === "white" ? "white_where" : "ready");
    }
    await board.call("read_white");
    marking.photo.white = false;
    pointer.setTool("click");
    marking.saveSoon();
    board.say("white_forgotten");
  }

  showWalls() {
    const { marking, words, $ } = this.board, { walls, active } = marking;
    const buttons = walls.map((wall, index) => {
      const chip = Object.assign(document.createElement("span"), { className: "chip" });
      chip.style.background = `rgb(${TINTS[index % TINTS.length]})`;
      const button = makeButton({ onclick: () => marking.choose(index) }, chip, words.get("wall", { number: index + 1 }));
      button.setAttribute("aria-pressed", String(index === active));
      return button;
    });
    const offer = (name, onclick, disabled) => {
      const button = makeButton({ onclick, disabled }, words.get(name.replace("-", "_")));
      button.dataset.do = name;
      buttons.push(button);
    };
    if (walls.length) {
      offer("add-wall", () => marking.addWall(), walls.length >= TINTS.length);
      offer("remove-wall", () => marking.removeWall(), walls.length < 2);
      if (marking.photo.removed.length) offer("restore-wall", () => marking.restoreWall(), walls.length >= TINTS.length);
    }
    $(".walls").replaceChildren(...buttons);
  }
}
