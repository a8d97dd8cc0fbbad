// Sends a file in pieces, and goes on where it broke. What is under way belongs to the window, not to the element: it
// outlives a rerun, and a visit to another screen.
const RETRY_AT_MOST = 30, RATE_OVER = 6000; // seconds; milliseconds
const WORTH_ANOTHER_TRY = [408, 423, 425, 429, 500, 502, 503, 504];
const CHANGED = "The file was changed, moved or removed since it was chosen. Choose it again.";

const upload = (window.appointment360Upload ??= { phase: "choosing", error: "", draw: () => {}, tell: () => {} });

const set = (changes) => { Object.assign(upload, changes); upload.draw(); };
const fail = (error, canGoOn = true) => set({ phase: canGoOn ? "failed" : "choosing", error });

class Refused extends Error {
  constructor(status, body) { super(body.error ?? `The server answered ${status}.`); this.status = status; this.body = body; }
}
const ask = async (path, options = {}) => {
  const answer = await fetch(path, { headers: { "Content-Type": "application/json" }, ...options });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, body);
  return body;
};
const put = (path, piece, moved) => new Promise((resolve, reject) => {
  const request = (upload.request = new XMLHttpRequest());
  request.open("PUT", path);
  request.responseType = "json";
  request.timeout = 600_000;
  request.upload.onprogress = (event) => moved(event.loaded);
  request.onload = () => (request.status === 200
    ? resolve(request.response) : reject(new Refused(request.status, request.response ?? {})));
  request.onerror = request.ontimeout = request.onabort = () => reject(new Error("broken"));
  request.send(piece);
});

const moved = (shown) => {
  const now = performance.now();
  upload.seen.push([now, shown]);
  while (upload.seen.length > 2 && now - upload.seen[0][0] > RATE_OVER) upload.seen.shift();
  set({ shown });
};
const rate = () => {
  const [first, last] = [upload.seen?.[0], upload.seen?.at(-1)];
  const seconds = first && (last[0] - first[0]) / 1000;
  return seconds >= 0.5 && last[1] > first[1] ? (last[1] - first[1]) / seconds : null;
};

const send = async () => {
  const run = (upload.run = Symbol());
  const over = () => upload.run !== run;
  const { file } = upload;
  set({ phase: "sending", error: "", seen: [], failures: 0 });
  while (!over()) {
    try {
      // Once everything was sent only the answer to `complete` is missing: from the beginning it might be a new import.
      if (!upload.isSent) await everything(file, over);
      if (over()) return;
      await ask(`/imports/${upload.id}/upload/complete`, { method: "POST" });
      if (over()) return;
      set({ phase: "done", shown: file.size });
      upload.tell("done", upload.id);
      return;
    } catch (error) {
      if (over()) return;
      if (error instanceof Refused && error.status === 409) { upload.isSent = false; continue; } // begin says where it goes on
      if (error instanceof Refused && !WORTH_ANOTHER_TRY.includes(error.status)) {
        fail(error.message, ![400, 403, 404, 413].includes(error.status));
        return;
      }
      if (!upload.isSent && !(await readable(file))) { fail(CHANGED, false); return; }
      await pause(error, over);
    }
  }
};
const everything = async (file, over) => {
  const described = { name: file.name, size: file.size, modified: Math.max(0, Math.trunc(file.lastModified)) };
  const begun = await ask("/imports/uploads", { method: "POST", body: JSON.stringify(described) });
  if (over()) return;
  if (upload.id !== begun.import_id) { upload.id = begun.import_id; upload.tell("begun", begun.import_id); }
  await pieces(begun, over);
  if (!over()) upload.isSent = true;
};
const pieces = async (begun, over) => {
  let { offset } = begun;
  moved(offset);
  while (offset < begun.size && !over()) {
    const from = offset;
    const piece = upload.file.slice(from, from + upload.piece);
    const answer = await put(`/imports/${begun.import_id}/upload?offset=${from}`, piece, (sent) => over() || moved(from + sent));
    offset = answer.offset;
    upload.failures = 0;
  }
};
const readable = (file) => file.slice(0, 1).arrayBuffer().then(() => true, () => false);
const pause = (error, over) => new Promise((resolve) => {
  const seconds = Math.min(2 ** upload.failures++, RETRY_AT_MOST);
  const why = error instanceof Refused ? error.message : "The connection broke.";
  upload.again = () => { clearTimeout(upload.timer); if (!over()) set({ phase: "sending", error: "", seen: [] }); resolve(); };
  upload.timer = setTimeout(upload.again, seconds * 1000);
  set({ phase: "waiting", error: `${why} Trying again in ${seconds} s.` });
});

const hold = () => { upload.run = null; upload.request?.abort(); clearTimeout(upload.timer); set({ phase: "paused", error: "" }); };
const choose = (file) => { if (file) { Object.assign(upload, { file, id: null, isSent: false, shown: 0 }); send(); } };

if (!window.appointment360Leaving) {
  window.appointment360Leaving = true;
  addEventListener("beforeunload", (event) => { if (["sending", "waiting"].includes(upload.phase)) event.preventDefault(); });
  addEventListener("online", () => { if (upload.phase === "waiting") upload.again(); });
}

export default function ({ data, parentElement, setTriggerValue }) {
  const part = (name) => parentElement.querySelector(`.${name}`);
  const number = (value, digits) => new Intl.NumberFormat(data.locale ?? undefined, { maximumFractionDigits: digits }).format(value);
  const size = (bytes) => {
    const units = ["B", "KB", "MB", "GB"];
    const place = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), 3);
    const amount = bytes / 1000 ** place;
    return `${number(amount, place && amount < 100 ? 1 : 0)} ${units[place]}`;
  };
  const time = (seconds) => (seconds < 60 ? `${Math.ceil(seconds)} s`
    : seconds < 3600 ? `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
      : `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`);
  const words = () => {
    const { file, shown } = upload;
    const speed = upload.phase === "sending" ? rate() : null;
    const speeds = speed ? ` · ${size(speed)}/s · ${time((file.size - shown) / speed)} left` : "";
    return `${size(shown)} of ${size(file.size)}${speeds}`;
  };
  const said = { sending: "Uploading", waiting: "Waiting", paused: "Paused", failed: "Stopped", done: "Uploaded" };
  const say = (text) => { const status = part("status"); if (status.textContent !== text) status.textContent = text; };

  upload.piece = data.piece;
  upload.tell = (event, id) => { upload.told = id; setTriggerValue(event, id); };
  upload.draw = () => {
    const { phase, file } = upload;
    const choosing = phase === "choosing" || !file;
    part("drop").hidden = !choosing;
    part("going").hidden = choosing;
    part("error").textContent = upload.error;
    part("error").hidden = !upload.error;
    part("hint").textContent = data.unfinished ?? data.hint;
    if (choosing) { say(""); return; }
    const percent = Math.floor((100 * upload.shown) / file.size);
    part("name").textContent = file.name;
    part("percent").textContent = `${percent}%`;
    part("numbers").textContent = words();
    part("bar").setAttribute("aria-valuenow", percent);
    part("filled").style.width = `${percent}%`;
    part("going").dataset.phase = phase;
    part("pause").hidden = !["sending", "waiting"].includes(phase);
    part("resume").hidden = !["paused", "failed"].includes(phase);
    part("other").hidden = !["paused", "failed"].includes(phase);
    say(`${said[phase]} ${file.name}`);
  };
  part("choose").onclick = () => part("file").click();
  part("file").onchange = (event) => { choose(event.target.files[0]); event.target.value = ""; };
  part("pause").onclick = () => { hold(); part("resume").focus(); };
  part("resume").onclick = () => { send(); part("pause").focus(); };
  part("other").onclick = () => { set({ phase: "choosing", file: null, error: "" }); part("choose").focus(); };
  const box = part("box");
  const over = (event) => { event.preventDefault(); box.dataset.over = event.type === "dragover" ? "yes" : "no"; };
  box.ondragover = box.ondragleave = over;
  box.ondrop = (event) => {
    over(event);
    const [item] = event.dataTransfer.items;
    if (item?.webkitGetAsEntry?.()?.isDirectory) { fail("That is a folder: choose a file in it.", false); return; }
    if (["choosing", "paused", "failed"].includes(upload.phase)) choose(event.dataTransfer.files[0]);
  };
  if (upload.phase === "done") {
    // A page that has led there once must not do it again when a new import is asked for.
    if (data.open === upload.id || (data.open === null && upload.told !== upload.id)) upload.tell("done", upload.id);
    set({ phase: "choosing", file: null });
  }
  upload.draw();
  return () => { upload.draw = () => {}; upload.tell = () => {}; };
}
