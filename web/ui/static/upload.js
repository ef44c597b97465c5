// Files on their way, and the list of those that were put from this browser.
import { signal, effect, say } from "./kit.js";
import { Failure, call, me, signedIn, unreachable } from "./peer.js";

const atOnce = 2; // of the browser's six connections, one of which is the live stream

export const tray = signal([]);     // uploads, newest first
export const files = signal([]);    // what was put, newest first
export const announce = signal(false);

let next = 1, shelf = null;

// The list is kept for each peer: another one on this port has its own.
effect(() => {
  const id = me.value?.id;
  if (!id || shelf === id) return;
  shelf = id;
  try { files.value = JSON.parse(localStorage.getItem("cairn files " + id)) ?? []; } catch { files.value = []; }
});

function keep(list) {
  files.value = list;
  if (!shelf) return;
  try { localStorage.setItem("cairn files " + shelf, JSON.stringify(list.slice(0, 1000))); } catch { /* no room: the list lives as long as the page */ }
}

export const forget = (cid) => keep(files.value.filter((f) => f.cid !== cid));
export const learn = (cid, facts) => {
  if (files.value.some((f) => f.cid === cid)) keep(files.value.map((f) => f.cid === cid ? { ...f, ...facts } : f));
};

const change = (id, facts) => { tray.value = tray.value.map((u) => u.id === id ? { ...u, ...facts } : u); };

// put takes files from a drop or a choice.
export function put(list) {
  const fresh = [...list].map((file) => ({ id: next++, file, name: file.name, size: file.size, state: "waiting", sent: 0 }));
  if (!fresh.length) return;
  tray.value = [...fresh.reverse(), ...tray.value];
  pump();
}

export function retry(u) { change(u.id, { state: "waiting", error: null, sent: 0, progress: null }); pump(); }
export function cancel(u) { u.xhr?.abort(); tray.value = tray.value.filter((t) => t.id !== u.id); pump(); }
export const clear = () => { tray.value = tray.value.filter((u) => u.state !== "done"); };

function pump() {
  const waiting = tray.value.filter((u) => u.state === "waiting");
  let busy = tray.value.filter((u) => u.state === "sending" || u.state === "spreading").length;
  for (const u of waiting.reverse()) {
    if (busy++ >= atOnce) break;
    send(u);
  }
}

function send(u) {
  const xhr = new XMLHttpRequest();
  let read = 0, over = false;
  const end = (facts) => {
    if (over) return;
    over = true;
    change(u.id, { xhr: null, ...facts });
    pump();
  };
  const fail = (error) => end({ state: "failed", error });
  const take = () => {
    const text = xhr.responseText, stop = text.lastIndexOf("\n");
    if (xhr.status !== 200 || stop < read) return;
    const lines = text.slice(read, stop).split("\n");
    read = stop + 1;
    for (const line of lines) if (line) hear(JSON.parse(line));
  };
  const hear = (line) => {
    if (line.type === "status" && line.blocks > 0) change(u.id, { progress: line });
    if (line.type === "summary") stored(u, line, end);
    if (line.type === "error" && line.receipt?.cid) stored(u, line.receipt, end, line);
    else if (line.type === "error") fail(new Failure(line.message, line.hint, line.code, 200));
  };
  xhr.upload.onprogress = (e) => change(u.id, { sent: e.loaded });
  xhr.upload.onload = () => change(u.id, { sent: u.size, state: "spreading" });
  xhr.onprogress = take;
  xhr.onload = () => {
    take();
    if (xhr.status === 401) signedIn.value = false;
    if (over) return;
    let p = null;
    try { p = JSON.parse(xhr.responseText); } catch { /* it was cut short */ }
    fail(p?.detail ? new Failure(p.detail, p.hint, p.code, xhr.status)
      : new Failure("The answer was cut short; whether the file is kept is not known", "put it again: what is there already costs nothing"));
  };
  xhr.onerror = () => fail(xhr.status || u.sent ? new Failure("The connection broke before the file was kept", "see whether the file can still be read and the peer still runs, then try again") : unreachable());
  xhr.onabort = () => end({});
  const q = new URLSearchParams({ name: u.name.slice(0, 200) });
  if (announce.value) q.set("announce", "true");
  xhr.open("POST", "/api/v1/put?" + q);
  xhr.setRequestHeader("Content-Type", "application/octet-stream");
  change(u.id, { state: "sending", xhr });
  xhr.send(u.file);
}

function stored(u, receipt, end, short) {
  const item = { cid: receipt.cid, name: u.name, size: receipt.size, time: new Date().toISOString(),
    copies: receipt.least, goal: Math.min(receipt.target, receipt.members), target: receipt.target };
  keep([item, ...files.value.filter((f) => f.cid !== receipt.cid)]);
  end({ state: "done", sent: u.size, progress: receipt, cid: receipt.cid,
    note: short ? short.message : "" });
  say(u.name + ": " + (short ? short.message : "stored, " + receipt.least + " of " + receipt.target + " copies"));
  refresh(receipt.cid);
}

// refresh asks the holders, as copies go on growing after a put is done.
export async function refresh(cid) {
  for (const wait of [500, 2000, 5000]) {
    await new Promise((r) => setTimeout(r, wait));
    try {
      const h = await call("health?" + new URLSearchParams({ path: cid }));
      learn(cid, { copies: h.min, goal: Math.min(h.target, h.members), target: h.target, checked: new Date().toISOString() });
      if (h.min >= h.target) return;
    } catch { return; /* the chip shows what was known last */ }
  }
}

// least is the number of copies of the worst-kept block.
export const least = (p) => { const n = (p?.copies ?? []).findIndex((c) => c > 0); return n < 0 ? 0 : n; };

// spread is how much of the copying is done, from 0 to 1.
export function spread(p) {
  const goal = Math.min(p?.target ?? 0, p?.members ?? 0);
  if (!p?.blocks || !goal) return 0;
  return (p.copies ?? []).reduce((sum, c, n) => sum + c * Math.min(n, goal), 0) / (p.blocks * goal);
}
