import { html, useState, useEffect, size, count, Ago, Id, Copy, Cli, Trouble, sentence } from "./kit.js";
import { call, task, me, peers, live } from "./peer.js";
import { files, learn } from "./upload.js";
import { Chip } from "./files.js";
import { here } from "./browse.js";
import { Ring } from "./ring.js";

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

// Health asks the holders, again when peers come or go and every ten seconds
// while somebody looks, and all the time while copies are missing.
export function Health({ cid }) {
  const [h, set] = useState(null), [error, fail] = useState(null), [turn, again] = useState(0);
  const up = [...peers.value.values()].filter((p) => p.up).map((p) => p.id).join();
  useEffect(() => { set(null); fail(null); }, [cid]);
  useEffect(() => {
    if (!cid || live.value !== "live" && turn === 0 && h) return;
    const stop = new AbortController();
    let timer, next = 10_000;
    const ask = async () => {
      if (document.hidden) { timer = setTimeout(ask, 1000); return; }
      try {
        const got = await call("health?" + new URLSearchParams({ path: cid, detail: "true" }), { signal: stop.signal });
        set(got); fail(null);
        next = got.at_risk > 0 || got.min === 0 ? 1000 : 10_000;
        learn(got.cid, { copies: got.min, goal: Math.min(got.target, got.members), target: got.target });
      } catch (e) {
        if (e.name === "AbortError") return;
        fail(e);
      }
      timer = setTimeout(ask, next);
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
        <a class="button quiet" href=${here(h.cid)}>Open</a></p>
      <dl class="facts"><div><dt>copies</dt><dd class="num">${h.min} of ${h.target}</dd></div><div><dt>blocks at risk</dt><dd class="num">${h.at_risk} of ${h.blocks}</dd></div><div><dt>size</dt><dd>${size(h.bytes)}</dd></div>
        <div><dt>lease</dt><dd>${h.leased ? html`until ${new Date(h.expires).toLocaleDateString()}` : "none shown: copies may be dropped"}</dd></div>
        ${h.repairs?.length > 0 && html`<div><dt>to restore them</dt><dd>${h.repairs.length <= 3 ? h.repairs.map((id) => html`<${Id} value=${id} /> `) : count(h.repairs.length, "peer")}</dd></div>`}
        ${h.proved && !h.proved.startsWith("0001") && html`<div><dt>proved</dt><dd><${Ago} time=${h.proved} /></dd></div>`}</dl>
    </section>
    ${h.leased && h.at_risk > 0 && html`<${Repair} h=${h} done=${() => again(turn + 1)} />`}
    <section class="card"><${Histogram} h=${h} /></section>
    <${Holders} h=${h} name=${file.name} />`}
    <${Cli}>${"cairn health " + (h?.cid ?? (cid || "CID"))}<//>`;
}

// Repair gives missing copies now; the peers would do it by themselves in their time.
function Repair({ h, done }) {
  const [busy, work] = useState(false), [said, say] = useState(""), [error, fail] = useState(null);
  const go = async () => {
    work(true); fail(null); say("");
    try {
      const r = await task("repair?" + new URLSearchParams({ path: h.cid }));
      say(`${r.copies} given, ${size(r.bytes)}` + (r.lacking > 0 ? `; ${count(r.lacking, "block")} lack copies still${r.error ? ": " + r.error : ""}` : ""));
      done();
    } catch (e) { fail(e); }
    work(false);
  };
  return html`<section class="card" aria-labelledby="repair"><h2 id="repair">Missing copies</h2>
    <p>The peers restore them by themselves, each in its turn.</p>
    <p><button class="main" disabled=${busy} onClick=${go}>${busy ? "Giving copies…" : "Repair now"}</button> <span role="status">${said}</span></p>
    <${Trouble} error=${error} />
    <${Cli}>${"cairn repair " + h.cid}<//></section>`;
}

// Holders shows who has it, on the ring and in a table that says the same.
function Holders({ h, name }) {
  const has = new Map(h.places.map((p) => [p.id, p])), self = me.value, rows = h.places.map((p) => {
    const seen = peers.value.get(p.id), mine = p.id === self?.id;
    return { ...p, mine, up: mine || seen?.up, state: mine ? "this peer" : seen?.up ? "up" : seen ? "down" : "not connected to this peer" };
  });
  const points = [...peers.value.values()].filter((p) => !has.has(p.id)).map((p) => ({ id: p.id, key: p.key, kind: p.up ? "up" : "down", title: p.id + (p.up ? ", has none of it" : ", down") }));
  if (self && !has.has(self.id)) points.push({ id: self.id, key: self.key, kind: "up", self: true, title: "this peer" });
  for (const r of rows) points.push({ id: r.id, key: r.key, kind: r.up === false ? "down" : "holder", self: r.mine, linked: r.up !== false, title: `${r.id}, ${r.state}, has ${r.blocks ?? 0} of ${count(h.blocks, "block")}` });
  const label = `The ring of keys: ${name}, ${count(rows.length, "holder")} of it, and the other peers. The table of holders has the same.`;
  return html`<section aria-labelledby="holders" class="network"><figure class="card"><${Ring} points=${points} from=${h.key} thing=${name} label=${label} big=${h.min + "/" + h.target} small="copies of each block" />
      <figcaption class="dim"><svg class="mark" viewBox="0 0 16 16" aria-hidden="true"><path class="ring-thing" d="M8 1l7 7-7 7-7-7z" /></svg> where its root stands. <svg class="mark" viewBox="0 0 16 16" aria-hidden="true"><circle class="ring-peer holder" cx="8" cy="8" r="6" /></svg> has some of it. Each block goes to the peers closest to its own key.</figcaption></figure>
    <div class="card scroll" tabindex="0" role="region" aria-label="Table of holders"><h2 id="holders">${count(rows.length, "holder")}</h2>
      ${rows.length === 0 ? html`<p>No other peer has any of it.${self?.peers === 0 ? " No other peer is connected." : ""}</p>`
      : html`<table class="peers"><thead><tr><th scope="col">state</th><th scope="col">peer</th><th scope="col">blocks</th></tr></thead>
        <tbody>${rows.map((r) => html`<tr key=${r.id} class=${r.up === false ? "down" : ""} data-holder=${r.id}><td class="state"><${Dot} up=${r.up} /> ${r.state}</td><td><${Id} value=${r.id} /></td><td class="num">${r.blocks ?? 0} of ${h.blocks}</td></tr>`)}</tbody></table>`}</div></section>`;
}

export function Dot({ up }) {
  return html`<svg class=${"dot " + (up ? "up" : "down")} viewBox="0 0 12 12" aria-hidden="true"><circle cx="6" cy="6" r="4.5" /></svg>`;
}
