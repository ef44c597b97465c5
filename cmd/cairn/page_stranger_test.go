package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdp "github.com/chromedp/chromedp"
)

// grasping is a page that tries all ways to what it must not have. Each gives what it
// got; "" is nothing.
const grasping = `const api = %q, got = {};
const frame = (src, name) => new Promise(done => {
	const f = document.createElement("iframe");
	if (name) f.name = name;
	f.onload = () => done(f);
	setTimeout(() => done(f), 1500);
	if (src) f.src = src;
	document.body.append(f);
	if (!src) done(f);
});
const ways = {
	read: () => fetch(api + "/api/v1/id", {credentials: "include"}).then(r => r.text()),
	blind: () => fetch(api + "/api/v1/id", {credentials: "include", mode: "no-cors"}).then(r => r.text()),
	page: () => fetch(api + "/", {mode: "no-cors"}).then(r => r.text()),
	put: () => fetch(api + "/api/v1/put?name=stolen-by-fetch", {method: "POST", mode: "no-cors", credentials: "include", body: "x"}).then(r => r.text()),
	beacon: () => (navigator.sendBeacon(api + "/api/v1/put?name=stolen-by-beacon", "x"), ""),
	form: async () => {
		await frame("", "sink");
		const f = document.createElement("form");
		Object.assign(f, {action: api + "/api/v1/put?name=stolen-by-form", method: "post", enctype: "multipart/form-data", target: "sink"});
		const file = document.createElement("input");
		file.type = "file"; file.name = "file";
		const some = new DataTransfer(); some.items.add(new File(["x"], "x.txt")); file.files = some.files;
		f.append(file); document.body.append(f); f.submit();
		await new Promise(r => setTimeout(r, 700));
		return "";
	},
	framed: async () => (await frame(api + "/")).contentDocument?.body?.innerText ?? "",
	framedAnswer: async () => (await frame(api + "/api/v1/id")).contentDocument?.body?.innerText ?? "",
	script: () => new Promise(done => {
		const s = document.createElement("script");
		s.onload = () => done("loaded"); s.onerror = () => done("");
		s.src = api + "/ui/kit.js"; s.type = "text/javascript"; document.body.append(s);
	}),
	module: () => import(api + "/ui/kit.js").then(m => Object.keys(m).join()),
	stream: () => new Promise(done => {
		const s = new EventSource(api + "/api/v1/events", {withCredentials: true});
		s.addEventListener("id", e => done(e.data)); s.onerror = () => done("");
	}),
	lists: async () => JSON.stringify({...localStorage}) === "{}" ? "" : "storage",
	channel: () => new Promise(done => {
		const c = new BroadcastChannel("cairn stream");
		c.onmessage = e => done(JSON.stringify(e.data)); c.postMessage({ask: true}); setTimeout(() => done(""), 500);
	}),
};
const all = Promise.all(Object.entries(ways).map(async ([name, way]) => { try { got[name] = await way() ?? ""; } catch { got[name] = ""; } })).then(() => got);
`

// What a stranger put may run in a tab of its own, in the browser that is signed in,
// and yet it gets nothing of the API and of the page, and changes nothing.
func TestAStrangersPageCannotReachTheAPIOrThePage(t *testing.T) {
	b := newBrowser(t)
	w, url := pageNet(t, 1)
	id := w.id(t, "p0")
	evil := filepath.Join(t.TempDir(), "index.html")
	write(t, evil, "<!doctype html><title>evil</title><body><script>\n"+fmt.Sprintf(grasping, id.API)+"all.then(got => { window.all = got; });</script>")
	root := strings.TrimSpace(w.must(t, "put", "-q", "--peer", "p0@page", "--wait", "local", evil))
	b.do(t, cdp.Navigate(url), cdp.WaitVisible("button.main", cdp.ByQuery))
	b.sees(t, "live")

	// the control: the page itself gets at it, by the same ways
	var got map[string]string
	b.do(t, cdp.Evaluate(`(async () => { const r = {}; r.read = await fetch("/api/v1/id").then(r => r.text()); r.module = Object.keys(await import("/ui/kit.js")).join(); return r; })()`, &got, pageAwaited))
	if !strings.Contains(got["read"], id.ID) || got["module"] == "" {
		t.Fatalf("the page itself gets %v", got)
	}
	before := w.must(t, "pin", "ls", "--peer", "p0@page")

	port := id.Gateway[strings.LastIndex(id.Gateway, ":"):]
	for _, at := range []string{"http://localhost" + port, id.Gateway} {
		var origin string
		var ran bool
		b.do(t, cdp.Navigate(at+"/ipfs/"+root+"?filename=index.html"), cdp.Sleep(time.Second), cdp.Evaluate(`origin`, &origin), cdp.Evaluate(`typeof ways === "object"`, &ran))
		if at == id.Gateway {
			if ran || origin != "null" {
				t.Errorf("%s: a script ran: %v, origin %s", at, ran, origin)
			}
			continue
		}
		if !ran || origin != "http://"+root+".ipfs.localhost"+port {
			t.Fatalf("%s: a script ran: %v, origin %s: nothing was tried", at, ran, origin)
		}
		b.do(t, cdp.Evaluate(`all`, &got, pageAwaited))
		if len(got) != 13 {
			t.Errorf("%d ways were tried: %v", len(got), got)
		}
		for way, what := range got {
			if what != "" {
				t.Errorf("%s: by %s a stranger got %.200q", at, way, what)
			}
		}
	}
	if after := w.must(t, "pin", "ls", "--peer", "p0@page"); after != before || strings.Contains(after, "stolen") {
		t.Errorf("a stranger put something: %s", after)
	}
	b.do(t, cdp.Navigate(id.API+"/"))
	b.sees(t, "live") // and the browser is still signed in
}
