// The one live stream of a browser. However many pages of this peer are open, one
// of those that can be seen holds it and tells the others: a browser has six
// connections to one origin, and each stream takes one of them for good.
import { signal } from "./kit.js";

export const leads = signal(false); // this page holds the stream

const name = "cairn stream";
const channel = globalThis.BroadcastChannel ? new BroadcastChannel(name) : null;

// stream gives follow and leave. open starts the stream of the one who leads and
// gives what closes it; snapshot is all that a page which comes later must know;
// take hears what another page that leads says.
export function stream({ open, snapshot, take }) {
  let waiting = null, close = null, following = false, wanted = false;

  const lead = () => {
    leads.value = true;
    close = open((message) => channel?.postMessage({ message }));
  };
  const follow = () => {
    rest();
    wanted = true;
    if (document.hidden) return;
    following = true;
    if (!navigator.locks || !channel) { lead(); return; } // not a safe origin: each page has its own
    const mine = waiting = new AbortController();
    navigator.locks.request(name, { signal: mine.signal }, () => new Promise((release) => {
      if (waiting !== mine) { release(); return; }
      lead();
      const shut = close;
      close = () => { shut(); release(); };
    })).catch(() => { /* it was left before it led */ });
    channel.postMessage({ ask: true });
  };
  const rest = () => { // until the page is seen again
    following = false;
    waiting?.abort();
    waiting = null;
    close?.();
    close = null;
    leads.value = false;
  };
  const leave = () => {
    wanted = false;
    rest();
  };
  channel?.addEventListener("message", ({ data }) => {
    if (data.ask && leads.value) channel.postMessage({ message: snapshot() });
    else if (data.message && following && !leads.value) take(data.message);
    else if (data.door) take(data);
  });
  document.addEventListener("visibilitychange", () => document.hidden ? rest() : wanted && follow());
  return { follow, leave, shout: (what) => channel?.postMessage(what) };
}
