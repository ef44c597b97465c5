import { html, useState, useEffect, size, count, Ago, Id, Copy, Cli, Trouble, sentence } from "./kit.js";
import { call, me, peers, live } from "./peer.js";
import { files, learn } from "./upload.js";
import { Chip, Preview, link } from "./files.js";

function Ask({ cid }) {
  const [text, set] = useState(cid);
  useEffect(() => set(cid), [cid]);
  const go = (e) => {
    e.preventDefault();
    const path = text.trim();
    if (path) location.hash = "#/health/" + encodeURIComponent(path);
  };
  return html`<form class="ask" onSubmit=${go}>
    <label for="path">CID, path or address of a gateway page</label>
    <div><input id="path" value=${text} onInput=${(e) => set(e.target.value)} spellcheck=${false} autocomplete="off" placeholder="bafk…" /><button class="main">Ask its holders</button></div>
  </form>`;
}

function Histogram({ h }) {
  const most = Math.max(1, ...h.copies), last = Math.max(h.target, h.copies.length - 1);
  const bars = [];
  for (let n = 0; n <= last; n++) bars.push([n, h.copies[n] ?? 0]);
  return html`<table class="histogram"><caption>Blocks by number of live copies</caption>
    <thead><tr><th scope="col">copies</th><th scope="col">blocks</th><th scope="col"><span class="sr">share</span></th></tr></thead>
    <tbody>${bars.map(([n, c]) => html`<tr class=${n === 0 ? "bad" : n < Math.min(h.target, h.members) ? "some" : "good"}>
      <th scope="row">${n}${n === h.target ? " (target)" : ""}</th><td class="num">${c}</td>
      <td class="wide"><svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect width=${100 * c / most} height="10" /></svg></td></tr>`)}</tbody></table>`;
}

// Health asks the holders, again when peers come or go, and every ten seconds
// while somebody looks.
export function Health({ cid }) {
  const [h, set] = useState(null), [error, fail] = useState(null), [turn, again] = useState(0), [seen, show] = useState(false);
  const up = [...peers.value.values()].filter((p) => p.up).map((p) => p.id).join();
  useEffect(() => { set(null); fail(null); show(false); }, [cid]);
  useEffect(() => {
    if (!cid || live.value !== "live" && turn === 0 && h) return;
    const stop = new AbortController();
    let timer;
    const ask = async () => {
      if (document.hidden) { timer = setTimeout(ask, 1000); return; }
      try {
        const got = await call("health?" + new URLSearchParams({ path: cid, detail: "true" }), { signal: stop.signal });
        set(got); fail(null);
        learn(got.cid, { copies: got.min, goal: Math.min(got.target, got.members), target: got.target });
      } catch (e) {
        if (e.name === "AbortError") return;
        fail(e);
      }
      timer = setTimeout(ask, 10_000);
    };
    timer = setTimeout(ask, h ? 700 : 0); // peers come and go in groups
    return () => { stop.abort(); clearTimeout(timer); };
  }, [cid, turn, up]);
  const file = h && (files.value.find((f) => f.cid === h.cid) ?? { cid: h.cid, name: h.cid });
  return html`<h1>Health</h1>
    <${Ask} cid=${cid} />
    ${!cid && html`<div class="empty"><p>Ask how well something is kept. Each of its holders has to prove, now, that it has the bytes; nobody is taken at their word.</p></div>`}
    <${Trouble} error=${error} retry=${() => again(turn + 1)} />
    ${cid && !h && !error && html`<p role="status">Asking the holders…</p>`}
    ${h && html`<section aria-labelledby="verdict" class="card">
      <h2 id="verdict" class="wrap">${file.name}</h2>
      <p class="verdict" role="status">${sentence(h.sentence)} <${Chip} copies=${h.min} target=${h.target} goal=${Math.min(h.target, h.members)} /></p>
      <p class="file-act"><${Id} value=${h.cid} /> <${Copy} text=${h.cid} what="CID" />
        ${link(file) && html`<a class="button quiet" href=${link(file)} target="_blank" rel="noopener noreferrer">Open in a new tab</a>
        <button class="quiet" aria-expanded=${seen} onClick=${() => show(!seen)}>${seen ? "Close preview" : "Preview"}</button>`}</p>
      ${seen && html`<${Preview} file=${file} />`}
      <dl class="facts"><div><dt>size</dt><dd>${size(h.bytes)}</dd></div><div><dt>blocks</dt><dd>${h.blocks}</dd></div>
        <div><dt>lease</dt><dd>${h.leased ? html`until ${new Date(h.expires).toLocaleDateString()}` : "none shown: copies may be dropped"}</dd></div>
        ${h.proved && !h.proved.startsWith("0001") && html`<div><dt>proved</dt><dd><${Ago} time=${h.proved} /></dd></div>`}</dl>
    </section>
    <section class="card"><${Histogram} h=${h} /></section>
    <section aria-labelledby="holders" class="card"><h2 id="holders">${count(h.holders.length, "holder")}</h2>
      ${h.holders.length === 0 ? html`<p>No other peer has any of it.${me.value?.peers === 0 ? " No other peer is connected." : ""}</p>`
      : html`<ul class="holders">${h.holders.map((id) => {
        const p = peers.value.get(id), mine = h.detail?.filter((b) => b.holders.includes(id)).length;
        const state = id === me.value?.id ? "this peer" : p?.up ? "up" : p ? "down" : "not connected to this peer";
        return html`<li key=${id}><${Dot} up=${p?.up || id === me.value?.id} /> <${Id} value=${id} /> <span>${state}</span>${h.detail && html`<span class="dim num">${mine} of ${count(h.blocks, "block")}</span>`}</li>`;
      })}</ul>`}
    </section>`}
    <${Cli}>${"cairn health " + (h?.cid ?? (cid || "CID"))}<//>`;
}

export function Dot({ up }) {
  return html`<svg class=${"dot " + (up ? "up" : "down")} viewBox="0 0 12 12" aria-hidden="true"><circle cx="6" cy="6" r="4.5" /></svg>`;
}
