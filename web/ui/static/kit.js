// What every page uses: the template tag, words for numbers, small parts.
import { h, render } from "./lib/preact.js";
import { useState, useEffect, useLayoutEffect, useRef, useMemo } from "./lib/hooks.js";
import { signal, computed, effect, batch, untracked } from "./lib/signals.js";
import htm from "./lib/htm.js";

export const html = htm.bind(h);
export { render, useState, useEffect, useLayoutEffect, useRef, useMemo, signal, computed, effect, batch, untracked };

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

// size writes bytes as the command line does.
export function size(n) {
  if (!Number.isFinite(n)) return "";
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return (i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)) + " " + units[i];
}

export const count = (n, one, many = one + "s") => n + " " + (n === 1 ? one : many);

// clock is signalled once in ten seconds, so that "2 min ago" stays true.
const clock = signal(Date.now());
setInterval(() => { if (!document.hidden) clock.value = Date.now(); }, 10_000);

export function Ago({ time }) {
  const t = new Date(time), s = Math.max(0, Math.round((clock.value - t) / 1000));
  const text = s < 10 ? "just now" : s < 60 ? s + " s ago" : s < 3600 ? Math.floor(s / 60) + " min ago"
    : s < 86400 ? Math.floor(s / 3600) + " h ago" : t.toLocaleDateString();
  return html`<time dateTime=${t.toISOString()} title=${t.toLocaleString()}>${text}</time>`;
}

// short keeps both ends of an id, which tell it from others.
export const short = (id) => id.length > 20 ? id.slice(0, 8) + "…" + id.slice(-6) : id;

export function Id({ value }) {
  return html`<code class="id" title=${value}>${short(value)}</code>`;
}

// say speaks to screen readers without moving anything on the page.
export const spoken = signal("");
export const say = (text) => { spoken.value = text; };

export function Copy({ text, what }) {
  const [done, set] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      set("Copied"); say(what + " copied");
    } catch {
      set("Not allowed"); say("The browser did not allow copying; select the text instead");
    }
    setTimeout(() => set(""), 2000);
  };
  return html`<button class="quiet" onClick=${copy} aria-label=${"Copy " + what}>${done || "Copy"}</button>`;
}

// Cli shows what to type for the same.
export function Cli({ children }) {
  const line = [].concat(children).join("");
  return html`<p class="cli"><span class="cli-label">In a terminal</span> <code>${line}</code> <${Copy} text=${line} what="command" /></p>`;
}

// Trouble says what went wrong and what to do next.
export function Trouble({ error, retry }) {
  if (!error) return null;
  return html`<div class="trouble" role="alert"><p><strong>${sentence(error.message)}</strong></p>
    ${error.hint && html`<p>Next: ${error.hint}.</p>`}
    ${retry && html`<button onClick=${retry}>Try again</button>`}</div>`;
}

export const sentence = (s) => s ? s[0].toUpperCase() + s.slice(1) + (/[.!?]$/.test(s) ? "" : ".") : "";

// quote makes a name safe to type in a shell.
export const quote = (s) => /^[\w./@:+-]+$/.test(s) ? s : "'" + s.replaceAll("'", "'\\''") + "'";
