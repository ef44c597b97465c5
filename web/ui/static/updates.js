import { html, size, Ago, Id, Copy, Cli } from "./kit.js";
import { updates, me } from "./peer.js";
import { here } from "./browse.js";

export function Updates() {
  const list = updates.value;
  return html`<h1>Updates</h1>
    ${list.length === 0 ? html`<div class="empty"><p>Nothing has been announced since this page was opened. Announcements are heard live and are not kept.</p>
      <p>A file is announced only when the one who puts it asks for that: tick <em>Tell everybody</em> on the <a href="#/files">Files</a> page.</p></div>`
    : html`<ul class="plain" aria-label="Announcements, newest first">${list.map((u) => html`<li class="file" key=${u.from + "/" + u.seq + u.cid}>
      <div class="file-head"><a class="file-name" href=${here(u.cid)}>${u.name || u.cid}</a><span class="dim num">${size(u.size)}</span><span class="dim"><${Ago} time=${u.heard} /></span></div>
      <div class="file-act"><${Id} value=${u.cid} /> <${Copy} text=${u.cid} what=${"CID of " + (u.name || "this update")} /><span class="dim">from ${u.from === me.value?.id ? "this peer" : html`<${Id} value=${u.from} />`}</span></div></li>`)}</ul>`}
    <${Cli}>cairn updates<//>`;
}
