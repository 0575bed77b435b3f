// What one takes along: a picture with its paint's name below it, and a page to print, which is the browser's PDF too.
import { loadImage } from "./parts.js";

const FONT = "system-ui, 'Segoe UI', Roboto, sans-serif";

// Save a picture {source, paints: [{hex, name, text}]} at its own size, a strip below it for each wall's paint.
export async function savePicture({ source, paints }) {
  const image = await loadImage(source), { naturalWidth: width, naturalHeight } = image;
  const strip = Math.max(56, Math.round(0.08 * Math.max(width, naturalHeight))), gap = strip / 5;
  const height = naturalHeight + strip * paints.length;
  const canvas = Object.assign(document.createElement("canvas"), { width, height }), pen = canvas.getContext("2d");
  pen.fillStyle = "white";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(image, 0, 0);
  paints.forEach(({ hex, name, text }, number) => {
    const top = naturalHeight + number * strip, left = (hex ? 1.6 * strip : 0) + gap;
    pen.fillStyle = hex ?? "white";
    pen.fillRect(0, top, left - gap, strip);
    pen.fillStyle = "black";
    for (const [line, weight, size, at] of [[name, 600, 0.34, 0.44], [text, 400, 0.26, 0.8]]) {
      pen.font = `${weight} ${size * strip}px ${FONT}`;
      pen.fillText(line, left, top + at * strip, width - left - gap);
    }
  });
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png")), link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${paints.map(({ name }) => name).join(" ").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "wall"}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const PAGE = `<!doctype html><meta charset="utf-8"><style>
  @page { margin: 12mm; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; box-sizing: border-box; }
  body { margin: 0; font: 11pt ${FONT}; color: black; background: white; display: grid; grid-template-columns: 1fr 1fr; gap: 8mm; }
  body.one { grid-template-columns: 1fr; }
  figure { margin: 0; break-inside: avoid; } img { width: 100%; display: block; }
  figcaption div { display: flex; gap: 3mm; padding-top: 2mm; } i { width: 14mm; flex: none; border: 1px solid #888; } b { display: block; }</style>`;

// Print pictures {source, paints: [{hex, name, text}]} as one page or more.
export async function printPictures(pictures) {
  const frame = document.createElement("iframe");
  frame.style.cssText = "position: fixed; width: 0; height: 0; border: 0; visibility: hidden";
  frame.srcdoc = PAGE;
  const loaded = new Promise((done) => { frame.onload = done; });
  document.body.append(frame);
  await loaded;
  const { contentDocument: page, contentWindow: window } = frame, make = (tag, ...content) => {
    const part = page.createElement(tag);
    part.append(...content);
    return part;
  };
  page.documentElement.lang = document.documentElement.lang;
  page.title = "wallpaint";
  page.body.classList.toggle("one", pictures.length === 1);
  for (const { source, paints } of pictures) {
    const image = Object.assign(make("img"), { src: source, alt: paints.map(({ name }) => name).join(", ") });
    const lines = paints.map(({ hex, name, text }) => {
      const words = make("span", make("b", name), text);
      if (!hex) return make("div", words); // the photo as it was taken
      const swatch = make("i");
      swatch.style.background = hex;
      return make("div", swatch, words);
    });
    page.body.append(make("figure", image, make("figcaption", ...lines)));
  }
  await Promise.all([...page.images].map((image) => image.decode()));
  window.onafterprint = () => frame.remove();
  window.print();
}
