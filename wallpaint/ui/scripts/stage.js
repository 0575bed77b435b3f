// The stage of tab Compare: one arm's picture large, or two; the strip below says which. The server writes the page's
// part anew when results come or the language changes (compare/results.html); what one looks at stays.
import { Lens } from "./lens.js";
import { printPictures, savePicture } from "./takeaway.js";
import { loadImage } from "./parts.js";

const PAN = 60; // CSS pixels that an arrow key moves

export function start({ element, trigger, watch }) {
  const stage = new Stage(element, trigger);
  watch("value", () => stage.open());
  stage.open();
}

class Stage {
  constructor(element, trigger) {
    Object.assign(this, { element, trigger, folder: null, lens: null, pictures: new Map(), loading: new Map() });
    element.addEventListener("click", (event) => this.click(event));
    element.addEventListener("keydown", (event) => this.key(event));
    element.addEventListener("pointerdown", (event) => { if (event.target.closest("[data-do=original]")) this.showOriginal(true); });
    for (const name of ["pointerup", "pointercancel", "blur"]) window.addEventListener(name, () => this.showOriginal(false));
    window.addEventListener("keyup", ({ key }) => { if ("oO ".includes(key)) this.showOriginal(false); });
  }

  $(selector) { return this.element.querySelector(selector); }
  get views() { return [...this.element.querySelectorAll("button[data-view]")]; }
  get root() { return this.$(".stage"); }

  open() {
    const { root } = this;
    const split = this.lens?.at ?? 0;
    this.lens?.end();
    this.lens = null;
    if (!root) { this.folder = null; return; }
    const { folder, width, height, first } = root.dataset, fresh = folder !== this.folder;
    if (fresh) {
      for (const picture of this.pictures.values()) picture.close();
      this.pictures.clear();
      this.loading.clear();
      Object.assign(this, { folder, shown: [first], active: 0, original: false, heat: false });
    }
    this.lens = new Lens(this.$(".lens"), {
      size: [Number(width), Number(height)], panes: () => this.panes(), step: (by) => this.step(by), choose: (pane) => this.activate(pane),
      drawn: () => this.layTags(),
    });
    this.lens.at = fresh ? 0 : split;
    this.lens.fit();
    this.show();
    if (fresh) this.reveal();
    this.preload();
  }

  reveal() { // what was asked for comes into sight, unless one has gone elsewhere meanwhile
    if (!this.element.offsetParent || !document.activeElement?.matches("body, #paint, #paint-sheet")) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.lens.canvas.focus({ preventScroll: true });
    this.$(".results").scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
  }

  button(view) { return this.views.find((button) => button.dataset.view === view); }
  address(view, end) { return this.button(view).querySelector("img").src.replace(/\.jpg$/, end); }

  // Give a picture that is there, else undefined, and have it fetched.
  picture(name, source) {
    if (!this.pictures.has(name) && !this.loading.has(name)) this.loading.set(name, this.load(name, source));
    return this.pictures.get(name);
  }

  async load(name, source) {
    const { folder } = this;
    try {
      const image = typeof source === "string" ? await loadImage(source) : source;
      await image.decode();
      const picture = await createImageBitmap(image);
      if (folder !== this.folder) return picture.close();
      this.pictures.set(name, picture);
      this.lens?.request();
    } catch { this.tell(this.root?.dataset.gone ?? ""); }
  }

  small(view) { // none where the results have gone and a frame is still to be drawn
    const image = this.button(view)?.querySelector("img");
    return image && this.picture(view, image);
  }

  sharp(view) { // the photo's own pixels, once one looks so close; the small copy until they are here
    const small = this.small(view), { scale, fit } = this.lens.zoom;
    if (!small || scale < 1.5 * Math.max(fit, Math.min(1, small.width / this.lens.size[0]))) return small;
    return this.picture(`${view}.png`, this.address(view, ".png")) ?? small;
  }

  async preload() { // the arms of the paint at hand, so that a switch only draws
    const { root, folder } = this, { paint } = this.button(this.shown[this.active]).dataset;
    for (const button of this.views) if (!button.dataset.paint || button.dataset.paint === paint) this.small(button.dataset.view);
    await Promise.all(this.loading.values());
    if (folder === this.folder) root.dataset.ready = this.pictures.size;
  }

  panes() {
    const photo = this.sharp("photo");
    if (this.original) return this.shown.map(() => ({ after: photo }));
    const alone = this.shown.length === 1;
    return this.shown.map((view) => {
      const over = this.heat && this.button(view)?.hasAttribute("data-heat") && this.picture(`${view}-heat`, this.address(view, "-heat.png"));
      return { after: this.sharp(view), over, before: alone && view !== "photo" && photo };
    });
  }

  choose(view) {
    const began = performance.now(), { root } = this;
    this.shown[this.active] = view;
    this.show();
    this.lens.request(() => { root.dataset.switched = Math.round(performance.now() - began); });
    this.preload();
  }

  activate(pane) { if (pane !== this.active && pane < this.shown.length) { this.active = pane; this.show(); } }

  step(by) {
    const { paint } = this.button(this.shown[this.active]).dataset, all = this.views.filter((b) => !b.dataset.paint || !paint || b.dataset.paint === paint);
    const at = all.findIndex((button) => button.dataset.view === this.shown[this.active]);
    this.choose(all[(at + by + all.length) % all.length].dataset.view);
  }

  show() {
    const { root, lens } = this, pair = this.shown.length > 1;
    root.classList.toggle("pair", pair);
    for (const button of this.views) {
      const pane = this.shown.indexOf(button.dataset.view);
      button.setAttribute("aria-pressed", String(pane >= 0));
      button.classList.toggle("active", pane === this.active);
    }
    this.$("[data-do=pair]").setAttribute("aria-pressed", String(pair));
    this.$("[data-do=heat]")?.setAttribute("aria-pressed", String(this.heat));
    this.$(".legend")?.toggleAttribute("hidden", !this.heat);
    this.element.querySelectorAll(".tag").forEach((tag, pane) => {
      const button = this.button(this.shown[pane]);
      tag.hidden = !button;
      tag.textContent = this.original ? this.button("photo").dataset.title : button?.dataset.title ?? "";
      tag.classList.toggle("active", pair && pane === this.active);
    });
    const now = this.button(this.shown[this.active]), alt = this.original ? this.button("photo").dataset.alt : now.dataset.alt;
    if (now.parentElement.matches(".strip")) now.parentElement.scrollLeft = now.offsetLeft - now.parentElement.offsetLeft - now.offsetWidth;
    lens.canvas.setAttribute("aria-label", `${alt}. ${root.dataset.keys}`);
    lens.range.setAttribute("aria-label", root.dataset.slider.replace("{name}", now.dataset.title));
    lens.range.value = Math.round(100 * lens.at);
    this.tell(alt);
    root.dataset.shown = this.original ? "photo" : this.shown.join(" ");
    lens.request();
  }

  layTags() { // where each pane begins
    const { lens } = this, pane = lens.layout();
    this.element.querySelectorAll(".tag").forEach((tag, index) => {
      Object.assign(tag.style, { left: `${(index * pane.dx) / lens.ratio + 8}px`, top: `${(index * pane.dy) / lens.ratio + 8}px` });
    });
  }

  tell(text) { const status = this.$(".status"); if (status && status.textContent !== text) status.textContent = text; }
  showOriginal(on) { if (this.lens && this.original !== on) { this.original = on; this.show(); } }

  setPair() {
    const [first] = this.shown.splice(this.active, 1), other = this.button("truth") && first !== "truth" ? "truth" : "photo";
    if (this.shown.length) Object.assign(this, { shown: [first], active: 0 });
    else Object.assign(this, { shown: [first, other], active: 1 });
    this.show();
    this.lens.fit();
  }

  setHeat() {
    this.heat = !this.heat;
    this.show();
    if (this.heat && !this.$("[data-heat]")) this.trigger("input"); // the server draws them, then this opens anew
  }

  zoom(to) { this.lens.zoomTo(to); }

  // What is taken along of a view: its address, and the paint of each wall with its lines.
  about({ dataset: { view, wears, title } }, end) {
    const paints = JSON.parse(wears ?? "[]").map(([hex, name, text]) => ({ hex, name, text }));
    if (paints.length && !this.root.hasAttribute("data-sheet")) paints[0].text = `${title} · ${paints[0].text}`;
    return { source: this.address(view, end), paints: paints.length ? paints : [{ name: title, text: "" }] };
  }

  async takeAlong(work) {
    try { await work(); } catch { this.tell(this.root.dataset.gone); }
  }

  get taken() { // the views that are ticked; without a sheet the one at hand
    const ticked = [...this.element.querySelectorAll("[data-take]:checked")].map((box) => this.button(box.dataset.take));
    return ticked.length ? ticked : this.shown.map((view) => this.button(view));
  }

  actions = {
    pair: () => this.setPair(), heat: () => this.setHeat(), fit: () => this.zoom(this.lens.zoom.fit), pixels: () => this.zoom(this.lens.ratio),
    save: () => this.takeAlong(() => savePicture(this.about(this.button(this.shown[this.active]), ".png"))),
    print: () => this.takeAlong(() => printPictures(this.taken.map((button) => this.about(button, ".jpg")))),
    in: () => this.zoom(this.lens.zoom.scale * 1.5), out: () => this.zoom(this.lens.zoom.scale / 1.5),
  };

  click(event) {
    const { view, do: action } = event.target.closest("button")?.dataset ?? {};
    if (view) this.choose(view);
    this.actions[action]?.();
  }

  key(event) {
    const { lens, actions } = this, { target, key } = event;
    if (!lens || event.ctrlKey || event.metaKey || event.altKey || target.matches("input:not([type=range]), select, textarea")) return;
    const { paint } = this.button(this.shown[this.active]).dataset;
    const numbered = this.views.find((b) => b.dataset.key === key && (!b.dataset.paint || !paint || b.dataset.paint === paint));
    const arrow = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key], { zoom, ratio } = lens;
    if (numbered) this.choose(numbered.dataset.view);
    else if (key === "o" || key === "O" || (key === " " && target.matches("[data-do=original]"))) this.showOriginal(true);
    else if (arrow && target === lens.canvas && !lens.fitted) lens.panTo(zoom.x + arrow[0] * PAN * ratio, zoom.y + arrow[1] * PAN * ratio);
    else if (arrow?.[0] && target === lens.canvas) this.step(-arrow[0]);
    else if (key === "Tab" || key === "Enter" || key === " ") return;
    else {
      const does = { "+": "in", "=": "in", "-": "out", escape: "fit", 0: "fit", z: "pixels", p: "pair", m: "heat" }[key.toLowerCase()];
      if (!does || (does === "heat" && !this.$("[data-do=heat]"))) return;
      actions[does]();
    }
    event.preventDefault();
  }
}
