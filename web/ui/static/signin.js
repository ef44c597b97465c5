import { html, useState, Trouble, Cli } from "./kit.js";
import { signIn } from "./peer.js";

// codeOf takes a code, or a whole address with one in it.
const codeOf = (text) => text.trim().split("/").pop();

export function Signin({ error }) {
  const [failed, fail] = useState(null), [text, set] = useState("");
  const go = async (e) => {
    e.preventDefault();
    try { await signIn(codeOf(text)); fail(null); } catch (err) { fail(err); }
  };
  return html`<h1>Sign in</h1>
    <${Trouble} error=${failed ?? error} />
    <p>This browser does not know the peer's owner yet. The peer prints an address that opens this page once, within ten minutes. For a new one:</p>
    <${Cli}>cairn ui<//>
    <form class="ask" onSubmit=${go}><label for="code">Or paste the address or its code here</label>
      <div><input id="code" value=${text} onInput=${(e) => set(e.target.value)} autocomplete="off" spellcheck=${false} required /><button class="main">Sign in</button></div></form>`;
}
