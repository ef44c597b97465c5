// The peer this page belongs to: requests to its API, and the one live stream.
import { signal, batch } from "./kit.js";

export const signedIn = signal(undefined); // undefined: not known yet
export const live = signal("connecting");  // connecting, live, lost
export const me = signal(null);            // the last id line
export const peers = signal(new Map());    // id → peer line; those that went stay, with up false
export const updates = signal([]);         // newest first

const kept = 200; // updates

// Failure is an error of the API, with what to do next.
export class Failure extends Error {
  constructor(message, hint, code, status) {
    super(message);
    this.hint = hint; this.code = code; this.status = status;
  }
}

export const unreachable = () =>
  new Failure("The peer does not answer", "see whether `cairn daemon` still runs, then try again", "unreachable", 0);

// call asks the API for JSON.
export async function call(path, options) {
  let res;
  try {
    res = await fetch("/api/v1/" + path, { credentials: "same-origin", ...options });
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw unreachable();
  }
  const body = await res.json().catch(() => null);
  if (res.ok && body !== null) return body;
  if (res.status === 401 && path !== "signin") signedIn.value = false;
  throw new Failure(body?.detail ?? "The peer answered " + res.status, body?.hint, body?.code, res.status);
}

export async function signIn(code) {
  await call("signin", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ code }) });
  signedIn.value = true;
  listen();
}

export async function signOut() {
  await call("signout", { method: "POST" });
  close();
  signedIn.value = false;
}

let source = null, again = 0;

function close() {
  clearTimeout(again);
  source?.close();
  source = null;
}

// listen opens the stream, unless the page is hidden: a browser has few
// connections to one origin, and a page that nobody sees needs none.
export function listen() {
  close();
  if (document.hidden || signedIn.value === false) return;
  const s = source = new EventSource("/api/v1/events");
  const on = (name, take) => s.addEventListener(name, (e) => { if (e.data) take(JSON.parse(e.data)); });
  on("id", (line) => batch(() => { me.value = line; live.value = "live"; signedIn.value = true; }));
  on("peers", (line) => {
    const all = new Map(), now = new Date().toISOString();
    for (const [id, p] of peers.value) all.set(id, p.up ? { ...p, up: false, at: now } : p);
    for (const p of line.peers) all.set(p.id, p);
    peers.value = all;
  });
  on("peer", (line) => { peers.value = new Map(peers.value).set(line.id, line); });
  on("update", (line) => {
    if (updates.value.some((u) => u.from === line.from && u.seq === line.seq && u.cid === line.cid)) return;
    updates.value = [{ ...line, heard: Date.now() }, ...updates.value].slice(0, kept);
  });
  s.onerror = (e) => {
    if (e.data || s !== source) return; // an event named error: the stream goes on or ends by itself
    live.value = "lost";
    s.close();
    again = setTimeout(check, 1000);
  };
}

// check tells a peer that is away from one that does not know this browser.
async function check() {
  try {
    await call("version");
    signedIn.value = true;
    listen();
  } catch {
    if (signedIn.value !== false) again = setTimeout(check, 2000);
  }
}

document.addEventListener("visibilitychange", () => document.hidden ? close() : signedIn.value && listen());

// begin finds out whether this browser has signed in before.
export async function begin() {
  try {
    me.value = await call("id");
    signedIn.value = true;
    listen();
  } catch (e) {
    if (e.status !== 401) { live.value = "lost"; again = setTimeout(begin, 2000); }
  }
}
