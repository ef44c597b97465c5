//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	cdpnet "github.com/chromedp/cdproto/network"
	cdp "github.com/chromedp/chromedp"
)

// silencer gives what sends a signal to all peers but p0: one that is stopped is silent.
func (w pageNetwork) silencer(t *testing.T) func(syscall.Signal) {
	t.Helper()
	var all struct{ Peers []peerStatus }
	if err := json.Unmarshal([]byte(w.must(t, "testnet", "status", "--name", "page", "--json")), &all); err != nil {
		t.Fatal(err)
	}
	return func(sig syscall.Signal) {
		t.Helper()
		for _, p := range all.Peers[1:] {
			if err := syscall.Kill(p.PID, sig); err != nil {
				t.Error(err)
			}
		}
	}
}

// A put that has been sent to its end goes on when the page is loaded anew, and the
// page shows it again; so it does with one that was begun elsewhere.
func TestAPutOutlivesThePageThatBeganIt(t *testing.T) {
	b := newBrowser(t)
	w, url := pageNet(t, 5)
	id := w.id(t, "p0")
	dir, _ := holiday(t)
	b.do(t, cdp.Navigate(url), cdp.WaitVisible("button.main", cdp.ByQuery))
	b.sees(t, "Nothing yet.")
	others := w.silencer(t)
	others(syscall.SIGSTOP)
	t.Cleanup(func() { others(syscall.SIGCONT) })
	b.drops(t, dir)
	b.do(t, cdp.Poll(`document.querySelector(".upload[data-state=spreading]")`, nil))
	b.do(t, cdp.Reload())
	b.do(t, cdp.Poll(`document.querySelector(".upload[data-state=spreading]")?.innerText.includes("holiday ünï/")`, nil))
	b.sees(t, "11 blocks")
	b.blameless(t, "spreading-again")
	others(syscall.SIGCONT)
	b.do(t, cdp.Poll(`document.querySelector(".upload[data-state=done]") && document.querySelector(".file-name")?.textContent === "holiday ünï/"`, nil, cdp.WithPollingTimeout(25*time.Second)))

	// one that a command sends
	c := exec.CommandContext(t.Context(), "cairn", "put", "--peer", "p0@page", "--name", "from a pipe", "-")
	c.Env = append(os.Environ(), "CAIRN_TESTNET_DIR="+w.dir)
	in, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = c.Wait() }()
	if _, err := io.WriteString(in, strings.Repeat("x", 3<<20)); err != nil {
		t.Fatal(err)
	}
	b.sees(t, "sent from elsewhere")
	b.do(t, cdp.Reload())
	b.sees(t, "from a pipe")
	b.sees(t, "3.0 MiB")
	b.shot(t, "elsewhere")
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	b.do(t, cdp.Poll(`[...document.querySelectorAll(".file-name")].some(a => a.textContent === "from a pipe")`, nil, cdp.WithPollingTimeout(20*time.Second)))

	// a file that is gone before it is sent is named
	gone := filepath.Join(t.TempDir(), "gone")
	if err := os.MkdirAll(filepath.Join(gone, "in"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(gone, "in", "here.txt"), "here")
	write(t, filepath.Join(gone, "in", "soon gone.txt"), "gone")
	b.do(t, cdp.Evaluate(`XMLHttpRequest.prototype.send = new Proxy(XMLHttpRequest.prototype.send, { apply(f, x, a) { setTimeout(() => Reflect.apply(f, x, a), 2000); } })`, nil))
	b.drops(t, gone)
	b.do(t, cdp.Poll(`document.querySelector(".upload[data-state=sending]")`, nil))
	if err := os.Remove(filepath.Join(gone, "in", "soon gone.txt")); err != nil {
		t.Fatal(err)
	}
	b.sees(t, "“in/soon gone.txt” cannot be read any more")
	b.blameless(t, "failed")
	b.own(t, id)
}

// Two pages of one browser hold one stream; when one is closed the other takes it over.
func TestOneBrowserHoldsOneStream(t *testing.T) {
	b := newBrowser(t)
	w, url := pageNet(t, 3)
	b.do(t, cdp.Navigate(url), cdp.WaitVisible("button.main", cdp.ByQuery))
	b.sees(t, "live")
	base, _, _ := strings.Cut(url, "#")
	ctx, closeTab := cdp.NewContext(b.Context)
	defer closeTab()
	second := &browser{Context: ctx}
	cdp.ListenTarget(ctx, func(ev any) {
		if ev, ok := ev.(*cdpnet.EventRequestWillBeSent); ok {
			second.mu.Lock()
			defer second.mu.Unlock()
			second.asks = append(second.asks, ev.Request.URL)
		}
	})
	if err := cdp.Run(ctx, cdpnet.Enable()); err != nil {
		t.Fatal(err)
	}
	second.do(t, cdp.Navigate(base+"#/network"))
	second.do(t, cdp.Poll(`document.querySelectorAll("tr[data-peer]").length === 2 && document.querySelector(".stream.live")`, nil))
	streams := func(b *browser) (n int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, u := range b.asks {
			if strings.HasSuffix(u, "/api/v1/events") {
				n++
			}
		}
		return n
	}
	if first, other := streams(b), streams(second); first != 1 || other != 0 {
		t.Errorf("the first page opened %d streams, the second %d", first, other)
	}
	b.do(t, cdp.Navigate("about:blank"))
	second.do(t, cdp.Poll(`performance.getEntriesByType("resource").some(e => e.name.endsWith("/api/v1/events")) || document.querySelector(".stream.live")`, nil))
	w.must(t, "testnet", "kill", "--name", "page", "p2")
	second.do(t, cdp.Poll(`document.querySelector("tr[data-peer].down")`, nil, cdp.WithPollingTimeout(10*time.Second)))
	if other := streams(second); other != 1 {
		t.Errorf("the page that is left opened %d streams", other)
	}
}

// 2,000 files are put as one folder, and something of it moves every second.
func TestTwoThousandFilesMoveAllTheTime(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: long; make test runs it")
	}
	b := newBrowser(t)
	w, url := pageNet(t, 6)
	dir := filepath.Join(t.TempDir(), "many")
	for i := range 2000 {
		sub := filepath.Join(dir, fmt.Sprint(i%40))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(sub, fmt.Sprintf("%d.txt", i)), strings.Repeat(fmt.Sprintln("file", i), 800))
	}
	b.do(t, cdp.Navigate(url), cdp.WaitVisible("button.main", cdp.ByQuery))
	b.sees(t, "Nothing yet.")
	b.do(t, cdp.Evaluate(`window.moves = []; window.began = performance.now(); setInterval(() => {
		const now = [...document.querySelectorAll(".upload")].map(e => e.innerText + [...e.querySelectorAll("progress")].map(p => p.value)).join();
		if (now && now !== window.was) { window.was = now; moves.push(performance.now() - began); }
	}, 20); 0`, nil))
	b.drops(t, dir)
	ctx, cancel := context.WithTimeout(b, 2*time.Minute)
	defer cancel()
	if err := cdp.Run(ctx, cdp.Poll(`document.querySelector(".upload[data-state=done]")`, nil, cdp.WithPollingTimeout(0))); err != nil {
		var text string
		b.do(t, cdp.Evaluate(`document.body.innerText`, &text))
		t.Fatal(err, text)
	}
	var moves []float64
	b.do(t, cdp.Evaluate(`moves`, &moves))
	var stood float64
	for i, at := range moves[1:] {
		stood = max(stood, at-moves[i])
	}
	t.Logf("FIGURE 2,000 files stored after %.1f s, %d moves, the longest stand %.2f s", moves[len(moves)-1]/1000, len(moves), stood/1000)
	limit := 8000.0 // ms; of a machine that does other things too
	if os.Getenv("CAIRN_BENCH") != "" {
		limit = 1000
	}
	if stood > limit {
		t.Errorf("nothing moved for %.0f ms, want %.0f at most", stood, limit)
	}
	var root string
	b.do(t, cdp.Evaluate(`document.querySelector(".file .id").title`, &root))
	if got := w.must(t, "cat", "--peer", "p3@page", root+"/7/1207.txt"); got != strings.Repeat("file 1207\n", 800) {
		t.Errorf("another peer reads %d bytes", len(got))
	}
}

// A folder of 100,000 entries is listed in two seconds, holds few rows at a time, and
// is gone through by keyboard and by name.
func TestAFolderOfAHundredThousandIsListed(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: long; make test runs it")
	}
	b := newBrowser(t)
	_, url := pageNet(t, 1)
	b.do(t, cdp.Navigate(url), cdp.WaitVisible("button.main", cdp.ByQuery))
	var root string
	ctx, cancel := context.WithTimeout(b, 2*time.Minute)
	defer cancel()
	if err := cdp.Run(ctx, cdp.Evaluate(`(async () => {
		const parts = [];
		for (let i = 0; i < 100_000; i++) parts.push('--b\r\nContent-Disposition: form-data; name="f"; filename="entry-' + String(i).padStart(6, "0") + '.txt"\r\n\r\nx\r\n');
		const res = await fetch("/api/v1/put?wait=local", {method: "POST", headers: {"Content-Type": "multipart/form-data; boundary=b"}, body: new Blob([...parts, "--b--\r\n"])});
		return JSON.parse((await res.text()).trim().split("\n").pop()).cid;
	})()`, &root, pageAwaited)); err != nil {
		t.Fatal(err)
	}
	b.do(t, cdp.Evaluate(`window.began = performance.now(); location.hash = "#/ipfs/`+root+`"`, nil))
	var took, first float64
	b.do(t, cdp.Poll(`document.querySelectorAll(".row").length > 10 && performance.now() - began`, &first, cdp.WithPollingInterval(10*time.Millisecond)))
	t.Logf("FIGURE the first of 100,000 entries are shown after %.2f s", first/1000)
	b.do(t, cdp.Poll(`/^100,000 entries$/.test(document.getElementById("entries")?.innerText) && document.querySelectorAll(".row").length > 10 && performance.now() - began`, &took, cdp.WithPollingInterval(10*time.Millisecond)))
	t.Logf("FIGURE 100,000 entries are shown after %.2f s", took/1000)
	limit := 30_000.0 // beside other tests, for two processors
	if os.Getenv("CAIRN_BENCH") != "" {
		limit = 2000 // what is promised on a machine that does nothing else
	}
	if took > limit {
		t.Errorf("listed after %.0f ms", took)
	}
	var alone float64
	b.do(t, cdp.Evaluate(`(async () => { const began = performance.now(); await (await fetch("/api/v1/ls?path=`+root+`")).text(); return performance.now() - began; })()`, &alone, pageAwaited))
	t.Logf("FIGURE of that the peer's own share is about %.2f s", alone/1000)
	var frames struct{ Slow, Rows, All float64 }
	b.do(t, cdp.Evaluate(`new Promise(done => {
		const box = document.querySelector(".rows-box"); let last = performance.now(), slow = 0, n = 0, rows = 0;
		requestAnimationFrame(function step(now) {
			slow = Math.max(slow, performance.now() - last); last = performance.now();
			rows = Math.max(rows, document.querySelectorAll(".row").length);
			box.scrollTop += 33_333;
			if (++n < 120) requestAnimationFrame(step); else done({Slow: slow, Rows: rows, All: box.scrollHeight});
		});
	})`, &frames, pageAwaited))
	t.Logf("FIGURE scrolling from end to end: the slowest frame %.0f ms, %.0f rows at most", frames.Slow, frames.Rows)
	if frames.Rows > 100 || frames.All != 4_000_000 {
		t.Errorf("%+v", frames)
	}
	b.sees(t, "entry-099999.txt")
	b.shot(t, "hundred-thousand")
	b.do(t, cdp.SendKeys(`.find input`, "4242", cdp.ByQuery))
	b.sees(t, "with “4242”")
	b.do(t, cdp.Poll(`document.querySelector(".row a[title='entry-004242.txt']")`, nil))
}
