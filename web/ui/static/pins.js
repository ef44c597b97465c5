// What is pinned on this peer, by whatever means it was put: of the peer, not of the browser.
import { html, signal, computed, useState, useEffect, size, Ago, Id, Copy } from "./kit.js";
import { call, jobs } from "./peer.js";
import { files } from "./upload.js";
import { here } from "./browse.js";

const all = signal([]), ended = computed(() => [...jobs.value.values()].filter((j) => j.ended).length);

// others are the pins that the list of this browser has not, newest first.
export const others = computed(() => {
  const mine = new Set(files.value.map((f) => f.cid));
  return all.value.filter((p) => !mine.has(p.cid)).sort((a, b) => a.time < b.time ? 1 : -1);
});

async function ask() {
  try { all.value = await call("pins"); } catch { /* what it knows stays; that the peer does not answer is said above */ }
}

function Pin({ p }) {
  const name = p.name || p.cid;
  return html`<li class="pinned">
    <div class="file-head"><a class="file-name" href=${here(p.cid)}>${name}</a><span class="dim num">${size(p.size)}</span><span class="dim"><${Ago} time=${p.time} /></span></div>
    <div class="file-act"><${Id} value=${p.cid} /> <${Copy} text=${p.cid} what=${"CID of " + name} />
      <a class="button quiet" href=${"#/health/" + p.cid} aria-label=${"Health of " + name}>Health</a></div></li>`;
}

export function Pins() {
  const [most, show] = useState(50), list = others.value;
  useEffect(() => { ask(); }, [ended.value]);
  if (list.length === 0) return null;
  return html`<section aria-labelledby="pinned"><h2 id="pinned">Also pinned on this peer</h2>
    <ul class="plain">${list.slice(0, most).map((p) => html`<${Pin} key=${p.cid} p=${p} />`)}</ul>
    ${list.length > most && html`<p><button onClick=${() => show(most + 200)}>Show more of ${list.length}</button></p>`}
    <p class="dim">What this peer keeps and the list above has not: put from a terminal, another browser or program, or taken off that list.</p></section>`;
}
