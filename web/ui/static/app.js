// The frame of the page: where in it one is, and whether one may be.
import { html, render, useState, useEffect, signal, spoken } from "./kit.js";
import { signedIn, live, me, begin, signIn, signOut } from "./peer.js";
import { drop } from "./upload.js";
import { Files } from "./files.js";
import { Browse } from "./browse.js";
import { Health } from "./health.js";
import { Network } from "./network.js";
import { Updates } from "./updates.js";
import { Signin } from "./signin.js";

const pages = [["files", "Files", Files], ["health", "Health", Health], ["network", "Network", Network], ["updates", "Updates", Updates]];
const within = { ipfs: ["files", "Files", Browse] }; // pages that stand within another

const where = signal(read()), refused = signal(null);

function read() {
  const [, page, ...rest] = location.hash.split("/");
  return { page: page || "files", rest: decode(rest.join("/")) };
}

function decode(s) { try { return decodeURIComponent(s); } catch { return s; } }

addEventListener("hashchange", () => {
  if (read().page === "signin") { open(); return; }
  where.value = read();
  document.querySelector("main")?.focus();
});

// open signs in with the code of the address, which is taken out of it at once.
async function open() {
  const { page, rest } = read();
  if (page !== "signin") return begin();
  history.replaceState(null, "", "#/files");
  where.value = read();
  try { await signIn(rest); } catch (e) {
    refused.value = e;
    await begin();
  }
}

// Drops anywhere on the window are taken, and never make the browser leave the page.
const over = signal(false);
const carries = (e) => [...(e.dataTransfer?.types ?? [])].includes("Files");
let left = 0;
addEventListener("dragover", (e) => { if (carries(e)) { e.preventDefault(); clearTimeout(left); over.value = true; left = setTimeout(() => { over.value = false; }, 300); } });
addEventListener("drop", (e) => {
  if (!carries(e)) return;
  e.preventDefault();
  over.value = false;
  if (!signedIn.value) return;
  drop(e.dataTransfer);
  location.hash = "#/files";
});

const themes = ["auto", "light", "dark"];
function stored() { try { return localStorage.getItem("cairn theme") ?? "auto"; } catch { return "auto"; } }

function Theme() {
  const [theme, set] = useState(stored);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    try { localStorage.setItem("cairn theme", theme); } catch { /* it holds until the page is closed */ }
  }, [theme]);
  return html`<label class="theme">Theme <select value=${theme} onChange=${(e) => set(e.target.value)}>${themes.map((t) => html`<option value=${t}>${t}</option>`)}</select></label>`;
}

const states = { live: "live", connecting: "connecting…", lost: "the peer does not answer; trying again" };

function App() {
  const { page, rest } = where.value, [, title, Page] = within[page] ?? pages.find(([p]) => p === page) ?? pages[0];
  const inside = signedIn.value;
  useEffect(() => { document.title = (!inside ? "Sign in" : page in within ? rest.split("/").filter(Boolean).at(-1) : title) + " · cairn"; }, [title, page, rest, inside]);
  return html`<a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.querySelector("main").focus(); }}>Skip to the content</a>
    <header><a class="brand" href="#/files"><img src="/ui/icon.svg" alt="" width="24" height="24" /> cairn</a>
      ${inside && html`<nav aria-label="Pages">${pages.map(([p, t]) => html`<a href=${"#/" + p} aria-current=${t === title ? "page" : null}>${t}</a>`)}</nav>`}
      <div class="end">${inside && html`<span class=${"stream " + live.value} role="status">${states[live.value]}</span>`}<${Theme} />
      ${inside && html`<button class="quiet" onClick=${() => signOut().catch(() => {})}>Sign out</button>`}</div></header>
    <main id="main" tabindex="-1">
      ${inside === false ? html`<${Signin} error=${refused.value} />`
      : inside === undefined ? html`<p role="status">${live.value === "lost" ? "The peer does not answer; trying again." : "Opening…"}</p>`
      : html`<${Page} cid=${rest} />`}
    </main>
    <footer class="dim">${inside && me.value && html`peer <code class="wrap">${me.value.id}</code> · ${me.value.agent}`}</footer>
    ${over.value && inside && html`<div class="over" aria-hidden="true"><p>Let go to put it here</p></div>`}
    <div class="sr" role="status">${spoken.value}</div>`;
}

document.documentElement.dataset.theme = stored();
document.getElementById("app").textContent = "";
render(html`<${App} />`, document.getElementById("app"));
open();
