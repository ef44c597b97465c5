// What is stored under a CID: a directory with its entries, or a file.
import { html, useState, useEffect, useMemo, size, short, Id, Copy, Cli, Trouble, quote } from "./kit.js";
import { Failure, call, signedIn, unreachable } from "./peer.js";
import { files } from "./upload.js";
import { Preview, link, saved, kindOf } from "./preview.js";
import { Rows } from "./list.js";

// here is the address in this page of a path that begins with a CID.
export const here = (path) => "#/ipfs/" + path.split("/").map(encodeURIComponent).join("/");

// entries gives the entries of a directory in groups, as they come.
async function* entries(path, signal) {
  let res;
  try { res = await fetch("/api/v1/ls?" + new URLSearchParams({ path }), { signal }); } catch (e) { throw e.name === "AbortError" ? e : unreachable(); }
  if (!res.ok) {
    if (res.status === 401) signedIn.value = false;
    const p = await res.json().catch(() => null);
    throw new Failure(p?.detail ?? "The peer answered " + res.status, p?.hint, p?.code, res.status);
  }
  const text = res.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "";;) {
    const { value, done } = await text.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    if (!lines.length) continue;
    const group = JSON.parse("[" + lines.join(",") + "]"); // at once: a line at a time takes three times as long
    const bad = group.find((e) => e.type === "error" && e.code);
    if (bad) throw new Failure(bad.message, bad.hint, bad.code, 200);
    yield group;
  }
}

// order is by one thing; directories come first. Numbers within names count as
// such while there are few enough of them for that.
const natural = new Intl.Collator(undefined, { numeric: true });
function order(list, by, down) {
  const names = list.length > 5000 ? (a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0 : (a, b) => natural.compare(a.name, b.name);
  const less = by === "size" ? (a, b) => a.size - b.size || names(a, b) : by === "type" ? (a, b) => natural.compare(word(a), word(b)) || names(a, b) : names;
  const sorted = (some) => some.sort(down ? (a, b) => less(b, a) : less);
  return [...sorted(list.filter((e) => e.type === "dir")), ...sorted(list.filter((e) => e.type !== "dir"))];
}

const word = (e) => e.type === "file" ? kindOf(e.name) : { dir: "folder", symlink: "link", unknown: "not known" }[e.type] ?? e.type;

const drawn = { dir: "M1 3.5h5l1.5 2H15v8H1z", file: "M3 1h7l3 3v11H3z", symlink: "M2 8h9M8 4.5 11.5 8 8 11.5", unknown: "M3 1h7l3 3v11H3z" };
const Icon = ({ type }) => html`<svg class=${"icon icon-" + type} viewBox="0 0 16 16" aria-hidden="true"><path d=${drawn[type] ?? drawn.unknown} /></svg>`;

function Directory({ path }) {
  const [list, set] = useState([]), [state, is] = useState("listing"), [error, fail] = useState(null), [turn, again] = useState(0);
  const [find, seek] = useState(""), [by, sort] = useState("name"), [down, turned] = useState(false);
  useEffect(() => {
    const stop = new AbortController(), all = [];
    set([]); fail(null); is("listing");
    (async () => {
      let told = performance.now() - 750;
      try {
        for await (const group of entries(path, stop.signal)) {
          for (const e of group) all.push(e);
          if (performance.now() - told > 1000) { told = performance.now(); set([...all]); } // a slow one shows what has come
        }
        is("whole");
      } catch (e) {
        if (stop.signal.aborted) return;
        fail(e); is("broken");
      }
      set(all);
    })();
    return () => stop.abort();
  }, [path, turn]);
  const shown = useMemo(() => {
    const want = find.trim().toLowerCase();
    const some = want ? list.filter((e) => e.name.toLowerCase().includes(want)) : list;
    return state === "listing" && some.length > 5000 ? some : order(some, by, down);
  }, [list, find, by, down, state]);
  const head = (key, text) => html`<span role="columnheader" class=${"cell-" + key} aria-sort=${by === key ? (down ? "descending" : "ascending") : "none"}>
    <button class="plainly" onClick=${() => { turned(by === key && !down); sort(key); }}>${text}<span aria-hidden="true">${by === key ? (down ? " ↓" : " ↑") : ""}</span></button></span>`;
  const row = (e) => html`<span role="cell" class="cell-name"><${Icon} type=${e.type} /><a href=${e.type === "symlink" || e.type === "unknown" ? null : here(path + "/" + e.name)} title=${e.name}>${e.name}</a>${e.target && html` <span class="dim">→ ${e.target}</span>`}</span>
    <span role="cell" class="cell-type dim">${word(e)}</span><span role="cell" class="cell-size num">${e.size < 0 ? "not known" : size(e.size)}</span>
    <span role="cell" class="cell-get">${(e.type === "file" || e.type === "dir") && link(path) && html`<a class="button quiet" href=${saved(path + "/" + e.name, e.name, e.type === "dir")} download aria-label=${"Download " + e.name}>Download</a>`}</span>`;
  return html`<${Trouble} error=${error} retry=${() => again(turn + 1)} />
    <div class="section-head"><p role="status" id="entries">${list.length.toLocaleString("en")} ${list.length === 1 ? "entry" : "entries"}${state === "listing" ? " so far…" : ""}${find && `, ${shown.length.toLocaleString("en")} with “${find}”`}</p>
      ${list.length > 8 && html`<label class="find">Find by name <input type="search" value=${find} onInput=${(e) => seek(e.target.value)} autocomplete="off" spellcheck=${false} /></label>`}</div>
    ${list.length === 0 ? state === "whole" && html`<div class="empty"><p>This folder is empty.</p></div>`
    : html`<${Rows} rows=${shown} row=${row} label="Entries" head=${html`${head("name", "name")}${head("type", "type")}${head("size", "size")}<span role="columnheader" class="cell-get"><span class="sr">download</span></span>`} />`}`;
}

function Crumbs({ parts, name }) {
  return html`<nav class="crumbs" aria-label="Where this is"><ol><li><a href="#/files">Files</a></li>
    ${parts.map((p, i) => html`<li key=${i}><a href=${here(parts.slice(0, i + 1).join("/"))} aria-current=${i === parts.length - 1 ? "page" : null}>${i === 0 ? name : p}</a></li>`)}</ol></nav>`;
}

export function Browse({ cid: path }) {
  path = path.replace(/\/+$/, "");
  const parts = path.split("/"), root = parts[0], [stat, set] = useState(null), [error, fail] = useState(null), [turn, again] = useState(0);
  const known = files.value.find((f) => f.cid === root)?.name, called = known ?? short(root), name = parts.length > 1 ? parts.at(-1) : known ?? root;
  useEffect(() => {
    const stop = new AbortController();
    set(null); fail(null);
    call("stat?" + new URLSearchParams({ path }), { signal: stop.signal }).then((s) => set({ ...s, path }), (e) => { if (e.name !== "AbortError") fail(e); });
    return () => stop.abort();
  }, [path, turn]);
  const now = stat?.path === path ? stat : null, dir = now?.type === "dir", open = link(path, name);
  return html`<${Crumbs} parts=${parts} name=${called} />
    <h1 class="wrap">${parts.length > 1 ? parts.at(-1) : called}</h1>
    <${Trouble} error=${error} retry=${() => again(turn + 1)} />
    ${!now && !error && html`<p role="status">Looking…</p>`}
    ${now && html`<p class="file-act"><span class="dim">${dir ? "folder" : kindOf(name) + ", " + size(now.size)}</span> <${Id} value=${now.cid} /> <${Copy} text=${now.cid} what="CID" />
      <a class="button quiet" href=${"#/health/" + encodeURIComponent(now.cid)}>Health</a>
      ${open && html`<a class="button quiet" href=${open} target="_blank" rel="noopener noreferrer">Open in a new tab</a>
        <a class="button quiet" href=${saved(path, name, dir)} download>Download${dir ? " as tar" : ""}</a>`}</p>
      ${dir ? html`<${Directory} key=${path} path=${path} />` : now.type === "file" ? open ? html`<${Preview} path=${path} name=${name} />` : html`<p class="note">This peer has no gateway, through which a preview would come.</p>`
        : now.type === "symlink" ? html`<p>A link to <code>${now.target}</code>.</p>` : html`<p>It is neither a file nor a folder.</p>`}`}
    <${Cli}>${(dir ? "cairn ls " : "cairn get ") + quote(path)}<//>`;
}
