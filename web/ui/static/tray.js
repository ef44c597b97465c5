// What is on its way: three bars each, and one line for all of it.
import { html, useState, size, count, Trouble } from "./kit.js";
import { tray, files, retry, cancel, cancelAll, clear, least, spread } from "./upload.js";
import { here } from "./browse.js";

function Bar({ label, value, max = 1, text }) {
  return html`<div class="bar"><span class="bar-label">${label}</span>
    <progress value=${value} max=${max || 1} aria-label=${label}></progress><span class="bar-text">${text}</span></div>`;
}

const percent = (part, whole) => whole ? Math.min(100, Math.floor(100 * part / whole)) + " %" : "";

function Upload({ u }) {
  const p = u.progress, sent = u.state === "done" || u.state === "spreading";
  const now = u.cid && files.value.find((f) => f.cid === u.cid); // copying goes on after a put is done
  const many = u.folder && (u.files.length || u.gotFiles || u.found);
  return html`<li class="upload" data-state=${u.state}>
    <div class="upload-head"><strong>${u.name}${u.folder ? "/" : ""}</strong> <span class="dim num">${many ? count(many, "file") + ", " : ""}${size(u.size ?? u.got)}</span>
      ${u.state === "done" ? html`<span class="upload-act"><a href=${here(u.cid)}>Open</a> <a href=${"#/health/" + u.cid}>Stored, see its health</a></span>`
        : u.state === "failed" ? html`<span class="upload-act">${!u.gone && html`<button class="quiet" onClick=${() => retry(u)}>Try again</button>`} <button class="quiet" onClick=${() => cancel(u)}>Dismiss</button></span>`
        : html`<span class="upload-act"><span class="dim">${u.state === "waiting" ? "waiting" : u.state === "looking" ? count(u.found ?? 0, "file") + " found…" : u.adopted && u.state === "sending" ? "sent from elsewhere" : ""}</span>
          <button class="quiet" onClick=${() => cancel(u)} aria-label=${(sent || u.adopted ? "Hide " : "Cancel ") + u.name}>${sent || u.adopted ? "Hide" : "Cancel"}</button></span>`}
    </div>
    ${u.state === "failed" ? html`<${Trouble} error=${u.error} />` : u.state === "waiting" || u.state === "looking" ? null : html`
      <${Bar} label="sent" value=${sent ? 1 : u.size ? u.sent : 0} max=${sent ? 1 : u.size ?? 0} text=${sent ? "all" : u.size ? percent(u.sent, u.size) : size(u.sent)} />
      <${Bar} label="stored" value=${p || u.state === "done" ? 1 : (u.got ?? 0) / (u.size || Infinity)} text=${p ? count(p.blocks, "block") : u.folder && u.gotFiles ? count(u.gotFiles, "file") : sent ? "" : u.got ? size(u.got) : ""} />
      <${Bar} label="copies" value=${now ? now.copies / (now.goal || 1) : spread(p)} text=${now ? now.copies + " of " + now.target : p ? least(p) + " of " + p.target : ""} />`}
    ${u.note && html`<p class="note">${u.note}</p>`}
  </li>`;
}

// rank puts what moves first, and what waits last.
const rank = { failed: 0, sending: 1, spreading: 1, looking: 1, done: 2, waiting: 3 };

// All says how far everything is, when that is more than one.
function All({ ups }) {
  const of = (state) => ups.filter((u) => u.state === state).length;
  const own = ups.filter((u) => !u.adopted && u.state !== "failed"), bytes = own.reduce((n, u) => n + u.size, 0), sent = own.reduce((n, u) => n + Math.min(u.sent, u.size), 0);
  const words = [of("done") + " of " + ups.length + " stored", of("failed") && of("failed") + " failed"].filter(Boolean).join(", ");
  return html`<div class="all" role="group" aria-label="All together"><${Bar} label="all sent" value=${bytes ? sent : 0} max=${bytes} text=${percent(sent, bytes)} />
    <${Bar} label="all stored" value=${of("done")} max=${ups.length} text="" /><p class="dim num">${words}</p></div>`;
}

export function Tray() {
  const [more, show] = useState(false), ups = tray.value;
  if (ups.length === 0) return null;
  const most = more ? 500 : 20, sorted = [...ups].sort((a, b) => rank[a.state] - rank[b.state]);
  const busy = ups.some((u) => ["looking", "waiting", "sending"].includes(u.state) && !u.adopted);
  return html`<section aria-labelledby="tray"><div class="section-head"><h2 id="tray">On their way</h2><div class="file-act">
      ${busy && ups.length > 1 && html`<button class="quiet" onClick=${cancelAll}>Cancel all that is not sent</button>`}
      ${ups.some((u) => u.state === "done") && html`<button class="quiet" onClick=${clear}>Clear those that are stored</button>`}</div></div>
    ${ups.length > 1 && html`<${All} ups=${ups} />`}
    <ul class="plain">${sorted.slice(0, most).map((u) => html`<${Upload} key=${u.id} u=${u} />`)}</ul>
    ${ups.length > most && html`<p class="dim">and ${ups.length - most} more ${!more && html`<button class="quiet" onClick=${() => show(true)}>Show</button>`}</p>`}</section>`;
}
