// One large file, sent in pieces one after the other; a piece that fails is sent again.
import { Words } from "./words.js";

const TRIES = 5, WAIT = 1000; // of a piece; ms before the next, longer each time

export function start({ element, props, server, trigger, texts, about }) {
  const $ = (selector) => element.querySelector(selector);
  const words = new Words(texts, element), input = $("input[type=file]"), path = $("input[type=text]");
  let current = null; // the upload under way; another one, or null, ends it

  const say = (text) => { $(".said").textContent = text; };
  const call = async (name, asked) => {
    const answer = await server[name](asked);
    if (!answer) throw new Error(words.get("upload_broken"));
    if (answer.error) throw Object.assign(new Error(answer.error), { final: true });
    return answer;
  };

  function showShare(file, share) {
    $(".under-way").hidden = share === null;
    $("[data-do=choose]").disabled = share !== null;
    $("progress").value = share ?? 0;
    $(".share").textContent = share === null ? "" : words.get("upload_going", { name: file.name, share: Math.floor(100 * share) });
  }

  async function sendPiece(file, upload, offset) {
    const binary = file.slice(offset, offset + upload.piece), asked = { token: upload.token, offset };
    for (let tried = 1; ; tried++) {
      try { return (await call("add_piece", { binary: true, data: { ...asked, piece: binary } })).arrived; } catch (problem) {
        if (problem.final || tried === TRIES || current !== upload) throw problem;
        await new Promise((done) => setTimeout(done, tried * WAIT));
      }
    }
  }

  async function send(file) {
    if (file.size > about.limit) throw new Error(words.get("upload_large", { name: file.name, most: Math.round(about.limit / 1e6) }));
    const upload = current = await call("begin", { name: file.name, size: file.size });
    for (let arrived = 0; arrived < file.size && current === upload;) {
      showShare(file, arrived / file.size);
      arrived = await sendPiece(file, upload, arrived);
    }
    if (current !== upload) return call("drop_upload", { token: upload.token });
    finish(await call("end_upload", { token: upload.token }));
  }

  function finish(value) {
    say("");
    props.value = value;
    trigger("upload");
  }

  async function run(work) {
    say("");
    try { await work(); } catch (problem) { say(problem.message); } finally { current = null; showShare(null, null); }
  }

  const takePath = () => run(async () => finish(await call("take_path", { path: path.value })));
  $("[data-do=choose]").dataset.word = about.label;
  $(".path").hidden = !about.paths;
  input.accept = about.suffixes.join();
  input.onchange = () => { const [file] = input.files; if (file) run(() => send(file)); input.value = ""; };
  path.onkeydown = (event) => { if (event.key === "Enter" && path.value) takePath(); };
  $("[data-do=choose]").onclick = () => input.click();
  $("[data-do=take]").onclick = () => { if (path.value) takePath(); };
  $("[data-do=cancel]").onclick = () => { current = null; };
  words.follow();
  input.onchange(); // a file may have been chosen before this script came
}
