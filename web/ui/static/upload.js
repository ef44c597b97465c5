// What is on its way to the peer and its holders, and the list of what was put
// from this browser. What is sent is a job of the peer; once all of it is there
// the peer goes on alone, and a page that is opened later follows it again.
import { signal, effect, untracked, say, count } from "./kit.js";
import { Failure, call, jobs, me, signedIn, unreachable } from "./peer.js";
import { walk, chosen, form, missing } from "./folder.js";

const atOnce = 2; // of the browser's six connections, one of which is the live stream

export const tray = signal([]);     // uploads, newest first
export const files = signal([]);    // what was put, newest first
export const announce = signal(false);

let next = 1, shelf = null;
const hidden = new Set(); // jobs that are not to be seen in the tray

const recall = (what, id) => { try { return JSON.parse(localStorage.getItem(`cairn ${what} ${id}`)) ?? []; } catch { return []; } };
const store = (what, list) => {
  if (!shelf) return;
  try { localStorage.setItem(`cairn ${what} ${shelf}`, JSON.stringify(list)); } catch { /* no room: the list lives as long as the page */ }
};

// The lists are kept for each peer: another one on this port has its own.
effect(() => {
  const id = me.value?.id;
  if (!id || shelf === id) return;
  shelf = id;
  files.value = recall("files", id);
});

function keep(list) {
  files.value = list;
  store("files", list.slice(0, 1000));
}

export const forget = (cid) => keep(files.value.filter((f) => f.cid !== cid));
export const learn = (cid, facts) => {
  const old = files.value.find((f) => f.cid === cid);
  if (old && Object.keys(facts).some((k) => old[k] !== facts[k])) keep(files.value.map((f) => f === old ? { ...f, ...facts } : f));
};

// remember notes the jobs of this browser, so that a page that is opened later
// tells how they ended.
const remember = (job, facts) => store("jobs", [...recall("jobs", shelf).filter((j) => j.job !== job), ...(facts ? [{ job, ...facts }] : [])].slice(-100));

const find = (id) => tray.value.find((u) => u.id === id);
const change = (id, facts) => { tray.value = tray.value.map((u) => u.id === id ? { ...u, ...facts } : u); };
const add = (list) => { tray.value = [...list.reverse(), ...tray.value]; pump(); };
const bytes = (list) => list.reduce((sum, { file }) => sum + file.size, 0);

const ofFile = (file) => ({ id: next++, name: file.name, size: file.size, files: [{ path: file.name, file }], state: "waiting", sent: 0 });
const ofFolder = (f) => ({ id: next++, name: f.name, size: bytes(f.files), files: f.files, dirs: f.dirs, folder: true, state: "waiting", sent: 0 });

// put takes what an <input> gives.
export const put = (list) => add([...list].map(ofFile));
export const putFolders = (list) => add(chosen(list).map(ofFolder));

// drop takes what was let go over the page. It must be asked at once what it is.
export function drop(data) {
  const loose = [], folders = [];
  for (const item of data.items) {
    const entry = item.kind === "file" ? item.webkitGetAsEntry?.() : null;
    if (entry?.isDirectory) folders.push(entry);
    else if (item.kind === "file") loose.push(item.getAsFile());
  }
  if (loose.length) put(loose.filter(Boolean));
  for (const entry of folders) look(entry);
}

// look finds out what is in a folder before it is sent.
async function look(entry) {
  const u = { id: next++, name: entry.name, size: 0, files: [], dirs: [], folder: true, state: "looking", sent: 0 };
  tray.value = [u, ...tray.value];
  try {
    const { files, dirs } = await walk(entry, (n) => { change(u.id, { found: n }); return Boolean(find(u.id)); });
    change(u.id, { files, dirs, size: bytes(files), state: "waiting" });
    pump();
  } catch (error) { change(u.id, { state: "failed", error, again: () => look(entry) }); }
}

export function retry(u) {
  if (u.again) { tray.value = tray.value.filter((t) => t.id !== u.id); u.again(); return; }
  change(u.id, { state: "waiting", error: null, sent: 0, got: null, progress: null });
  pump();
}

// cancel ends what is being sent, and takes it off the tray: what has been sent to
// its end goes on.
export function cancel(u) {
  if (u.job) { hidden.add(u.job); if (u.state !== "spreading") remember(u.job); }
  tray.value = tray.value.filter((t) => t.id !== u.id);
  u.xhr?.abort();
  pump();
}
export function clear() {
  for (const u of tray.value) if (u.state === "done" && u.job) hidden.add(u.job);
  tray.value = tray.value.filter((u) => u.state !== "done");
}
export const cancelAll = () => { for (const u of tray.value) if (["looking", "waiting", "sending"].includes(u.state) && !u.adopted) cancel(u); };

function pump() {
  const waiting = tray.value.filter((u) => u.state === "waiting");
  let busy = tray.value.filter((u) => u.xhr).length;
  for (const u of waiting.reverse()) {
    if (busy++ >= atOnce) break;
    send(u);
  }
}

function send(u) {
  const xhr = new XMLHttpRequest(), job = [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");
  let read = 0, over = false;
  const end = (facts) => {
    if (over) return;
    over = true;
    change(u.id, { xhr: null, ...facts });
    pump();
  };
  const hear = (line) => {
    if (line.type === "status" && line.blocks > 0) change(u.id, { progress: line });
    if (line.type === "summary") { over = true; stored(u.id, line); }
    else if (line.type === "error" && line.receipt?.cid) { over = true; stored(u.id, line.receipt, line); }
    else if (line.type === "error") { remember(job); end({ state: "failed", error: new Failure(line.message, line.hint, line.code, 200) }); }
  };
  const take = () => {
    const text = xhr.responseText, stop = text.lastIndexOf("\n");
    if (xhr.status !== 200 || stop < read) return;
    const lines = text.slice(read, stop).split("\n");
    read = stop + 1;
    for (const line of lines) if (line) hear(JSON.parse(line));
  };
  const lost = async () => end(await afterwards(u, job));
  xhr.upload.onprogress = (e) => change(u.id, { sent: u.size && e.total ? u.size * e.loaded / e.total : 0 });
  xhr.upload.onload = () => change(u.id, { sent: u.size, state: "spreading" });
  xhr.onprogress = take;
  xhr.onload = () => {
    take();
    if (xhr.status === 401) signedIn.value = false;
    if (over) return;
    let p = null;
    try { p = JSON.parse(xhr.responseText); } catch { /* it was cut short */ }
    if (p?.detail) { remember(job); end({ state: "failed", error: new Failure(p.detail, p.hint, p.code, xhr.status) }); } else lost();
  };
  xhr.onerror = lost;
  xhr.onabort = () => end({});
  const q = new URLSearchParams({ name: [...u.name].slice(0, 60).join(""), job });
  if (announce.value) q.set("announce", "true");
  xhr.open("POST", "/api/v1/put?" + q);
  const body = u.folder ? form(u) : u.files[0].file;
  xhr.setRequestHeader("Content-Type", u.folder ? body.type : "application/octet-stream");
  remember(job, { name: u.name, size: u.size, folder: u.folder });
  change(u.id, { state: "sending", xhr, job });
  xhr.send(body);
}

// afterwards finds out what became of a put whose answer did not come. A file that
// is gone and a peer that refused look alike to the one who sends.
async function afterwards(u, job) {
  const said = (error) => ({ state: "failed", error });
  const name = await missing(u.files);
  if (name) { remember(job); return said(new Failure(`“${name}” cannot be read any more, nothing was kept`, "see whether it is still there and unchanged, then drop it again")); }
  try {
    const j = (await call("jobs")).find((j) => j.id === job);
    if (j?.state === "spreading") return { state: "spreading" }; // the stream tells the rest
    if (j?.receipt) { setTimeout(() => stored(u.id, j.receipt, j.error)); return { state: "spreading" }; }
    remember(job);
    if (j?.error) return said(new Failure(j.error.message, j.error.hint, j.error.code, 200));
    return said(new Failure("The connection broke before all was sent, nothing was kept", "try again"));
  } catch (e) {
    return said(e instanceof Failure ? e : unreachable());
  }
}

function stored(id, receipt, short) {
  const u = find(id);
  if (!u) return;
  remember(u.job);
  const item = { cid: receipt.cid, name: u.name, size: receipt.size, time: new Date().toISOString(), folder: u.folder,
    copies: receipt.least, goal: Math.min(receipt.target, receipt.members), target: receipt.target };
  keep([item, ...files.value.filter((f) => f.cid !== receipt.cid)]);
  change(id, { state: "done", sent: u.size, progress: receipt, cid: receipt.cid, note: short ? short.message : "", xhr: null });
  pump();
  say(u.name + ": " + (short ? short.message : "stored, " + receipt.least + " of " + count(receipt.target, "copy", "copies")));
  refresh(receipt.cid);
}

// The jobs of the peer: those of this page have their own answer; the rest were
// begun before it was opened, or elsewhere.
effect(() => { const all = jobs.value; untracked(() => hear(all)); });

function hear(all) {
  if (!shelf || !all.size) return;
  const mine = new Map(recall("jobs", shelf).map((j) => [j.job, j]));
  for (const j of all.values()) {
    const own = mine.get(j.id);
    let u = tray.value.find((u) => u.job === j.id);
    if (!u) {
      if (hidden.has(j.id) || j.ended && !own) continue;
      u = { id: next++, job: j.id, name: j.name || own?.name || "without a name", size: own?.size, folder: own?.folder ?? j.files > 0, files: [], adopted: true, state: "sending", sent: 0 };
      tray.value = [u, ...tray.value];
    }
    if (u.state === "done" || u.state === "failed") continue;
    const state = j.state === "receiving" ? "sending" : "spreading";
    change(u.id, { got: j.bytes, gotFiles: j.files, ...(u.adopted && { sent: j.bytes, state }), ...(!u.xhr && j.progress.blocks && { progress: j.progress }) });
    if (u.xhr || !j.ended) continue;
    if (j.receipt) stored(u.id, j.receipt, j.error);
    else {
      remember(j.id);
      const left = u.adopted && own && j.error.code === "unavailable";
      change(u.id, { state: "failed", gone: u.adopted, error: left ? new Failure("The page was left before all of it was sent, nothing was kept", "drop it again", j.error.code, 200)
        : new Failure(j.error.message, j.error.hint, j.error.code, 200) });
    }
  }
}

// Another page of this browser may have put something, too.
addEventListener("storage", (e) => { if (shelf && e.key === "cairn files " + shelf) files.value = recall("files", shelf); });

addEventListener("beforeunload", (e) => { if (tray.value.some((u) => u.xhr && u.state === "sending" && u.size > 1 << 20)) e.preventDefault(); });

// copies asks the holders of cid, and answers whether there are enough of them.
async function copies(cid) {
  const h = await call("health?" + new URLSearchParams({ path: cid }));
  learn(cid, { copies: h.min, goal: Math.min(h.target, h.members), target: h.target });
  return h.min >= h.target;
}

// refresh asks the holders, as copies go on growing after a put is done; of many
// things only the first are asked for.
let asking = 0;
export async function refresh(cid) {
  if (asking >= 8) return;
  asking++;
  try {
    for (const wait of [500, 2000, 5000]) {
      await new Promise((r) => setTimeout(r, wait));
      if (await copies(cid)) return;
    }
  } catch { /* the chip shows what was known last */ } finally { asking--; }
}

// While the list is looked at, what has too few copies is asked after, one at a time.
const asked = new Map();
setInterval(() => {
  if (document.hidden || !signedIn.value || !/^(#\/?(files)?)?$/.test(location.hash)) return;
  const few = files.value.slice(0, 50).filter((f) => f.copies < f.target && Date.now() - (asked.get(f.cid) ?? 0) > 10_000)[0];
  if (!few) return;
  asked.set(few.cid, Date.now());
  copies(few.cid).catch(() => { /* the chip shows what was known last */ });
}, 2000);

// least is the number of copies of the worst-kept block.
export const least = (p) => { const n = (p?.copies ?? []).findIndex((c) => c > 0); return n < 0 ? 0 : n; };

// spread is how much of the copying is done, from 0 to 1.
export function spread(p) {
  const goal = Math.min(p?.target ?? 0, p?.members ?? 0);
  if (!p?.blocks || !goal) return 0;
  return (p.copies ?? []).reduce((sum, c, n) => sum + c * Math.min(n, goal), 0) / (p.blocks * goal);
}
