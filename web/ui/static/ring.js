// The ring of keys: where peers and things stand, and who is close to what.
import { html } from "./kit.js";

// place is where a key stands on the ring, as a part of one turn.
const place = (key) => key ? parseInt(key.slice(0, 12), 16) / 2 ** 48 : 0;

function at(key, r) {
  const a = 2 * Math.PI * place(key);
  return [150 + r * Math.sin(a), 150 - r * Math.cos(a)];
}

// Ring draws points {id, key, kind, self, linked, title} around what is said in its
// middle. kind is up, down, holder or gone; from is the key that links lead from,
// drawn as a thing if thing is set. The page must say the same in a table.
export function Ring({ points, from, thing, label, big, small }) {
  const [fx, fy] = at(from, 120);
  return html`<svg class="ring" viewBox="15 15 270 270" role="img" aria-label=${label}>
    <circle class="ring-track" cx="150" cy="150" r="120" />
    ${points.filter((p) => p.linked).map((p) => { const [x, y] = at(p.key, 120); return html`<path key=${"c" + p.id} class="ring-link" d=${`M${fx} ${fy} Q150 150 ${x} ${y}`} />`; })}
    ${points.map((p) => { const [x, y] = at(p.key, 120); return html`<circle key=${p.id} class=${`ring-peer ${p.kind}${p.self ? " self" : ""}`} cx=${x} cy=${y} r=${p.kind === "up" && thing ? 4.5 : p.self || p.kind === "holder" ? 9 : 7}><title>${p.title}</title></circle>`; })}
    ${thing && html`<path class="ring-thing" d=${`M${fx} ${fy - 8} l8 8 l-8 8 l-8 -8 z`}><title>${thing}</title></path>`}
    <text x="150" y="146" text-anchor="middle" class="ring-count">${big}</text>
    <text x="150" y="164" text-anchor="middle" class="ring-word">${small}</text>
  </svg>`;
}
