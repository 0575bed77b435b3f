// The palettes: one is chosen, searched, walked by the keyboard, or brought.

const MOST_BYTES = 2_000_000, MOST_SHOWN = 600; // of a palette
const MOST_NAMED = 60; // paints that a search may find to have their names beside them

export class Palettes {
  constructor(board) {
    Object.assign(this, { board, all: [] });
    const { $ } = board;
    $("select").onchange = () => { this.show(); board.paints.show(); };
    $("input[type=search]").oninput = () => this.show();
    $(".grid").onkeydown = (event) => this.walk(event);
    $("input[type=file]").onchange = ({ target }) => {
      const [file] = target.files;
      if (file) board.attempt(() => this.bring(file));
      target.value = "";
    };
  }

  async list() {
    this.all = (await this.board.call("list_palettes")).palettes;
    this.offer();
  }

  offer(chosen) {
    const select = this.board.$("select");
    select.replaceChildren(...this.all.map(({ id, name }) => new Option(name, id)));
    if (chosen) select.value = chosen;
    this.show();
    this.board.paints.show();
  }

  show() {
    const { $, words } = this.board, wish = $("input[type=search]").value.trim().toLowerCase();
    const palette = this.all.find(({ id }) => id === $("select").value) ?? this.all[0];
    if (!palette) return;
    const fits = palette.colors.filter(([name, hex]) => `${name} ${hex}`.toLowerCase().includes(wish)).slice(0, MOST_SHOWN);
    const chips = fits.map(([name, hex, lrv]) => this.board.paints.makeChip(hex, `${name} · ${hex} · LRV ${lrv}`));
    chips.forEach((chip, index) => { chip.tabIndex = index ? -1 : 0; });
    const named = Boolean(wish) && fits.length <= MOST_NAMED;
    $(".grid").classList.toggle("names", named);
    if (named) chips.forEach((chip, index) => { chip.append(Object.assign(document.createElement("span"), { textContent: fits[index][0] })); });
    $(".grid").replaceChildren(...chips);
    if (!fits.length) $(".grid").textContent = words.get("no_color");
    $(".source").hidden = !palette.source;
    $(".source p").textContent = palette.source;
  }

  walk(event) { // which is one stop for Tab: the arrows go on from there
    const chips = [...event.currentTarget.children], at = chips.indexOf(event.target);
    const across = chips.filter(({ offsetTop }) => offsetTop === chips[0].offsetTop).length;
    const next = chips[at + { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key]];
    if (!next) return;
    event.preventDefault();
    [chips[at].tabIndex, next.tabIndex] = [-1, 0];
    next.focus();
  }

  async bring(file) {
    const { board } = this;
    if (file.size > MOST_BYTES) throw new Error(board.words.get("palette_large"));
    const bytes = new Uint8Array(await file.arrayBuffer()), text = bytes.reduce((all, byte) => all + String.fromCharCode(byte), "");
    const { palette } = await board.call("import_palette", { name: file.name, data: btoa(text) });
    this.all = [...this.all.filter(({ id }) => id !== palette.id), palette];
    this.offer(palette.id);
    board.say("imported", { name: palette.name, count: palette.colors.length });
  }
}
