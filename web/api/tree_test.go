package api_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/ipfs/go-cid"
)

// trees is the part of a fake that has to do with trees and pins.
type trees struct {
	putTree func(ctx context.Context, items iter.Seq2[blocks.Item, error], o blocks.PutOptions) (blocks.Receipt, error)
	entries []blocks.Entry
	listErr error // after the entries
	pinned  map[string]blocks.Pin
	pinErr  error
}

func (f *trees) PutTree(ctx context.Context, items iter.Seq2[blocks.Item, error], o blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error) {
	tell(blocks.Progress{Blocks: 1})
	return f.putTree(ctx, items, o)
}
func (f *trees) Leaves(context.Context, string) iter.Seq2[blocks.Leaf, error] {
	return func(yield func(blocks.Leaf, error) bool) { yield(blocks.Leaf{}, f.listErr) }
}
func (f *trees) List(context.Context, string) iter.Seq2[blocks.Entry, error] {
	return func(yield func(blocks.Entry, error) bool) {
		for _, e := range f.entries {
			if !yield(e, nil) {
				return
			}
		}
		if f.listErr != nil {
			yield(blocks.Entry{}, f.listErr)
		}
	}
}
func (f *trees) Stat(_ context.Context, path string) (blocks.Stat, error) {
	return blocks.Stat{CID: leaf, Kind: blocks.KindFile, Size: 4, Total: 4}, f.listErr
}
func (f *trees) Pins(context.Context) iter.Seq2[blocks.Pin, error] {
	return func(yield func(blocks.Pin, error) bool) {
		for _, p := range f.pinned {
			if !yield(p, nil) {
				return
			}
		}
	}
}
func (f *trees) Pin(_ context.Context, path, name string, tell func(blocks.Progress)) (blocks.Pin, error) {
	tell(blocks.Progress{Blocks: 3, Safe: 1})
	return blocks.Pin{Root: leaf, Name: name, Blocks: 3}, f.pinErr
}
func (f *trees) Unpin(_ context.Context, path string) (blocks.Pin, bool, error) {
	p, ok := f.pinned[path]
	p.Root = leaf
	return p, ok, f.listErr
}

var leaf = blocks.New(cid.Raw, []byte("leaf")).Cid()

// taking gives a node that notes what it is given, as "kind path body".
func taking(got chan<- []string) *fake {
	n := node("")
	n.putTree = func(_ context.Context, items iter.Seq2[blocks.Item, error], o blocks.PutOptions) (blocks.Receipt, error) {
		var all []string
		defer func() { got <- all }()
		for it, err := range items {
			if err != nil {
				return blocks.Receipt{}, err
			}
			body := it.Target
			if it.Body != nil {
				data, err := io.ReadAll(it.Body)
				if err != nil {
					return blocks.Receipt{}, err
				}
				body = string(data)
			}
			all = append(all, fmt.Sprintf("%s %s %s", it.Kind, it.Path, body))
		}
		return blocks.Receipt{Root: leaf, Name: o.Name}, nil
	}
	return n
}

// pack makes a tar of h and their bodies.
func pack(t *testing.T, bodies string, hs ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range hs {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(bodies))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, bodies); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func asTar(r *http.Request) { r.Header.Set("Content-Type", "application/x-tar") }

func TestPutTakesATar(t *testing.T) {
	got := make(chan []string, 1)
	body := pack(t, "hello",
		tar.Header{Name: "./", Typeflag: tar.TypeDir},
		tar.Header{Name: "./a/ü 日本", Typeflag: tar.TypeReg},
		tar.Header{Name: "empty/", Typeflag: tar.TypeDir},
		tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "a/ü 日本"},
		tar.Header{Name: strings.Repeat("long/", 50) + "x", Typeflag: tar.TypeReg},
	)
	body = append(body, make([]byte, 8192)...) // as other tars pad
	last := lastLine(t, ask(t, serve(t, taking(got), api.Config{}), "POST", "/api/v1/put?name=n", bytes.NewReader(body), asTar))
	want := []string{"dir  ", "file a/ü 日本 hello", "dir empty ", "symlink l a/ü 日本", "file " + strings.Repeat("long/", 50) + "x hello"}
	if all := <-got; !slices.Equal(all, want) {
		t.Errorf("got %q\nwant %q", all, want)
	}
	if last["type"] != "summary" || last["cid"] != leaf.String() || last["name"] != "n" {
		t.Errorf("last line %v", last)
	}
}

func TestPutTakesAFormOfFilesWithPaths(t *testing.T) {
	got := make(chan []string, 1)
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for _, p := range [][3]string{
		{"photos/a b.jpg", "", "one"}, {"photos/ü.jpg", "image/jpeg", "two"},
		{"photos/none", "application/x-directory", ""}, {"photos/last", "application/symlink", "a b.jpg"},
	} {
		h := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name="file"; filename="%s"`, p[0])}}
		if p[1] != "" {
			h.Set("Content-Type", p[1])
		}
		part, err := w.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(part, p[2])
	}
	w.Close()
	whole := buf.Bytes()
	as := func(r *http.Request) { r.Header.Set("Content-Type", w.FormDataContentType()) }
	last := lastLine(t, ask(t, serve(t, taking(got), api.Config{}), "POST", "/api/v1/put", bytes.NewReader(whole), as))
	want := []string{"file photos/a b.jpg one", "file photos/ü.jpg two", "dir photos/none ", "symlink photos/last a b.jpg"}
	if all := <-got; !slices.Equal(all, want) || last["type"] != "summary" {
		t.Errorf("got %q, want %q; last line %v", all, want, last)
	}
	for _, n := range []int{0, 1, 100, len(whole) / 2, len(whole) - 10} {
		last := lastLine(t, ask(t, serve(t, taking(got), api.Config{}), "POST", "/api/v1/put", bytes.NewReader(whole[:n]), as))
		if <-got; last["type"] != "error" || last["code"] != "usage" {
			t.Errorf("%d of %d bytes: last line %v", n, len(whole), last)
		}
	}
}

// A tar that lacks any part of its end, even when it stops between two files or in
// zeros that are a file's, is never a tree.
func TestATarCutShortIsNeverATree(t *testing.T) {
	got := make(chan []string, 1)
	for _, text := range []string{"hello", strings.Repeat("\x00", 4096)} {
		whole := pack(t, text, tar.Header{Name: "a", Typeflag: tar.TypeReg}, tar.Header{Name: "b", Typeflag: tar.TypeReg})
		for n := 0; n < len(whole); n += 256 {
			last := lastLine(t, ask(t, serve(t, taking(got), api.Config{}), "POST", "/api/v1/put", bytes.NewReader(whole[:n]), asTar))
			if <-got; last["type"] != "error" || last["code"] != "usage" || !strings.Contains(fmt.Sprint(last["message"]), "ended too early") {
				t.Errorf("%d of %d bytes: last line %v", n, len(whole), last)
			}
		}
	}
}

// The same over a connection that breaks: the node sees an error, and the answer says so.
func TestAConnectionCutInATarIsNeverATree(t *testing.T) {
	got := make(chan []string, 1)
	whole := pack(t, strings.Repeat("x", 2000), tar.Header{Name: "a", Typeflag: tar.TypeReg}, tar.Header{Name: "b", Typeflag: tar.TypeReg})
	for _, n := range []int{100, 512, 2560, 4000, len(whole)} { // the last: all of the tar, not of the body
		c := raw(t, serve(t, taking(got), api.Config{}).URL, fmt.Sprintf("Content-Type: application/x-tar\r\nContent-Length: %d", len(whole)+1), string(whole[:n]))
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(c)
		if <-got; strings.Contains(string(answer), "summary") || !strings.Contains(string(answer), "cut short") {
			t.Errorf("%d bytes: answer %s", n, answer)
		}
	}
}

func TestWhatIsNoTreeIsRefused(t *testing.T) {
	got := make(chan []string, 1)
	trailing := append(append(pack(t, "x", tar.Header{Name: "a", Typeflag: tar.TypeReg}), "more"...), make([]byte, 4096)...)
	for want, body := range map[string][]byte{
		"no tar":                       bytes.Repeat([]byte("nonsense"), 1000),
		"followed by something":        trailing,
		`entry \"hard\": tar type '1'`: pack(t, "", tar.Header{Name: "hard", Typeflag: tar.TypeLink, Linkname: "a"}),
		`entry \"fifo\": tar type '6'`: pack(t, "", tar.Header{Name: "fifo", Typeflag: tar.TypeFifo}),
		`entry \"dev\": tar type '3'`:  pack(t, "", tar.Header{Name: "dev", Typeflag: tar.TypeChar}),
	} {
		last := lastLine(t, ask(t, serve(t, taking(got), api.Config{}), "POST", "/api/v1/put", bytes.NewReader(body), asTar))
		<-got
		text, _ := json.Marshal(last)
		if last["code"] != "usage" || !strings.Contains(string(text), want) {
			t.Errorf("last line %s, want %q", text, want)
		}
	}
	n := node("")
	n.putTree = func(context.Context, iter.Seq2[blocks.Item, error], blocks.PutOptions) (blocks.Receipt, error) {
		return blocks.Receipt{}, fmt.Errorf("put: %w", &blocks.NameError{Path: "a/..\n", Reason: "no"})
	}
	last := lastLine(t, ask(t, serve(t, n, api.Config{}), "POST", "/api/v1/put", bytes.NewReader(pack(t, "")), asTar))
	if last["code"] != "usage" || !strings.Contains(fmt.Sprint(last["message"]), `entry "a/..\n": no`) {
		t.Errorf("last line %v", last)
	}
}

func TestLsListsInLines(t *testing.T) {
	n := node("")
	n.entries = []blocks.Entry{{Name: "a\nb", CID: leaf, Kind: blocks.KindFile, Size: 4}, {Name: "l", CID: leaf, Kind: blocks.KindSymlink, Size: 1, Target: "a"}, {Name: "?", CID: leaf, Kind: blocks.KindUnknown, Size: -1}}
	res := ask(t, serve(t, n, api.Config{}), "GET", "/api/v1/ls?path=x", nil, nil)
	data, err := io.ReadAll(res.Body)
	want := strings.ReplaceAll(`{"type":"file","name":"a\nb","cid":"C","size":4}
{"type":"symlink","name":"l","cid":"C","size":1,"target":"a"}
{"type":"unknown","name":"?","cid":"C","size":-1}
`, "C", leaf.String())
	if err != nil || string(data) != want || res.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%v %s\n%s", err, res.Header.Get("Content-Type"), data)
	}
	n.listErr = blocks.NotFound(leaf)
	if last := lastLine(t, ask(t, serve(t, n, api.Config{}), "GET", "/api/v1/ls?path=x", nil, nil)); last["type"] != "error" || last["code"] != "not_found" {
		t.Errorf("broken off: %v", last)
	}
	n.entries = nil
	if p := problem(t, ask(t, serve(t, n, api.Config{}), "GET", "/api/v1/ls?path=x", nil, nil)); p.Status != 404 {
		t.Errorf("nothing: %+v", p)
	}
	n.listErr = nil
	if status, body := get(t, serve(t, n, api.Config{}), "/api/v1/ls?path=x"); status != 200 || body != "" {
		t.Errorf("empty: %d %q", status, body)
	}
}

// 100,000 entries are answered in lines and in no more than moments.
func TestLsOfALargeDirectoryIsQuick(t *testing.T) {
	n := node("")
	for i := range 100_000 {
		n.entries = append(n.entries, blocks.Entry{Name: fmt.Sprint(i), CID: leaf, Kind: blocks.KindFile})
	}
	began := time.Now()
	_, body := get(t, serve(t, n, api.Config{}), "/api/v1/ls?path=x")
	if got := strings.Count(body, "\n"); got != 100_000 || time.Since(began) > 10*time.Second {
		t.Errorf("%d lines in %s", got, time.Since(began))
	}
}

func TestStatAndPinsAnswer(t *testing.T) {
	n := node("")
	n.pinned = map[string]blocks.Pin{"x": {Root: leaf, Name: "mine", Size: 4, Blocks: 1, Pending: true}}
	srv := serve(t, n, api.Config{})
	if status, body := get(t, srv, "/api/v1/stat?path=x"); status != 200 || body != `{"cid":"`+leaf.String()+`","type":"file","size":4,"total":4,"pinned":false}`+"\n" {
		t.Errorf("stat: %d %s", status, body)
	}
	status, body := get(t, srv, "/api/v1/pins")
	if status != 200 || !strings.HasPrefix(body, `[{"cid":"`+leaf.String()+`","name":"mine","size":4,"blocks":1,`) || strings.Contains(body, "root") || !strings.Contains(body, `"pending":true`) {
		t.Errorf("pins: %d %s", status, body)
	}
	data, _ := io.ReadAll(ask(t, srv, "POST", "/api/v1/pins?path=x&name=n", nil, nil).Body)
	if s := string(data); !strings.Contains(s, `{"type":"status","blocks":3,"safe":1,`) || !strings.Contains(s, `{"type":"summary","cid":"`+leaf.String()+`","name":"n",`) {
		t.Errorf("pin: %s", s)
	}
	n.pinErr = blocks.NotFound(leaf)
	if last := lastLine(t, ask(t, srv, "POST", "/api/v1/pins?path=x", nil, nil)); last["code"] != "not_found" {
		t.Errorf("pin of nothing: %v", last)
	}
	if res := ask(t, srv, "DELETE", "/api/v1/pins?path=x", nil, nil); res.StatusCode != 200 {
		t.Errorf("unpin: %d", res.StatusCode)
	}
	if p := problem(t, ask(t, srv, "DELETE", "/api/v1/pins?path=y", nil, nil)); p.Status != 404 || p.Code != "not_found" || !strings.Contains(p.Detail, leaf.String()+" is not pinned here") {
		t.Errorf("unpin of nothing: %+v", p)
	}
	for _, bad := range []string{"GET /api/v1/stat", "GET /api/v1/ls", "POST /api/v1/pins", "DELETE /api/v1/pins", "POST /api/v1/pins?path=x&name=a%00", "GET /api/v1/pins?path=x"} {
		method, path, _ := strings.Cut(bad, " ")
		if p := problem(t, ask(t, srv, method, path, nil, nil)); p.Status != 400 {
			t.Errorf("%s: %+v", bad, p)
		}
	}
	res := ask(t, srv, "PUT", "/api/v1/pins", nil, nil)
	if p := problem(t, res); p.Status != 405 || res.Header.Get("Allow") != "GET, HEAD, POST, DELETE" {
		t.Errorf("PUT: %+v, Allow %q", p, res.Header.Get("Allow"))
	}
	n.listErr = errors.New("broken")
	if p := problem(t, ask(t, srv, "GET", "/api/v1/stat?path=x", nil, nil)); p.Status != 500 {
		t.Errorf("stat of what is broken: %+v", p)
	}
}
