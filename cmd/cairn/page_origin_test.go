package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdp "github.com/chromedp/chromedp"
)

// victimPage is a page that has something to keep: in all the places a page has.
const victimPage = `<!doctype html><title>b</title><body>the text of b<script>
localStorage.secret = "kept"; document.cookie = "secret=kept"; window.secret = "kept";
const channel = new BroadcastChannel("b"); channel.onmessage = () => channel.postMessage("kept");
window.all = new Promise(done => { const r = indexedDB.open("b"); r.onsuccess = r.onerror = () => done("ready"); });
</script>`

// pryingPage is a page that tries all ways to what another page has. Each gives what it got.
const pryingPage = `<!doctype html><title>a</title><body><script>
const b = %q, ways = {
	storage: () => localStorage.secret ?? "",
	cookie: () => document.cookie,
	database: async () => (await indexedDB.databases()).map(d => d.name).join(),
	caches: async () => (await caches.keys()).join(),
	domain: () => { try { document.domain = "localhost"; } catch {} return ""; },
	dom: () => frame().then(f => f.contentDocument?.body?.innerText ?? ""),
	variable: () => frame().then(f => f.contentWindow.secret ?? ""),
	place: () => frame().then(f => f.contentWindow.location.href ?? ""),
	inside: () => frame().then(f => f.contentWindow.localStorage.secret ?? ""),
	write: () => frame().then(f => { f.contentWindow.document.body.innerText = "taken"; return "written"; }),
	channel: () => new Promise(done => {
		const c = new BroadcastChannel("b"); c.onmessage = e => done(e.data); c.postMessage("?"); setTimeout(() => done(""), 700);
	}),
	worker: async () => { const r = await navigator.serviceWorker.register(b + "sw.js"); return r.scope; },
};
const frame = () => new Promise(done => {
	const f = document.createElement("iframe"); f.onload = () => done(f); f.src = b; document.body.append(f);
});
window.all = (async () => {
	const got = {};
	for (const [name, way] of Object.entries(ways)) { try { got[name] = String(await way() ?? ""); } catch { got[name] = ""; } }
	return got;
})();
</script>`

// of two pages that strangers put, neither gets at what the other has: each has an
// origin of its own. By path, where all share one, none runs. The control: a page of b's own
// origin gets at it by the same ways.
func TestAStrangersPageCannotReachAnothers(t *testing.T) {
	b := newBrowser(t)
	w, _ := pageNet(t, 1)
	id := w.id(t, "p0")
	port := id.Gateway[strings.LastIndex(id.Gateway, ":"):]
	put := func(text string) string {
		file := filepath.Join(t.TempDir(), "index.html")
		write(t, file, text)
		return strings.TrimSpace(w.must(t, "put", "-q", "--peer", "p0@page", "--wait", "local", file))
	}
	own := func(root string) string { return "http://" + root + ".ipfs.localhost" + port + "/" }
	victim := put(victimPage)
	attacker := put(fmt.Sprintf(pryingPage, own(victim)))

	var ready string
	b.do(t, cdp.Navigate(own(victim)), cdp.Evaluate(`all`, &ready, pageAwaited))
	var got map[string]string
	b.do(t, cdp.Evaluate(`(() => ({storage: localStorage.secret ?? "", cookie: document.cookie}))()`, &got))
	if got["storage"] != "kept" || got["cookie"] != "secret=kept" || ready != "ready" {
		t.Fatalf("the page itself gets %v", got)
	}
	got = nil
	b.do(t, cdp.Navigate(own(attacker)), cdp.Evaluate(`all`, &got, pageAwaited))
	if len(got) != 12 {
		t.Errorf("%d ways were tried: %v", len(got), got)
	}
	for way, what := range got {
		if what != "" {
			t.Errorf("by %s a stranger's page got %.200q", way, what)
		}
	}
	for _, root := range []string{victim, attacker} {
		var ran bool
		var origin string
		b.do(t, cdp.Navigate(id.Gateway+"/ipfs/"+root), cdp.Sleep(300*time.Millisecond), cdp.Evaluate(`"all" in window`, &ran), cdp.Evaluate(`origin`, &origin))
		if ran || origin != "null" {
			t.Errorf("by path: a script ran: %v, origin %s", ran, origin)
		}
	}
	b.do(t, cdp.Navigate(id.Gateway+"/ipfs/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"), cdp.WaitVisible("h1", cdp.ByQuery))
	b.sees(t, "Missing block")
	b.sees(t, "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
	b.shot(t, "gateway-missing")
}
