import { html, useState, useRef, size, Ago, Id, Copy, Cli, quote } from "./kit.js";
import { files, announce, put, putFolders, forget } from "./upload.js";
import { Preview, link } from "./preview.js";
import { Tray } from "./tray.js";
import { here } from "./browse.js";
import { Pins, others } from "./pins.js";

export function Chip({ copies, target, goal }) {
  const state = copies === 0 ? "bad" : copies >= (goal ?? target) ? "good" : "some";
  const word = { good: "safe", some: "fewer", bad: "no copy" }[state];
  return html`<span class=${"chip " + state}>${copies}/${target} <span>${word}</span></span>`;
}

function Row({ f }) {
  const [open, set] = useState(false);
  return html`<li class="file">
    <div class="file-head">
      <a class="file-name" href=${here(f.cid)}>${f.name}${f.folder ? "/" : ""}</a>
      <a class="bare" href=${"#/health/" + f.cid}><${Chip} ...${f} /><span class="sr">, health of ${f.name}</span></a>
      <span class="dim num">${size(f.size)}</span>
      <span class="dim"><${Ago} time=${f.time} /></span>
    </div>
    <div class="file-act">
      <${Id} value=${f.cid} />
      <${Copy} text=${f.cid} what=${"CID of " + f.name} />
      ${link(f.cid) && !f.folder && html`<a class="button quiet" href=${link(f.cid, f.name)} target="_blank" rel="noopener noreferrer" aria-label=${"Open " + f.name + " in a new tab"}>Open</a>
        <button class="quiet" aria-expanded=${open} aria-label=${(open ? "Close preview of " : "Preview ") + f.name} onClick=${() => set(!open)}>${open ? "Close preview" : "Preview"}</button>`}
      <button class="quiet" aria-label=${"Take off list: " + f.name} onClick=${() => forget(f.cid)}>Take off list</button>
    </div>
    ${open && html`<${Preview} path=${f.cid} name=${f.name} />`}
  </li>`;
}

function Kept() {
  const [most, show] = useState(50), list = files.value;
  if (list.length === 0 && others.value.length > 0) return html`<div class="empty"><p>The list of this browser is empty.</p></div>`;
  if (list.length === 0) return html`<div class="empty"><p>Nothing yet. A file you put is cut into blocks, and each block is copied to the peers whose keys are closest to its own. From then on it outlives this peer.</p>
    <p>You get a CID for it: whoever has that can get the file from any peer.</p></div>`;
  return html`<ul class="plain">${list.slice(0, most).map((f) => html`<${Row} key=${f.cid} f=${f} />`)}</ul>
    ${list.length > most && html`<p><button onClick=${() => show(most + 200)}>Show more of ${list.length}</button></p>`}
    <p class="dim">This list is in this browser only. Taking a file off it deletes nothing.</p>`;
}

// Hint shows how to do it in a terminal with what was put last.
function Hint() {
  const last = files.value[0];
  return html`<${Cli}>${"cairn put " + (last?.folder ? "-r " : "") + (announce.value ? "--announce " : "") + (last ? quote(last.name) : "FILE")}<//>`;
}

export function Files() {
  const input = useRef(), folder = useRef();
  const choose = (take) => (e) => { take(e.target.files); e.target.value = ""; };
  return html`<h1>Files</h1>
    <section class="drop" aria-label="Put files">
      <p class="drop-lead">Drop files or folders anywhere on this page</p>
      <p class="drop-act"><button class="main" onClick=${() => input.current.click()}>Choose files</button> <button onClick=${() => folder.current.click()}>Choose a folder</button></p>
      <input ref=${input} id="choose" type="file" multiple hidden onChange=${choose(put)} />
      <input ref=${folder} id="choose-folder" type="file" webkitdirectory multiple hidden onChange=${choose(putFolders)} />
      <label class="check"><input type="checkbox" checked=${announce.value} onChange=${(e) => { announce.value = e.target.checked; }} /> Tell everybody who listens to updates</label>
    </section>
    <${Hint} />
    <${Tray} />
    <section aria-labelledby="put"><h2 id="put">Your files</h2><${Kept} /></section>
    <${Pins} />`;
}
