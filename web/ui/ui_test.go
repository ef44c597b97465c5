package ui_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/web/ui"
)

const gateway = "http://127.0.0.1:8180"

// read gives every file under dir.
func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWhatIsVendoredIsWhatItsSumsSay(t *testing.T) {
	for _, dir := range []string{"static/lib", "testdata/axe"} {
		files := read(t, dir)
		sums, origin := files["SHA256SUMS"], files["ORIGIN"]
		if origin == "" {
			t.Errorf("%s does not say where it comes from", dir)
		}
		delete(files, "SHA256SUMS")
		delete(files, "ORIGIN")
		for line := range strings.Lines(sums) {
			sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
			got := sha256.Sum256([]byte(files[name]))
			if hex.EncodeToString(got[:]) != sum {
				t.Errorf("%s/%s is not what was vendored", dir, name)
			}
			if !strings.Contains(origin, name) {
				t.Errorf("ORIGIN of %s does not name %s", dir, name)
			}
			delete(files, name)
		}
		for name := range files {
			t.Errorf("%s/%s has no sum", dir, name)
		}
	}
}

// forbidden is what no file of the page may have.
var forbidden = []struct {
	why string
	is  *regexp.Regexp
	in  string // extensions
}{
	{"imports what is not beside it", regexp.MustCompile(`(?:\bfrom|\bimport)\s*\(?\s*["'][^."'][^"']*["']`), ".js"},
	{"imports what is made up as it runs", regexp.MustCompile(`\bimport\s*\(`), ".js"},
	{"evaluates strings", regexp.MustCompile(`\beval\s*\(|\bnew Function\b|\bFunction\s*\(|setTimeout\(\s*["'\x60]`), ".js"},
	{"writes markup", regexp.MustCompile(`\.(innerHTML|outerHTML)\s*=[^=]|insertAdjacentHTML|document\.write`), ".own"},
	{"loads from elsewhere", regexp.MustCompile(`(?i)(?:src|href|url|import|from|fetch|open)\s*[=(:]?\s*\(?["'\x60]?\s*(?:https?:)?//`), ".js .css .html .svg"},
	{"names another origin", regexp.MustCompile(`https?://`), ".css .html .own"},
	{"has an inline handler", regexp.MustCompile(`(?i)<[^>]*\son[a-z]+\s*=\s*["']`), ".html .svg .own"},
	{"has an inline script", regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<]|javascript:`), ".html .svg .js"},
	{"has an inline style", regexp.MustCompile(`(?i)<style|\sstyle=`), ".html .svg .own"},
}

func faults(name, text string) (why []string) {
	kinds := []string{path.Ext(name)}
	if path.Ext(name) == ".js" && !strings.HasPrefix(name, "lib/") {
		kinds = append(kinds, ".own")
	}
	for _, f := range forbidden {
		for _, kind := range kinds {
			if strings.Contains(f.in+" ", kind+" ") && f.is.MatchString(text) {
				why = append(why, f.why+": "+f.is.FindString(text))
				break
			}
		}
	}
	return why
}

func TestThePageIsAllHereAndStrict(t *testing.T) {
	files := read(t, "static")
	if len(files) < 15 {
		t.Fatalf("only %d files", len(files))
	}
	for name, text := range files {
		if path.Ext(name) == "" {
			continue // a licence, a sum: never served
		}
		for _, why := range faults(name, text) {
			t.Errorf("%s %s", name, why)
		}
	}
}

// The control of the test above: each thing that is forbidden is found.
func TestWhatIsForbiddenIsFound(t *testing.T) {
	for text, name := range map[string]string{
		`import { h } from "preact"`:             "a.js",
		`import"preact"`:                         "a.js",
		`export*from'@preact/signals'`:           "lib/a.js",
		`import("./x.js")`:                       "a.js",
		`eval(x)`:                                "a.js",
		`new Function("x")`:                      "lib/a.js",
		`e.innerHTML = x`:                        "a.js",
		`fetch("https://evil.example")`:          "lib/a.js",
		`const x = "http://evil.example"`:        "a.js",
		`<p onclick="x()">`:                      "a.html",
		`<script>alert(1)</script>`:              "a.html",
		`<script src="//evil.example"></script>`: "a.html",
		`background: url(https://evil.example)`:  "a.css",
		`<p style="color:red">`:                  "a.html",
	} {
		if len(faults(name, text)) == 0 {
			t.Errorf("%s: %s passes", name, text)
		}
	}
	if why := faults("a.js", `import { h } from "./lib/preact.js"; x.addEventListener("click", f)`); len(why) > 0 {
		t.Errorf("what is allowed is refused: %q", why)
	}
}

func TestThePageIsSmall(t *testing.T) {
	var total int
	for name, text := range read(t, "static") {
		if ext := path.Ext(name); ext != ".js" && ext != ".css" {
			continue
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		total += b.Len()
	}
	t.Logf("FIGURE scripts and styles are %d bytes of gzip", total)
	if total > 100_000 || total < 5_000 {
		t.Errorf("scripts and styles are %d bytes of gzip, want 100,000 at most", total)
	}
}

func get(h http.Handler, method, url string, header ...string) *http.Response {
	r := httptest.NewRequest(method, url, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestEveryFileIsServedWithItsKindAndPolicy(t *testing.T) {
	h := ui.New(gateway)
	for url, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/ui/app.js": "text/javascript; charset=utf-8", "/ui/style.css": "text/css; charset=utf-8",
		"/ui/lib/preact.js": "text/javascript; charset=utf-8", "/ui/icon.svg": "image/svg+xml",
	} {
		res := get(h, "GET", url)
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != kind {
			t.Errorf("%s: %d %s", url, res.StatusCode, res.Header.Get("Content-Type"))
		}
		policy := res.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "connect-src 'self';", "frame-src " + gateway + " http://localhost:8180 http://*.ipfs.localhost:8180;", "form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy %q lacks %s", url, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", url, policy)
		}
		if again := get(h, "GET", url, "If-None-Match", res.Header.Get("Etag")); again.StatusCode != 304 {
			t.Errorf("%s is sent again though it is known: %d", url, again.StatusCode)
		}
	}
	if p := get(ui.New(""), "GET", "/").Header.Get("Content-Security-Policy"); !strings.Contains(p, "frame-src 'none'") || strings.Contains(p, "http") {
		t.Errorf("without a gateway: %q", p)
	}
}

// Every file that the page asks for is there, and each module is fetched at once.
func TestThePageNamesFilesThatAreThere(t *testing.T) {
	files := read(t, "static")
	index := files["index.html"]
	for _, m := range regexp.MustCompile(`(?:src|href)="/ui/([^"]+)"`).FindAllStringSubmatch(index, -1) {
		if files[m[1]] == "" {
			t.Errorf("index.html names %s, which is not there", m[1])
		}
	}
	for name, text := range files {
		if path.Ext(name) != ".js" {
			continue
		}
		if !strings.Contains(index, `"/ui/`+name+`"`) {
			t.Errorf("index.html does not fetch %s ahead", name)
		}
		for _, m := range regexp.MustCompile(`\bfrom ?"([^"]+)"`).FindAllStringSubmatch(text, -1) {
			if files[path.Join(path.Dir(name), m[1])] == "" {
				t.Errorf("%s imports %s, which is not there", name, m[1])
			}
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	h := ui.New(gateway)
	for _, url := range []string{"/ui/", "/ui/lib", "/ui/lib/ORIGIN", "/ui/lib/SHA256SUMS", "/ui/../ui.go", "/ui/nothing.js", "/index.html", "/ui//app.js"} {
		if res := get(h, "GET", url); res.StatusCode != 404 {
			t.Errorf("%s: %d", url, res.StatusCode)
		}
	}
	if res := get(h, "POST", "/"); res.StatusCode != 405 || res.Header.Get("Allow") == "" {
		t.Errorf("POST: %d", res.StatusCode)
	}
}
