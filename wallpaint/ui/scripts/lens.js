// The lens: pictures of one size on a canvas, alone with a before/after split or two side by side, under one zoom and pan.
import { Zooming } from "./zooming.js";

const MOST = 16; // screen pixels a photo's pixel, at most
const NEAR = 3; // above so many a photo's pixels are shown as squares
const HANDLE = 22; // CSS pixels, half of the split's handle
const DRAG = 4, SWIPE = 40; // CSS pixels that a press moves to be one

export class Lens {
  // `panes()` gives what to draw: [{before, after, over}], each a picture or nothing; `drawn` follows each frame.
  constructor(root, { size, panes, step, choose, drawn }) {
    Object.assign(this, { size, panes, step, choose, drawn, at: 0, waiting: false, after: [], press: null, zooming: new Zooming(this) });
    this.canvas = root.querySelector("canvas");
    this.handle = root.querySelector(".handle");
    this.range = root.querySelector("input[type=range]");
    this.pen = this.canvas.getContext("2d");
    this.zoom = { scale: 0, fit: 0, x: 0, y: 0 };
    this.ending = new AbortController();
    const { signal } = this.ending, listen = (part, name, work, options) => part.addEventListener(name, work, { signal, ...options });
    listen(this.canvas, "pointerdown", (event) => this.down(event));
    listen(this.canvas, "pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) listen(this.canvas, name, (event) => this.up(event));
    listen(this.canvas, "wheel", (event) => this.zooming.wheel(event), { passive: false });
    listen(this.canvas, "dblclick", (event) => this.zoomTo(this.fitted ? this.ratio : this.zoom.fit, this.place(event)));
    listen(this.handle, "pointerdown", (event) => { this.handle.setPointerCapture(event.pointerId); event.preventDefault(); this.range.focus({ preventScroll: true }); });
    listen(this.handle, "pointermove", (event) => { if (this.handle.hasPointerCapture(event.pointerId)) this.splitAt(event); });
    listen(this.range, "input", () => this.split(this.range.value / 100));
    this.watching = new ResizeObserver(() => this.fit());
    this.watching.observe(root);
  }

  end() { this.ending.abort(); this.watching.disconnect(); }
  get ratio() { return window.devicePixelRatio || 1; }
  get fitted() { return this.zoom.scale <= this.zoom.fit * 1.001; }

  layout() { // two panes lie side by side, or one above the other where the pictures are larger so
    const { width, height } = this.canvas, [wide, high] = this.size, count = this.panes().length;
    const fits = (w, h) => Math.min(w / wide, h / high), stacked = fits(width, height / count) > fits(width / count, height);
    return stacked ? { width, height: height / count, dx: 0, dy: height / count } : { width: width / count, height, dx: width / count, dy: 0 };
  }

  fit() {
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth) return;
    this.canvas.width = Math.round(clientWidth * this.ratio);
    this.canvas.height = Math.round(clientHeight * this.ratio);
    const pane = this.layout();
    this.zoom.fit = Math.min(pane.width / this.size[0], pane.height / this.size[1]);
    this.zoomTo(this.zoom.fit);
  }

  zoomTo(scale, at) {
    const { zoom, size } = this, pane = this.layout(), sides = [pane.width, pane.height], spot = at ?? { px: sides[0] / 2, py: sides[1] / 2 };
    const next = Math.min(Math.max(scale, zoom.fit), Math.max(zoom.fit, MOST * this.ratio)), grown = zoom.scale ? next / zoom.scale : 1;
    zoom.scale = next;
    this.panTo(spot.px - (spot.px - zoom.x) * grown, spot.py - (spot.py - zoom.y) * grown);
    this.canvas.style.touchAction = this.fitted ? "pan-y" : "none";
    this.canvas.style.cursor = this.fitted ? "ew-resize" : "grab";
  }

  panTo(x, y) { // the picture fills its pane, or stands in the middle of it
    const pane = this.layout(), hold = (to, side, length) => length <= side ? (side - length) / 2 : Math.min(0, Math.max(side - length, to));
    this.zoom.x = hold(x, pane.width, this.size[0] * this.zoom.scale);
    this.zoom.y = hold(y, pane.height, this.size[1] * this.zoom.scale);
    this.request();
  }

  place({ clientX, clientY }) { // screen -> pixels of its pane, and which pane
    const area = this.canvas.getBoundingClientRect(), pane = this.layout();
    const x = (clientX - area.left) * this.ratio, y = (clientY - area.top) * this.ratio;
    const index = Math.max(0, Math.min(this.panes().length - 1, Math.floor(pane.dx ? x / pane.dx : y / pane.dy)));
    return { px: x - index * pane.dx, py: y - index * pane.dy, index };
  }

  edges() { // of what is seen of the picture, in canvas pixels
    const { zoom, canvas, size } = this;
    return [Math.max(0, zoom.x), Math.min(canvas.width, zoom.x + size[0] * zoom.scale)];
  }

  split(at) {
    this.at = Math.min(1, Math.max(0, at));
    this.range.value = Math.round(100 * this.at);
    this.request();
  }

  splitAt(event) {
    const [left, right] = this.edges(), x = (event.clientX - this.canvas.getBoundingClientRect().left) * this.ratio;
    this.split((x - left) / (right - left));
  }

  request(then) { // a frame, however often it is asked for
    if (then) this.after.push(then);
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.paint(); this.after.splice(0).forEach((work) => work()); });
  }

  paint() {
    const { pen, canvas } = this, panes = this.panes(), pane = this.layout();
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    const [left, right] = this.edges(), border = left + (right - left) * this.at;
    panes.forEach(({ before, after, over }, index) => {
      const [x, y] = [index * pane.dx, index * pane.dy];
      this.draw(after, [x, y, pane.width, pane.height], x, y);
      pen.globalAlpha = 0.85;
      this.draw(over, [x, y, pane.width, pane.height], x, y);
      pen.globalAlpha = 1;
      this.draw(before, [0, 0, border, canvas.height], x, y);
    });
    if (panes.length > 1) {
      pen.fillStyle = "#808080";
      pen.fillRect(pane.dx - 1, pane.dy - 1, pane.dx ? 2 : canvas.width, pane.dx ? canvas.height : 2);
    }
    this.handle.hidden = this.range.hidden = !panes[0]?.before;
    if (panes[0]?.before && border > left && border < right) { pen.fillStyle = "white"; pen.fillRect(border - this.ratio, 0, 2 * this.ratio, canvas.height); }
    this.handle.style.left = `${Math.min(Math.max(border / this.ratio, HANDLE), canvas.width / this.ratio - HANDLE)}px`;
    this.drawn();
  }

  draw(picture, [left, top, width, height], x, y) {
    const { pen, zoom, size } = this;
    if (!picture) return;
    pen.save();
    pen.beginPath();
    pen.rect(left, top, width, height);
    pen.clip();
    pen.imageSmoothingEnabled = zoom.scale < NEAR;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(picture, x + zoom.x, y + zoom.y, size[0] * zoom.scale, size[1] * zoom.scale);
    pen.restore();
  }

  down(event) {
    this.canvas.focus({ preventScroll: true });
    if (this.zooming.down(event)) { this.press = null; return; }
    this.press = { event, x: this.zoom.x, y: this.zoom.y, touch: event.pointerType === "touch", moved: false };
    if (!this.press.touch || !this.fitted) this.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    this.zooming.move(event);
    const { press } = this;
    if (!press) return;
    const dx = event.clientX - press.event.clientX, dy = event.clientY - press.event.clientY;
    press.moved ||= Math.hypot(dx, dy) > DRAG;
    if (!press.moved) return;
    if (!this.fitted) this.panTo(press.x + dx * this.ratio, press.y + dy * this.ratio);
    else if (!press.touch && this.panes()[0].before) this.splitAt(event);
  }

  up(event) {
    if (this.zooming.up(event)) return;
    const { press } = this;
    this.press = null;
    if (!press || event.type === "pointercancel") return;
    const dx = event.clientX - press.event.clientX, dy = event.clientY - press.event.clientY;
    if (press.touch && this.fitted && Math.abs(dx) > SWIPE && Math.abs(dx) > 1.5 * Math.abs(dy)) this.step(dx < 0 ? 1 : -1);
    else if (!press.moved) this.choose(this.place(event).index);
  }
}
