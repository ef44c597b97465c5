// Looking at what is stored. It comes from the gateway, another origin: what a
// stranger put can reach neither this page nor the API.
import { html } from "./kit.js";
import { me } from "./peer.js";

const segments = (path) => path.split("/").map(encodeURIComponent).join("/");

// link is the address of path at the gateway, "" if there is none. name says what
// a CID alone is called; more are parameters.
export function link(path, name, more = {}) {
  const base = me.value?.gateway;
  if (!base) return "";
  const q = new URLSearchParams({ ...(!path.includes("/") && name && { filename: name }), ...more });
  return base + "/ipfs/" + segments(path) + (q.size ? "?" + q : "");
}

// apart is link with an origin for this CID alone, where a page need not be
// sandboxed: the gateway leads there from localhost.
const apart = (path, name) => link(path, name).replace("//127.0.0.1:", "//localhost:");

// saved is where path can be had as a file; a directory comes as a tar.
export const saved = (path, name, dir) => dir ? link(path, name && name + ".tar", { format: "tar", download: "true" }) : link(path, name, { download: "true", filename: name });

const kinds = [
  ["picture", /\.(png|jpe?g|gif|webp|avif|svg|bmp|ico)$/i], ["film", /\.(mp4|webm|mov|m4v|ogv)$/i], ["sound", /\.(mp3|ogg|oga|wav|flac|m4a|opus)$/i],
  ["PDF", /\.pdf$/i], ["archive", /\.(zip|tar|gz|tgz|bz2|xz|zst|7z|rar|car|iso|img)$/i], ["program", /\.(exe|bin|so|dll|deb|rpm|apk|dmg|msi|wasm)$/i],
  ["page", /\.(html?|xhtml)$/i], ["text", /\.(txt|md|log|csv|tsv|json|ya?ml|toml|xml|go|js|ts|py|rs|c|h|cc|cpp|java|sh|css|ini|conf|sql|diff|patch)$/i],
];
export const kindOf = (name) => kinds.find(([, re]) => re.test(name))?.[0] ?? "file";

export function Preview({ path, name }) {
  const kind = kindOf(name), src = link(path, name);
  if (kind === "picture") return html`<img class="preview" src=${src} alt=${name} />`;
  if (kind === "film") return html`<video class="preview" src=${src} controls></video>`;
  if (kind === "sound") return html`<audio class="preview" src=${src} controls></audio>`;
  if (kind === "PDF") return html`<iframe class="preview tall" src=${apart(path, name)} title=${"Preview of " + name}></iframe>`; // no browser shows one in a sandbox
  if (kind === "archive" || kind === "program") return html`<p class="note">A browser cannot show ${kind === "archive" ? "an archive" : "a program"}. Download it, if you trust where it comes from.</p>`;
  return html`<iframe class=${"preview" + (kind === "file" ? "" : " tall")} src=${src} sandbox="" title=${"Preview of " + name}></iframe>
    ${kind === "page" && html`<p class="dim">Its scripts do not run here. <a href=${apart(path, name)} target="_blank" rel="noopener noreferrer">Open it in a tab of its own</a>, where they may.</p>`}`;
}
