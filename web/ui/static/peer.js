// The peer this page belongs to: requests to its API, and the one live stream.
import { signal, effect, batch } from "./kit.js";
import { stream } from "./stream.js";

export const signedIn = signal(undefined); // undefined: not known yet
export const live = signal("connecting");  // connecting, live, lost
export const me = signal(null);            // the last id line
export const peers = signal(new Map());    // id → peer line; those that went stay, with up false
export const updates = signal([]);         // newest first
export const jobs = signal(new Map());     // id → what is put at the peer, by anybody, or was lately

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

// task starts something that answers in lines, and gives the last one.
export async function task(path) {
  let res;
  try {
    res = await fetch("/api/v1/" + path, { method: "POST", credentials: "same-origin" });
  } catch {
    throw unreachable();
  }
  const text = await res.text();
  let last = null;
  try { last = JSON.parse(text.trimEnd().split("\n").pop()); } catch { /* said below */ }
  if (res.ok && last?.type === "summary") return last;
  throw new Failure(last?.message ?? last?.detail ?? "The peer answered " + res.status, last?.hint, last?.code, res.status);
}

export async function signIn(code) {
  await call("signin", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ code }) });
  signedIn.value = true;
  live.value = "connecting";
  follow();
  shout({ door: "open" });
}

export async function signOut() {
  await call("signout", { method: "POST" });
  signedIn.value = false;
  shout({ door: "shut" });
}

// heard is what each line of the stream changes.
const heard = {
  id: (line) => { me.value = line; live.value = "live"; signedIn.value = true; },
  peers: (line) => {
    const all = new Map(), now = new Date().toISOString();
    for (const [id, p] of peers.value) all.set(id, p.up ? { ...p, up: false, at: now } : p);
    for (const p of line.peers) all.set(p.id, p);
    peers.value = all;
  },
  peer: (line) => { peers.value = new Map(peers.value).set(line.id, line); },
  update: (line) => {
    if (updates.value.some((u) => u.from === line.from && u.seq === line.seq && u.cid === line.cid)) return;
    updates.value = [{ heard: Date.now(), ...line }, ...updates.value].slice(0, kept);
  },
  jobs: (line) => {
    const all = new Map(jobs.value);
    for (const j of line.jobs) all.set(j.id, j);
    for (const [id, j] of all) if (all.size > 2 * kept && j.ended) all.delete(id);
    jobs.value = all;
  },
  live: (line) => { live.value = line.live; },
};

const take = (line) => batch(() => {
  if (line.door) {
    if (line.door === "open" && signedIn.value === false) { signedIn.value = true; follow(); }
    if (line.door === "shut") signedIn.value = false;
  } else if (line.type === "all") for (const one of line.lines) heard[one.type]?.(one);
  else heard[line.type]?.(line);
});

// snapshot is what a page that comes later is told.
const snapshot = () => ({ type: "all", lines: [
  ...(me.value ? [{ ...me.value, type: "id" }] : []),
  { type: "peers", peers: [...peers.value.values()] }, { type: "jobs", jobs: [...jobs.value.values()] },
  ...updates.value.map((u) => ({ ...u, type: "update" })).reverse(), { type: "live", live: live.value }] });

// open starts the stream; what it says is told to the other pages.
function open(tell) {
  let source = null, again = 0;
  const go = () => {
    const s = source = new EventSource("/api/v1/events");
    for (const type of ["id", "peers", "peer", "update", "jobs"]) {
      s.addEventListener(type, (e) => {
        const line = { ...JSON.parse(e.data), type };
        take(line);
        tell(line);
      });
    }
    s.onerror = (e) => {
      if (e.data || s !== source) return; // an event named error: the stream goes on or ends by itself
      s.close();
      const line = { type: "live", live: "lost" };
      take(line);
      tell(line);
      again = setTimeout(check, 1000);
    };
  };
  // check tells a peer that is away from one that does not know this browser.
  const check = async () => {
    try {
      await call("version");
      if (source) go();
    } catch {
      if (signedIn.value === false) shout({ door: "shut" });
      else if (source) again = setTimeout(check, 2000);
    }
  };
  go();
  return () => { clearTimeout(again); source.close(); source = null; };
}

const { follow: join, leave, shout } = stream({ open, snapshot, take });
const follow = () => { if (signedIn.value !== false) join(); };
effect(() => { if (signedIn.value === false) leave(); });

// begin finds out whether this browser has signed in before.
export async function begin() {
  try {
    me.value = await call("id");
    signedIn.value = true;
    follow();
  } catch (e) {
    if (e.status !== 401) { live.value = "lost"; setTimeout(begin, 2000); }
  }
}
