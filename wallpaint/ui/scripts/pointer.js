// The pointer: clicks, boxes, brush strokes, pan and zoom, with a mouse, a pen or fingers; and the keyboard's cursor.
import { Zooming } from "./zooming.js";

const FAR = 8; // screen pixels beyond which a press is a drag

export class Pointer {
  constructor(board) {
    Object.assign(this, { board, tool: "click", negative: false, brush: 28, cursor: null, hover: null });
    Object.assign(this, { byMouse: false, over: false, panning: false, zooming: new Zooming(board.drawing) });
    this.drag = { kind: null, stroke: null };
    this.canvas = board.$("canvas.photo");
    const listen = (name, work, options) => this.canvas.addEventListener(name, work, options);
    listen("pointerdown", (event) => this.down(event));
    listen("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) listen(name, (event) => this.up(event));
    listen("pointerenter", () => { this.over = true; });
    listen("pointerleave", () => { this.hover = null; this.over = false; board.draw(); });
    listen("contextmenu", (event) => event.preventDefault());
    listen("wheel", (event) => { if (board.image) this.zooming.wheel(event); }, { passive: false });
    board.$(".brush").oninput = (event) => this.setBrush(Number(event.target.value));
  }

  get marking() { return ["stroke", "box", "tap"].includes(this.drag.kind) && !this.picking; }
  get picking() { return this.tool === "dropper" || this.tool === "white"; }

  setTool(tool) {
    this.tool = tool;
    const { board } = this, brushing = tool === "brush" || tool === "eraser";
    for (const button of board.$$("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    for (const button of board.$$("[data-do=dropper]")) button.setAttribute("aria-pressed", String(tool === "dropper"));
    board.$("[data-do=white]").setAttribute("aria-pressed", String(tool === "white" || board.marking.photo.white));
    board.$(".size").hidden = !brushing;
    this.canvas.style.touchAction = tool === "click" || this.picking ? "pan-y" : "none";
    this.canvas.style.cursor = brushing ? "none" : "crosshair";
    board.draw();
  }

  setNegative(on) {
    this.negative = on;
    this.board.$("[data-do=negative]").setAttribute("aria-pressed", String(on));
  }

  setBrush(size) {
    this.brush = Math.min(160, Math.max(4, size));
    this.board.$(".brush").value = this.brush;
    this.board.draw();
  }

  setPanning(on) {
    this.panning = on;
    if (on) this.canvas.style.cursor = "grab"; else this.setTool(this.tool);
  }

  cancel() { this.drag = { kind: null, stroke: null }; }

  begin(kind, at, event) {
    const { x, y } = this.board.drawing.zoom, negative = event.button === 2 || event.altKey || this.negative;
    this.drag = { kind, from: at, to: at, negative, pan: { x, y }, stroke: null };
    if (kind === "stroke") {
      const picture = new OffscreenCanvas(...this.board.marking.size), erase = this.tool === "eraser" || negative;
      const pen = picture.getContext("2d", { willReadFrequently: true });
      pen.lineCap = pen.lineJoin = "round";
      pen.lineWidth = this.brush;
      pen.strokeStyle = erase ? "rgb(220, 38, 38)" : "rgb(255, 64, 129)";
      this.drag.stroke = { picture, pen, erase };
      this.strokeTo(at, at);
    }
  }

  strokeTo(from, to) {
    const { pen } = this.drag.stroke;
    pen.beginPath();
    pen.moveTo(from.x, from.y);
    pen.lineTo(to.x + 0.01, to.y);
    pen.stroke();
  }

  endStroke({ pen, erase }) {
    const { marking } = this.board, { mark } = marking.wall, { data } = pen.getImageData(0, 0, ...marking.size);
    const copy = (mask) => mask?.slice() ?? new Uint8Array(marking.pixels), plus = copy(mark.plus), minus = copy(mark.minus);
    for (let at = 0; at < plus.length; at++) if (data[4 * at + 3] > 127) { plus[at] = erase ? 0 : 1; minus[at] = erase ? 1 : 0; }
    marking.follow({ ...mark, plus, minus }, marking.candidates);
  }

  end() {
    const { kind, from, to, negative, stroke } = this.drag, { board } = this, [width, height] = board.marking.size;
    this.cancel();
    if (kind === "stroke") return this.endStroke(stroke);
    const far = Math.hypot(to.px - from.px, to.py - from.py) > FAR * board.drawing.ratio;
    if (kind === "box" && far) {
      const sides = (a, b, most) => [a, b].map((value) => Math.min(Math.max(value, 0), most)).sort((one, two) => one - two);
      const [x0, x1] = sides(from.x, to.x, width), [y0, y1] = sides(from.y, to.y, height);
      return board.attempt(() => board.marking.markObject([], [x0, y0, x1, y1]));
    }
    board.draw();
    const inside = from.x >= 0 && from.y >= 0 && from.x < width && from.y < height;
    if ((kind === "box" || kind === "tap") && !far && inside && this.tool !== "box") this.press(from, negative);
  }

  press(at, negative) {
    const { board } = this;
    if (this.tool === "dropper") return board.attempt(() => board.paints.pick(at));
    if (this.tool === "white") return board.attempt(() => board.paints.pickWhite(at));
    return board.attempt(() => board.marking.addPoint(at.x, at.y, negative ? 0 : 1));
  }

  pressCursor(negative) { // Enter, where there is no mouse
    if (!this.cursor) return this.moveCursor([0, 0], true);
    if (this.tool !== "brush" && this.tool !== "eraser") return this.press(this.cursor, negative || this.negative);
    this.begin("stroke", this.cursor, { altKey: negative });
    this.end();
  }

  moveCursor([dx, dy], fine) {
    const [width, height] = this.board.marking.size, far = fine ? 1 : Math.max(width, height) / 50;
    const at = this.cursor ?? { x: width / 2, y: height / 2 }, clamp = (value, side) => Math.min(Math.max(value, 0), side - 1);
    this.cursor = { x: clamp(at.x + dx * far, width), y: clamp(at.y + dy * far, height) };
    this.byMouse = false;
    this.board.draw();
  }

  down(event) {
    if (!this.board.image) return;
    this.canvas.focus({ preventScroll: true });
    this.cursor = null;
    this.byMouse = true;
    const { drawing } = this.board, { tool } = this;
    if (this.zooming.down(event)) return this.cancel();
    const at = drawing.place(event), tap = this.picking || (event.pointerType === "touch" && tool === "click");
    if (event.button === 1 || this.panning) this.begin("pan", at, event);
    else if (tool === "brush" || tool === "eraser") this.begin("stroke", at, event);
    else this.begin(tap ? "tap" : "box", at, event);
    if (this.drag.kind !== "tap") this.canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
  }

  move(event) {
    if (!this.board.image) return;
    if (this.zooming.move(event)) return;
    const { drawing } = this.board, { zoom } = drawing, { drag } = this;
    const at = drawing.place(event);
    this.hover = event.pointerType === "touch" ? null : at;
    if (drag.kind === "pan") { zoom.x = drag.pan.x + at.px - drag.from.px; zoom.y = drag.pan.y + at.py - drag.from.py; }
    if (drag.kind === "stroke") this.strokeTo(drag.to, at);
    if (drag.kind) drag.to = at;
    if (drag.kind || this.tool !== "click") this.board.draw();
  }

  up(event) {
    if (this.zooming.up(event)) return;
    if (!this.drag.kind) return;
    if (event.type === "pointercancel") { this.cancel(); this.board.draw(); } else this.end();
  }
}
