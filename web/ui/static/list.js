// A table of any length: only the rows that can be seen are in the page.
import { html, useState, useLayoutEffect, useRef } from "./kit.js";

const tall = 40;  // pixels of a row, as style.css has them
const spare = 10; // rows beyond those that can be seen, either way

// Rows shows rows by row(item), which gives the cells; head gives those of the head.
// Up, Down, PageUp, PageDown, Home and End move from row to row by their first link.
export function Rows({ rows, row, head, label }) {
  const box = useRef(), sheet = useRef(), lines = useRef(), [top, scroll] = useState(0), [high, measure] = useState(560), goal = useRef(null);
  const first = Math.max(0, Math.min(Math.floor(top / tall) - spare, rows.length - 1)), last = Math.min(rows.length, Math.ceil((top + high) / tall) + spare);
  useLayoutEffect(() => {
    sheet.current.style.height = rows.length * tall + "px"; // no style attribute: the policy forbids those, not this
    lines.current.style.transform = `translateY(${first * tall}px)`;
    if (box.current.clientHeight !== high) measure(box.current.clientHeight);
    const to = goal.current === null ? null : lines.current.querySelector(`[aria-rowindex="${goal.current + 2}"] a`);
    if (to) { goal.current = null; to.focus({ preventScroll: true }); }
  });
  const key = (e) => {
    const at = Number(e.target.closest?.("[aria-rowindex]")?.getAttribute("aria-rowindex") ?? 0) - 2, page = Math.max(1, Math.floor(high / tall) - 1);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: rows.length - 1 }[e.key];
    if (to === undefined || e.altKey || e.ctrlKey || e.metaKey || at < 0 && e.key !== "ArrowDown") return;
    e.preventDefault();
    const n = goal.current = Math.max(0, Math.min(rows.length - 1, at < 0 ? Math.ceil(top / tall) : to)), y = n * tall;
    if (y < box.current.scrollTop) box.current.scrollTop = y;
    else if (y + tall > box.current.scrollTop + high) box.current.scrollTop = y + tall - high;
    scroll(box.current.scrollTop + (box.current.scrollTop === top ? 1e-3 : 0)); // and look for the link
  };
  return html`<div class="rows" role="table" aria-label=${label} aria-rowcount=${rows.length + 1}>
    <div role="rowgroup"><div class="row head" role="row" aria-rowindex="1">${head}</div></div>
    <div class="rows-box" role="rowgroup" tabindex="0" ref=${box} onScroll=${(e) => scroll(e.currentTarget.scrollTop)} onKeyDown=${key}>
      <div class="rows-sheet" role="presentation" ref=${sheet}><div class="rows-lines" role="presentation" ref=${lines}>
        ${rows.slice(first, last).map((item, i) => html`<div class="row" role="row" key=${item.name} aria-rowindex=${first + i + 2}>${row(item)}</div>`)}
      </div></div></div></div>`;
}
