package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairn-network/cairn/web/api"
	"github.com/chromedp/cdproto/emulation"
	cdpnet "github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	cdp "github.com/chromedp/chromedp"
)

const chromium = "/usr/bin/chromium"

// browser is a Chromium that nobody else uses, and what it asked for.
type browser struct {
	context.Context
	mu   sync.Mutex
	asks []string // URLs
	said []string // exceptions that nobody caught
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	if _, err := os.Stat(chromium); err != nil {
		t.Skip("SKIP: the page is tested in a browser: there is no " + chromium)
	}
	alloc, cancel := cdp.NewExecAllocator(t.Context(), cdp.ExecPath(chromium), cdp.NoFirstRun, cdp.NoSandbox, cdp.Headless, cdp.DisableGPU,
		cdp.Flag("disable-quic", true), cdp.Flag("disable-background-networking", true), cdp.Flag("disable-component-update", true),
		cdp.Flag("disable-sync", true), cdp.Flag("disable-dev-shm-usage", true), cdp.UserDataDir(t.TempDir()), cdp.WindowSize(1200, 900))
	t.Cleanup(cancel)
	ctx, end := cdp.NewContext(alloc, cdp.WithErrorf(func(format string, args ...any) {
		if line := fmt.Sprintf(format, args...); !strings.Contains(line, "IPAddressSpace") { // newer than this chromedp; in events that nobody here reads
			t.Log(line)
		}
	}))
	t.Cleanup(end)
	ctx, late := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(late)
	b := &browser{Context: ctx}
	cdp.ListenTarget(ctx, func(ev any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch ev := ev.(type) {
		case *cdpnet.EventRequestWillBeSent:
			b.asks = append(b.asks, ev.Request.URL)
		case *runtime.EventExceptionThrown:
			b.said = append(b.said, ev.ExceptionDetails.Error())
		}
	})
	if err := cdp.Run(ctx, cdpnet.Enable()); err != nil { // the browser lives as long as the context of its first run
		t.Fatal(err)
	}
	return b
}

func (b *browser) do(t *testing.T, actions ...cdp.Action) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b, 30*time.Second)
	defer cancel()
	if err := cdp.Run(ctx, actions...); err != nil {
		var text string
		_ = cdp.Run(b, cdp.Evaluate(`document.body.innerText`, &text)) // to say what there is instead
		t.Fatalf("browser: %v; the page says: %.1500s", err, text)
	}
}

// sees waits until the page says text.
func (b *browser) sees(t *testing.T, text string) {
	t.Helper()
	b.do(t, cdp.Poll(fmt.Sprintf(`document.body.innerText.replace(/\s+/g, " ").includes(%q)`, text), nil, cdp.WithPollingInterval(20*time.Millisecond)))
}

// shot keeps a picture of the page, for those who ask with CAIRN_SHOTS=directory.
func (b *browser) shot(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("CAIRN_SHOTS")
	if dir == "" {
		return
	}
	var png []byte
	b.do(t, cdp.FullScreenshot(&png, 100))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (b *browser) theme(t *testing.T, theme string) {
	t.Helper()
	b.do(t, emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}))
}

// blameless runs axe-core over what is shown, in both themes.
func (b *browser) blameless(t *testing.T, where string) {
	t.Helper()
	axe, err := os.ReadFile(filepath.Join("..", "..", "web", "ui", "testdata", "axe", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	for _, theme := range []string{"light", "dark"} {
		b.theme(t, theme)
		var found string
		b.do(t, cdp.Sleep(300*time.Millisecond), // colours fade
			cdp.Evaluate(string(axe)+";0", nil),
			cdp.Evaluate(`axe.run(document, {iframes: false}).then(r => JSON.stringify({passes: r.passes.length, violations: r.violations.map(v => [v.id, v.nodes.map(n => n.html + " " + n.failureSummary)])}))`,
				&found, pageAwaited))
		var r struct {
			Passes     int
			Violations []any
		}
		if err := json.Unmarshal([]byte(found), &r); err != nil {
			t.Fatal(err)
		}
		if r.Passes < 10 || len(r.Violations) > 0 {
			t.Errorf("%s, %s: %d checks passed, violations %v", where, theme, r.Passes, r.Violations)
		}
		b.shot(t, where+"-"+theme)
	}
}

func pageAwaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// pageNet starts a testnet of n peers and gives the URL that opens the page of p0.
func pageNet(t *testing.T, n int) (w pageNetwork, url string) {
	t.Helper()
	w = pageNetwork{dir: t.TempDir()}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := w.run(ctx, "testnet", "down", "--name", "page", "--purge"); err != nil {
			t.Errorf("down: %v", err)
		}
	})
	w.must(t, "testnet", "up", "-n", fmt.Sprint(n), "--name", "page")
	return w, strings.TrimSpace(w.must(t, "ui", "--peer", "p0@page"))
}

// pageNetwork runs this program against a testnet called page.
type pageNetwork struct{ dir string }

func (w pageNetwork) run(ctx context.Context, args ...string) (string, error) {
	c := exec.CommandContext(ctx, "cairn", args...)
	c.Env = append(os.Environ(), "CAIRN_TESTNET_DIR="+w.dir)
	out, err := c.Output()
	return string(out), err
}

func (w pageNetwork) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := w.run(t.Context(), args...)
	if err != nil {
		t.Fatalf("cairn %q: %v %s", args, err, out)
	}
	return out
}

// A person signs in, puts files, looks at their health and sees a peer die, in a
// browser that asks nobody but the peer.
func TestThePageShowsAFileAndItsNetwork(t *testing.T) {
	b := newBrowser(t)
	w, url := pageNet(t, 8)
	var id api.ID
	if err := json.Unmarshal([]byte(w.must(t, "id", "--peer", "p0@page", "--json")), &id); err != nil {
		t.Fatal(err)
	}

	var paint float64
	b.do(t, cdp.Navigate(url), cdp.WaitVisible("button.main", cdp.ByQuery))
	b.sees(t, "Nothing yet.")
	b.do(t, cdp.Evaluate(`performance.getEntriesByName("first-contentful-paint")[0].startTime`, &paint))
	t.Logf("FIGURE first paint after %.0f ms", paint)
	most := 5000.0 // beside other tests
	if os.Getenv("CAIRN_BENCH") != "" {
		most = 500
	}
	if paint > most {
		t.Errorf("first paint after %.0f ms, want %.0f at most", paint, most)
	}
	var hash string
	if b.do(t, cdp.Evaluate("location.hash", &hash)); strings.Contains(hash, "signin") {
		t.Errorf("the code stays in the address: %s", hash)
	}
	b.blameless(t, "files-empty")

	// upload
	dir := t.TempDir()
	text, picture := filepath.Join(dir, "a letter.txt"), filepath.Join(dir, "dot.svg")
	write(t, text, strings.Repeat("Dear reader, this outlives its peer.\n", 100_000))
	write(t, picture, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" width="300" height="300"><circle cx="4.5" cy="4.5" r="4" fill="teal"/></svg>`)
	note := filepath.Join(dir, "note.txt")
	write(t, note, "Seen through the gateway, in a frame that may do nothing.\n")
	b.do(t, cdp.Click(".check input", cdp.ByQuery), cdp.SetUploadFiles("#choose", []string{text, picture, note}, cdp.ByID))
	// Five copies, or more where a slow holder took its copy after another had stepped in.
	b.do(t, cdp.Poll(`document.querySelectorAll(".file").length === 3 && document.querySelectorAll(".upload[data-state=done]").length === 3`, nil))
	b.do(t, cdp.Poll(`[...document.querySelectorAll(".file .chip")].every(c => parseInt(c.textContent) >= 5 && c.textContent.includes("/5"))`, nil, cdp.WithPollingTimeout(20*time.Second)))
	b.do(t, cdp.Click(`[aria-label="Preview dot.svg"]`, cdp.ByQuery), cdp.Poll(`document.querySelector("img.preview")?.naturalWidth === 300`, nil))
	b.blameless(t, "files")
	b.do(t, cdp.Poll(`[...document.querySelectorAll(".upload .bar:last-child .bar-text")].every(e => parseInt(e.innerText) >= 5 && e.innerText.endsWith("of 5"))`, nil))
	var refused []string
	b.do(t, cdp.Evaluate(`document.addEventListener("securitypolicyviolation", e => { (window.refused ??= []).push(e.blockedURI); })`, nil),
		cdp.Click(`[aria-label="Preview note.txt"]`, cdp.ByQuery),
		cdp.Evaluate(`new Promise(r => { document.querySelector("iframe.preview").onload = () => setTimeout(() => r(window.refused ?? []), 300); })`, &refused, pageAwaited))
	if len(refused) > 0 {
		t.Errorf("the page's own policy refuses its preview: %q", refused)
	}
	b.shot(t, "preview")
	var cid string
	b.do(t, cdp.Evaluate(`[...document.querySelectorAll(".file")].find(f => f.textContent.includes("a letter")).querySelector(".id").title`, &cid))
	if got := w.must(t, "cat", "--peer", "p5@page", cid); len(got) != 3_700_000 {
		t.Errorf("another peer reads %d bytes", len(got))
	}

	// health
	b.do(t, cdp.Click(`//a[@class="bare" and contains(.,"a letter")]`, cdp.BySearch))
	b.sees(t, "live copies; any 4 of these peers may leave")
	b.blameless(t, "health")

	// updates
	b.do(t, cdp.Click(`//nav/a[.="Updates"]`, cdp.BySearch))
	b.sees(t, "a letter.txt")
	b.blameless(t, "updates")

	// network
	b.do(t, cdp.Click(`//nav/a[.="Network"]`, cdp.BySearch))
	b.sees(t, "peers up")
	b.do(t, cdp.Poll(`document.querySelectorAll("tr[data-peer]").length === 7`, nil))
	var p3 api.ID
	if err := json.Unmarshal([]byte(w.must(t, "id", "--peer", "p3@page", "--json")), &p3); err != nil {
		t.Fatal(err)
	}
	w.must(t, "testnet", "kill", "--name", "page", "p3")
	killed := time.Now()
	b.do(t, cdp.Poll(fmt.Sprintf(`document.querySelector("tr.down[data-peer='%s'] .state")?.innerText.includes("down")`, p3.ID), nil, cdp.WithPollingInterval(20*time.Millisecond)))
	took := time.Since(killed)
	t.Logf("FIGURE a killed peer shows as down after %.2f s", took.Seconds())
	if took > 5*time.Second {
		t.Errorf("shown as down after %s, want 5 s at most", took)
	}
	b.blameless(t, "network")

	// narrow
	b.do(t, emulation.SetDeviceMetricsOverride(390, 800, 1, true))
	for _, p := range []string{"files", "network", "health/" + cid} {
		b.theme(t, "light")
		var over int
		b.do(t, cdp.Evaluate(`location.hash = "#/`+p+`"`, nil), cdp.Sleep(800*time.Millisecond),
			cdp.Evaluate(`document.documentElement.scrollWidth - innerWidth`, &over))
		if over > 0 {
			t.Errorf("%s is %d pixels wider than a telephone", p, over)
		}
		b.shot(t, "narrow-"+p[:5])
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.said) > 0 {
		t.Errorf("scripts failed: %q", b.said)
	}
	if len(b.asks) < 20 {
		t.Errorf("only %d requests were seen", len(b.asks))
	}
	for _, u := range b.asks {
		if !strings.HasPrefix(u, id.API+"/") && !strings.HasPrefix(u, id.Gateway+"/ipfs/") {
			t.Errorf("a request to a stranger: %s", u)
		}
	}
}

// A browser that has not signed in is told how, and nothing else; a code that
// was used opens nothing; the daemon's end shows.
func TestThePageStaysShutWithoutACode(t *testing.T) {
	b := newBrowser(t)
	w, url := pageNet(t, 1)
	base, _, _ := strings.Cut(url, "#")
	b.do(t, cdp.Navigate(base))
	b.sees(t, "In a terminal cairn ui")
	b.blameless(t, "signin")
	b.do(t, cdp.SendKeys("#code", url+"\r", cdp.ByID))
	b.sees(t, "Nothing yet.")
	b.do(t, cdp.Click(`//nav/a[.="Network"]`, cdp.BySearch))
	b.sees(t, "No other peer yet.")
	b.blameless(t, "alone")

	// A drop on any page is taken; alone, the peer keeps the file and says so.
	b.do(t, cdp.Evaluate(`const data = new DataTransfer(); data.items.add(new File(["dropped"], "leaf.txt"));
		document.querySelector("h1").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}))`, nil))
	b.sees(t, "0/5 no copy")
	b.sees(t, "kept here only")
	b.blameless(t, "files-alone")
	b.do(t, cdp.Click(`//button[.="Take off list"]`, cdp.BySearch))
	b.sees(t, "Also pinned on this peer leaf.txt")
	b.blameless(t, "pinned")
	b.do(t, cdp.Click(`//button[.="Sign out"]`, cdp.BySearch))
	b.sees(t, "Or paste the address")
	b.do(t, cdp.SendKeys("#code", url+"\r", cdp.ByID))
	b.sees(t, "Next: cairn ui gives a new one.")
	b.do(t, cdp.Navigate("about:blank"), cdp.Navigate(strings.TrimSpace(w.must(t, "ui", "--peer", "p0@page"))))
	b.sees(t, "The list of this browser is empty.")
	b.do(t, cdp.Reload())
	b.sees(t, "Also pinned on this peer leaf.txt")
	w.must(t, "testnet", "kill", "--name", "page", "p0")
	b.sees(t, "the peer does not answer")
	b.blameless(t, "lost")
}

func write(t *testing.T, file, data string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}
