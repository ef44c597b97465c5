import { html, useState, useRef, size, count, Ago, Id, Copy, Cli, Trouble, quote } from "./kit.js";
import { me } from "./peer.js";
import { tray, files, announce, put, retry, cancel, clear, forget, least, spread } from "./upload.js";

export const link = (f) => me.value?.gateway && me.value.gateway + "/ipfs/" + f.cid + "?" + new URLSearchParams({ filename: f.name });

export function Chip({ copies, target, goal }) {
  const state = copies === 0 ? "bad" : copies >= (goal ?? target) ? "good" : "some";
  const word = { good: "safe", some: "fewer", bad: "no copy" }[state];
  return html`<span class=${"chip " + state}>${copies}/${target} <span>${word}</span></span>`;
}

function Bar({ label, value, max = 1, text }) {
  return html`<div class="bar"><span class="bar-label">${label}</span>
    <progress value=${value} max=${max || 1} aria-label=${label}></progress><span class="bar-text">${text}</span></div>`;
}

function Upload({ u }) {
  const p = u.progress, whole = u.state === "done" || u.state === "spreading";
  const now = u.cid && files.value.find((f) => f.cid === u.cid); // copying goes on after a put is done
  return html`<li class="upload">
    <div class="upload-head"><strong>${u.name}</strong> <span class="dim">${size(u.size)}</span>
      ${u.state === "done" ? html`<a href=${"#/health/" + u.cid}>Stored, see its health</a>`
        : u.state === "failed" ? html`<button onClick=${() => retry(u)}>Try again</button> <button class="quiet" onClick=${() => cancel(u)}>Dismiss</button>`
        : html`<span class="dim">${u.state === "waiting" ? "waiting" : ""}</span> <button class="quiet" onClick=${() => cancel(u)} aria-label=${"Cancel " + u.name}>${u.state === "spreading" ? "Hide" : "Cancel"}</button>`}
    </div>
    ${u.state === "failed" ? html`<${Trouble} error=${u.error} />` : html`
      <${Bar} label="sent" value=${whole ? 1 : u.sent} max=${whole ? 1 : u.size} text=${whole ? "all" : u.size ? Math.floor(100 * u.sent / u.size) + " %" : ""} />
      <${Bar} label="stored" value=${p ? 1 : 0} text=${p ? count(p.blocks, "block") : ""} />
      <${Bar} label="copies" value=${now ? now.copies / (now.goal || 1) : spread(p)} text=${now ? now.copies + " of " + now.target : p ? least(p) + " of " + p.target : ""} />`}
    ${u.note && html`<p class="note">${u.note}</p>`}
  </li>`;
}

const pictures = /\.(png|jpe?g|gif|webp|avif|svg|bmp|ico)$/i, films = /\.(mp4|webm|mov|m4v|ogv)$/i, sounds = /\.(mp3|ogg|oga|wav|flac|m4a|opus)$/i;

// Preview comes from the gateway, another origin: what a stranger put can reach
// neither this page nor the API.
export function Preview({ file }) {
  const src = link(file);
  if (pictures.test(file.name)) return html`<img class="preview" src=${src} alt=${file.name} />`;
  if (films.test(file.name)) return html`<video class="preview" src=${src} controls></video>`;
  if (sounds.test(file.name)) return html`<audio class="preview" src=${src} controls></audio>`;
  return html`<iframe class="preview" src=${src} sandbox="" title=${"Preview of " + file.name}></iframe>`;
}

function Row({ f }) {
  const [open, set] = useState(false);
  return html`<li class="file">
    <div class="file-head">
      <a class="file-name" href=${"#/health/" + f.cid}>${f.name}</a>
      <${Chip} ...${f} />
      <span class="dim num">${size(f.size)}</span>
      <span class="dim"><${Ago} time=${f.time} /></span>
    </div>
    <div class="file-act">
      <${Id} value=${f.cid} />
      <${Copy} text=${f.cid} what=${"CID of " + f.name} />
      ${link(f) && html`<a class="button quiet" href=${link(f)} target="_blank" rel="noopener noreferrer" aria-label=${"Open " + f.name + " in a new tab"}>Open</a>
        <button class="quiet" aria-expanded=${open} aria-label=${(open ? "Close preview of " : "Preview ") + f.name} onClick=${() => set(!open)}>${open ? "Close preview" : "Preview"}</button>`}
      <button class="quiet" aria-label=${"Take off list: " + f.name} onClick=${() => forget(f.cid)}>Take off list</button>
    </div>
    ${open && html`<${Preview} file=${f} />`}
  </li>`;
}

export function Files() {
  const input = useRef(), list = files.value, ups = tray.value;
  const choose = (e) => { put(e.target.files); e.target.value = ""; };
  return html`<h1>Files</h1>
    <section class="drop" aria-label="Put files">
      <p class="drop-lead">Drop files anywhere on this page</p>
      <p><button class="main" onClick=${() => input.current.click()}>Choose files</button></p>
      <input ref=${input} id="choose" type="file" multiple hidden onChange=${choose} />
      <label class="check"><input type="checkbox" checked=${announce.value} onChange=${(e) => { announce.value = e.target.checked; }} /> Tell everybody who listens to updates</label>
    </section>
    <${Cli}>${"cairn put " + (announce.value ? "--announce " : "") + (list[0] ? quote(list[0].name) : "FILE")}<//>
    ${ups.length > 0 && html`<section aria-labelledby="tray"><div class="section-head"><h2 id="tray">On their way</h2>
      ${ups.some((u) => u.state === "done") && html`<button class="quiet" onClick=${clear}>Clear those that are stored</button>`}</div>
      <ul class="plain">${ups.slice(0, 100).map((u) => html`<${Upload} key=${u.id} u=${u} />`)}</ul>
      ${ups.length > 100 && html`<p class="dim">and ${ups.length - 100} more</p>`}</section>`}
    <section aria-labelledby="put"><h2 id="put">Put from this browser</h2>
      ${list.length === 0 ? html`<div class="empty"><p>Nothing yet. A file you put is cut into blocks, and each block is copied to the peers whose keys are closest to its own. From then on it outlives this peer.</p>
        <p>You get a CID for it: whoever has that can get the file from any peer.</p></div>`
      : html`<ul class="plain">${list.map((f) => html`<${Row} key=${f.cid} f=${f} />`)}</ul>
        <p class="dim">This list is in this browser only. Taking a file off it deletes nothing.</p>`}
    </section>`;
}
