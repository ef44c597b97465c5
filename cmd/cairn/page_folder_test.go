package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/web/api"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdp "github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// drops lets go of files and folders over the middle of the page.
func (b *browser) drops(t *testing.T, paths ...string) {
	t.Helper()
	data := &input.DragData{Items: []*input.DragDataItem{}, Files: paths, DragOperationsMask: 1}
	for _, kind := range []input.DispatchDragEventType{input.DragEnter, input.DragOver, input.Drop} {
		b.do(t, input.DispatchDragEvent(kind, 600, 300, data))
	}
}

// own asks that scripts did not fail and that nobody but the peer was asked.
func (b *browser) own(t *testing.T, id api.ID) {
	t.Helper()
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

func (w pageNetwork) id(t *testing.T, peer string) (id api.ID) {
	t.Helper()
	if err := json.Unmarshal([]byte(w.must(t, "id", "--peer", peer+"@page", "--json")), &id); err != nil {
		t.Fatal(err)
	}
	return id
}

// holiday is a folder with names that are hard to send, and an empty one in it.
func holiday(t *testing.T) (dir string, files map[string]string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "holiday ünï")
	files = map[string]string{
		"note 10.txt": "Seen through the gateway, in a frame that may do nothing.\n", "note 9.txt": "nine",
		`a "quoted" 100%22 & #1?.txt`: "quotes", "sub/deep/🌲.txt": "a tree\n",
		"dot.svg":   `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" width="300" height="300"><circle cx="4.5" cy="4.5" r="4" fill="teal"/></svg>`,
		"page.html": `<h1>A page</h1><script>document.body.textContent = "ran"</script>`,
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), text)
	}
	if err := os.MkdirAll(filepath.Join(dir, "empty", "too"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, files
}

// A person drops a folder, walks through it with the keyboard, looks at what is in it,
// and watches its copies come back after a holder was killed.
func TestThePageTakesAFolderAndShowsWhatIsInIt(t *testing.T) {
	b := newBrowser(t)
	w, url := pageNet(t, 8)
	id := w.id(t, "p0")
	dir, files := holiday(t)
	b.do(t, cdp.Navigate(url), cdp.WaitVisible("button.main", cdp.ByQuery))
	b.sees(t, "Nothing yet.")
	b.drops(t, dir)
	b.do(t, cdp.Poll(`document.querySelector(".upload[data-state=done]") && document.querySelector(".file")`, nil, cdp.WithPollingTimeout(25*time.Second)))
	b.sees(t, "holiday ünï/")
	var root string
	b.do(t, cdp.Evaluate(`document.querySelector(".file .id").title`, &root))
	for name, text := range files {
		if got := w.must(t, "cat", "--peer", "p5@page", root+"/"+name); got != text {
			t.Errorf("%s: another peer reads %q", name, got)
		}
	}
	if got := w.must(t, "ls", "--peer", "p5@page", root+"/empty"); strings.TrimSpace(got) != "too/" && strings.TrimSpace(got) != "too" {
		t.Errorf("an empty directory came as %q", got)
	}
	b.blameless(t, "folder-put")

	// browse, by keyboard
	b.do(t, cdp.Focus(`.file .file-name`, cdp.ByQuery), cdp.KeyEvent(kb.Enter))
	b.sees(t, "7 entries")
	var names []string
	b.do(t, cdp.Evaluate(`[...document.querySelectorAll(".row:not(.head) a[title]")].map(a => a.title)`, &names))
	if want := `[empty sub a "quoted" 100%22 & #1?.txt dot.svg note 9.txt note 10.txt page.html]`; fmt.Sprint(names) != want {
		t.Errorf("listed %v, want %s", names, want)
	}
	b.blameless(t, "browse")
	b.do(t, cdp.Focus(".rows-box", cdp.ByQuery), cdp.KeyEvent(kb.ArrowDown), cdp.KeyEvent(kb.ArrowDown), cdp.KeyEvent(kb.Enter))
	b.sees(t, "deep")
	b.do(t, cdp.Poll(`document.querySelector(".row a[title='deep']")`, nil), cdp.Focus(".rows-box", cdp.ByQuery), cdp.KeyEvent(kb.ArrowDown), cdp.KeyEvent(kb.Enter))
	b.do(t, cdp.Poll(`document.querySelector(".row a[title='🌲.txt']")`, nil), cdp.Focus(".rows-box", cdp.ByQuery), cdp.KeyEvent(kb.ArrowDown), cdp.KeyEvent(kb.Enter))
	b.do(t, cdp.Poll(`document.querySelector("iframe.preview")`, nil))
	var crumbs []string
	b.do(t, cdp.Evaluate(`[...document.querySelectorAll(".crumbs a")].map(a => a.textContent)`, &crumbs))
	if want := "[Files holiday ünï sub deep 🌲.txt]"; fmt.Sprint(crumbs) != want {
		t.Errorf("the way here is %v, want %s", crumbs, want)
	}
	b.do(t, cdp.Click(`//nav[@class="crumbs"]//a[.="sub"]`, cdp.BySearch))
	b.do(t, cdp.Poll(`document.querySelector("h1").textContent === "sub" && document.querySelector(".row a[title=deep]")`, nil))

	// a deep link, and what a stranger put stays in its frame
	base, _, _ := strings.Cut(url, "#")
	b.do(t, cdp.Navigate("about:blank"), cdp.Navigate(base+"#/ipfs/"+root+"/note%2010.txt"), cdp.Poll(`document.querySelector("iframe.preview")`, nil))
	var frame struct{ Src, Sandbox string }
	b.do(t, cdp.Evaluate(`(() => { const f = document.querySelector("iframe.preview"); return {Src: f.src, Sandbox: f.getAttribute("sandbox") ?? "none"}; })()`, &frame))
	if frame.Sandbox != "" || frame.Src != id.Gateway+"/ipfs/"+root+"/note%2010.txt" {
		t.Errorf("the preview is %+v", frame)
	}
	b.do(t, cdp.Sleep(300*time.Millisecond))
	b.blameless(t, "preview-text")
	b.do(t, cdp.Evaluate(`location.hash = "#/ipfs/`+root+`/dot.svg"`, nil), cdp.Poll(`document.querySelector("img.preview")?.naturalWidth === 300`, nil))
	b.do(t, cdp.Evaluate(`location.hash = "#/ipfs/`+root+`/page.html"`, nil))
	b.sees(t, "Its scripts do not run here.")
	b.do(t, cdp.Evaluate(`location.hash = "#/ipfs/`+root+`/nothing"`, nil))
	b.sees(t, `no "nothing" in`)

	// health, live
	b.do(t, cdp.Evaluate(`location.hash = "#/health/`+root+`"`, nil))
	b.do(t, cdp.Poll(`document.querySelectorAll("tr[data-holder]").length >= 5 && document.querySelector(".ring-count").textContent === "5/5"`, nil, cdp.WithPollingTimeout(25*time.Second)))
	var holders []string
	var circles int
	b.do(t, cdp.Evaluate(`[...document.querySelectorAll("tr[data-holder]")].map(r => r.dataset.holder)`, &holders), cdp.Evaluate(`document.querySelectorAll(".ring .ring-peer.holder").length`, &circles))
	if circles != len(holders) {
		t.Errorf("the ring shows %d holders, the table %d", circles, len(holders))
	}
	b.blameless(t, "health-ring")
	for i := 1; i < 8; i++ {
		if p := fmt.Sprintf("p%d", i); w.id(t, p).ID == holders[0] || i == 7 {
			w.must(t, "testnet", "kill", "--name", "page", p)
			break
		}
	}
	killed := time.Now()
	b.do(t, cdp.Poll(`document.querySelector(".ring-count").textContent === "4/5" || document.querySelector("tr[data-holder].down")`, nil, cdp.WithPollingInterval(20*time.Millisecond), cdp.WithPollingTimeout(10*time.Second)))
	t.Logf("FIGURE a killed holder shows in the health of an item after %.2f s", time.Since(killed).Seconds())
	b.shot(t, "health-killed")

	// chosen, not dropped
	b.do(t, cdp.Evaluate(`location.hash = "#/files"`, nil), cdp.WaitReady("#choose-folder", cdp.ByID), cdp.SetUploadFiles("#choose-folder", []string{dir}, cdp.ByID))
	b.do(t, cdp.Poll(`document.querySelectorAll(".upload[data-state=done]").length === 1`, nil, cdp.WithPollingTimeout(25*time.Second)))
	var chosen string
	b.do(t, cdp.Evaluate(`document.querySelector(".file .id").title`, &chosen))
	if got := w.must(t, "cat", "--peer", "p0@page", chosen+"/sub/deep/🌲.txt"); got != "a tree\n" {
		t.Errorf("a chosen folder: another peer reads %q", got)
	}

	// narrow
	b.do(t, emulation.SetDeviceMetricsOverride(400, 800, 1, true))
	for name, p := range map[string]string{"files": "files", "browse": "ipfs/" + root, "preview": "ipfs/" + root + "/note%2010.txt", "health": "health/" + root} {
		for _, theme := range []string{"light", "dark"} {
			b.theme(t, theme)
			var over int
			b.do(t, cdp.Evaluate(`location.hash = "#/`+p+`"`, nil), cdp.Sleep(800*time.Millisecond), cdp.Evaluate(`document.documentElement.scrollWidth - innerWidth`, &over))
			if over > 0 {
				t.Errorf("%s is %d pixels wider than a telephone", name, over)
			}
			b.shot(t, "narrow-"+name+"-"+theme)
		}
	}
	b.own(t, id)
}
