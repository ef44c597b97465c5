import { html, count, Ago, Id, Cli } from "./kit.js";
import { me, peers } from "./peer.js";
import { Dot } from "./health.js";

// place is where a key stands on the ring, as a part of one turn.
const place = (key) => key ? parseInt(key.slice(0, 12), 16) / 2 ** 48 : 0;

function at(key, r) {
  const a = 2 * Math.PI * place(key);
  return [150 + r * Math.sin(a), 150 - r * Math.cos(a)];
}

function Ring({ all }) {
  const self = me.value, [sx, sy] = at(self?.key, 120);
  const up = all.filter((p) => p.up).length;
  const words = `The ring of keys: this peer and ${count(up, "peer")} it is connected to` + (all.length > up ? `, and ${all.length - up} that went down` : "") + ". The table below has the same.";
  return html`<svg class="ring" viewBox="15 15 270 270" role="img" aria-label=${words}>
    <circle class="ring-track" cx="150" cy="150" r="120" />
    ${all.filter((p) => p.up).map((p) => { const [x, y] = at(p.key, 120); return html`<path key=${"c" + p.id} class="ring-link" d=${`M${sx} ${sy} Q150 150 ${x} ${y}`} />`; })}
    ${all.map((p) => { const [x, y] = at(p.key, 120); return html`<circle key=${p.id} class=${"ring-peer " + (p.up ? "up" : "down")} cx=${x} cy=${y} r="7"><title>${p.id}</title></circle>`; })}
    ${self && html`<circle class="ring-self" cx=${sx} cy=${sy} r="9"><title>${"this peer, " + self.id}</title></circle>`}
    <text x="150" y="146" text-anchor="middle" class="ring-count">${up}</text>
    <text x="150" y="164" text-anchor="middle" class="ring-word">${up === 1 ? "peer up" : "peers up"}</text>
  </svg>`;
}

export function Network() {
  const all = [...peers.value.values()].sort((a, b) => a.key < b.key ? -1 : 1), self = me.value;
  return html`<h1>Network</h1>
    ${self && html`<p class="lead">This peer is <strong>${{ alone: "alone", ready: "ready", warming: "getting to know its network", starting: "starting" }[self.state] ?? self.state}</strong> in the network <code>${self.network}</code>.</p>`}
    ${all.length === 0 ? html`<div class="empty"><p>No other peer yet. What you put is kept here only, and is copied as soon as somebody comes.</p>
      <p>Start this peer with the address of another: <code>cairn daemon --bootstrap ADDRESS</code>. Give others one of these:</p>
      <ul class="addresses">${(self?.addresses ?? []).map((a) => html`<li><code>${a}</code></li>`)}</ul></div>`
    : html`<div class="network"><figure class="card"><${Ring} all=${all} />
      <figcaption class="dim">Each peer stands where its key does. A block goes to the peers closest to its own key.</figcaption></figure>
      <div class="card scroll" tabindex="0" role="region" aria-label="Table of peers"><table class="peers"><caption>Peers, up and down</caption>
        <thead><tr><th scope="col">state</th><th scope="col">peer</th><th scope="col">stores</th><th scope="col">round trip</th><th scope="col">since</th></tr></thead>
        <tbody>${all.map((p) => html`<tr key=${p.id} class=${p.up ? "" : "down"} data-peer=${p.id}>
          <td class="state"><${Dot} up=${p.up} /> ${p.up ? "up" : "down"}</td><td><${Id} value=${p.id} /></td>
          <td>${p.member ? "for others" : "no"}</td><td class="num">${p.up && p.latency ? (1000 * p.latency).toFixed(1) + " ms" : ""}</td><td><${Ago} time=${p.at} /></td></tr>`)}</tbody></table></div></div>`}
    <${Cli}>cairn peers<//>`;
}
