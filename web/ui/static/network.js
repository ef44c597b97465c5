import { html, count, Ago, Id, Cli } from "./kit.js";
import { me, peers } from "./peer.js";
import { Dot } from "./health.js";
import { Ring } from "./ring.js";

function Peers({ all }) {
  const self = me.value, up = all.filter((p) => p.up).length;
  const label = `The ring of keys: this peer and ${count(up, "peer")} it is connected to` + (all.length > up ? `, and ${all.length - up} that went down` : "") + ". The table below has the same.";
  const points = all.map((p) => ({ id: p.id, key: p.key, kind: p.up ? "up" : "down", linked: p.up, title: p.id }));
  if (self) points.push({ id: self.id, key: self.key, kind: "up", self: true, title: "this peer, " + self.id });
  return html`<${Ring} points=${points} from=${self?.key} label=${label} big=${up} small=${up === 1 ? "peer up" : "peers up"} />`;
}

export function Network() {
  const all = [...peers.value.values()].sort((a, b) => a.key < b.key ? -1 : 1), self = me.value;
  return html`<h1>Network</h1>
    ${self && html`<p class="lead">This peer is <strong>${{ alone: "alone", ready: "ready", warming: "getting to know its network", starting: "starting" }[self.state] ?? self.state}</strong> in the network <code>${self.network}</code>.</p>`}
    ${all.length === 0 ? html`<div class="empty"><p>No other peer yet. What you put is kept here only, and is copied as soon as somebody comes.</p>
      <p>Start this peer with the address of another: <code>cairn daemon --bootstrap ADDRESS</code>. Give others one of these:</p>
      <ul class="addresses">${(self?.addresses ?? []).map((a) => html`<li><code>${a}</code></li>`)}</ul></div>`
    : html`<div class="network"><figure class="card"><${Peers} all=${all} />
      <figcaption class="dim">Each peer stands where its key does. A block goes to the peers closest to its own key.</figcaption></figure>
      <div class="card scroll" tabindex="0" role="region" aria-label="Table of peers"><table class="peers"><caption>Peers, up and down</caption>
        <thead><tr><th scope="col">state</th><th scope="col">peer</th><th scope="col">stores</th><th scope="col">round trip</th><th scope="col">since</th></tr></thead>
        <tbody>${all.map((p) => html`<tr key=${p.id} class=${p.up ? "" : "down"} data-peer=${p.id}>
          <td class="state"><${Dot} up=${p.up} /> ${p.up ? "up" : "down"}</td><td><${Id} value=${p.id} /></td>
          <td>${p.member ? "for others" : "no"}</td><td class="num">${p.up && p.latency ? (1000 * p.latency).toFixed(1) + " ms" : ""}</td><td><${Ago} time=${p.at} /></td></tr>`)}</tbody></table></div></div>`}
    <${Cli}>cairn peers<//>`;
}
