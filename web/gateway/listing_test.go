package gateway_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"html"
	"io"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/web/gateway"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/spaolacci/murmur3"
)

// wide makes a sharded directory of n names that all lead to one file.
func wide(t *testing.T, bs blockservice.BlockService, n int) cid.Cid {
	t.Helper()
	leaf := add(t, bs, merkledag.NewRawNode([]byte("leaf")))
	type place struct {
		hash [8]byte
		name string
	}
	all := make([]place, n)
	for i := range all {
		all[i].name = fmt.Sprintf("entry-%07d", i)
		binary.BigEndian.PutUint64(all[i].hash[:], murmur3.Sum64([]byte(all[i].name)))
	}
	slices.SortFunc(all, func(a, b place) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	var level func(all []place, depth int) ipld.Node
	level = func(all []place, depth int) ipld.Node {
		up, has := new(merkledag.ProtoNode), [32]byte{}
		for len(all) > 0 {
			slot, last := all[0].hash[depth], 1
			for last < len(all) && all[last].hash[depth] == slot {
				last++
			}
			name, to := fmt.Sprintf("%02X", slot)+all[0].name, leaf
			if last > 1 {
				name, to = fmt.Sprintf("%02X", slot), level(all[:last], depth+1)
			}
			if err := up.AddRawLink(name, &ipld.Link{Cid: to.Cid(), Size: 4}); err != nil {
				t.Fatal(err)
			}
			has[31-slot/8] |= 1 << (slot % 8)
			all = all[last:]
		}
		data, err := unixfs.HAMTShardData(bytes.TrimLeft(has[:], "\x00"), 256, 0x22)
		if err != nil {
			t.Fatal(err)
		}
		up.SetData(data)
		return add(t, bs, up)
	}
	return level(all, 0).Cid()
}

var (
	entry = regexp.MustCompile(`<a href="[^"]*/(entry-\d+)">`)
	next  = regexp.MustCompile(`<a rel="next" href="([^"]*)">`)
)

// a directory is listed page by page; all pages together have each entry once.
func TestADirectoryIsListedPageByPage(t *testing.T) {
	bs := service(t, nil)
	flat := map[string]string{}
	for i := range 2500 {
		flat[fmt.Sprintf("entry-%07d", i)] = "x"
	}
	srv := serve(t, bs, gateway.Config{})
	for kind, c := range map[string]struct {
		root cid.Cid
		n    int
	}{"sharded": {wide(t, bs, 5432), 5432}, "in one block": {dir(t, bs, false, flat), 2500}, "just a page": {wide(t, bs, 1000), 1000}} {
		seen, at, pages := map[string]bool{}, "", 0
		for {
			res, body := ask(t, srv, "GET", "/ipfs/"+c.root.String()+"/"+at, nil)
			found := entry.FindAllStringSubmatch(body, -1)
			if res.StatusCode != 200 || len(found) == 0 || len(found) > 1000 {
				t.Fatalf("%s: %d, %d entries", kind, res.StatusCode, len(found))
			}
			for _, m := range found {
				if seen[m[1]] {
					t.Fatalf("%s: %s twice", kind, m[1])
				}
				seen[m[1]] = true
			}
			pages++
			onward := next.FindStringSubmatch(body)
			if onward == nil {
				if res.Header.Get("Link") != "" {
					t.Errorf("%s: the last page has %q", kind, res.Header.Get("Link"))
				}
				break
			}
			if at = html.UnescapeString(onward[1]); res.Header.Get("Link") != "<"+at+`>; rel="next"` {
				t.Errorf("%s: %q beside %q", kind, res.Header.Get("Link"), at)
			}
		}
		if len(seen) != c.n || pages != (c.n+999)/1000 {
			t.Errorf("%s: %d entries on %d pages, want %d", kind, len(seen), pages, c.n)
		}
	}
}

// what one page costs does not grow with its directory, of 100,000 entries, or of a
// million where CAIRN_BENCH is set.
func TestAPageOfAHugeDirectoryIsCheap(t *testing.T) {
	n, soon := 100_000, 5*time.Second // beside other tests and under the race detector
	if os.Getenv("CAIRN_BENCH") != "" {
		n, soon = 1_000_000, time.Second
	}
	bs := service(t, nil)
	root := wide(t, bs, n)
	srv := serve(t, bs, gateway.Config{})
	ask(t, srv, "GET", "/ipfs/bafkqaaa", nil)
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	res, err := srv.Client().Get(srv.URL + "/ipfs/" + root.String() + "/?after=entry-0000500")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	one := make([]byte, 1)
	if _, err := io.ReadFull(res.Body, one); err != nil {
		t.Fatal(err)
	}
	first := time.Since(begin)
	rest, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&now)
	took, grown := time.Since(begin), now.TotalAlloc-before.TotalAlloc
	if first > soon || grown > 32<<20 || len(entry.FindAll(rest, -1)) != 1000 {
		t.Errorf("first byte after %s, %d MiB allocated, %d entries", first, grown>>20, len(entry.FindAll(rest, -1)))
	}
	t.Logf("FIGURE a page of %d entries: first byte after %d ms, whole after %d ms, %d KiB, %d MiB allocated in all", n, first.Milliseconds(), took.Milliseconds(), len(rest)>>10, grown>>20)
}

// names that would be markup, or lead elsewhere.
func TestNoNameLeadsOutOfItsDirectory(t *testing.T) {
	bs := service(t, nil)
	leaf := add(t, bs, merkledag.NewRawNode([]byte("leaf")))
	names := []string{
		"<script>alert(1)</script>", `"><script>alert(1)</script>`, `" onmouseover="alert(1)`, "javascript:alert(1)", "//evil.example/", "../../evil", "..", ".", "../..",
		"/etc/passwd", "a/../../../b", `..\..\b`, "https://evil.example/x", "a\x00b", "%2e%2e%2f", "?after=x", "#x", "a\nb", "'><img src=x onerror=alert(1)>", "\u202egnp.exe", "&lt;script&gt;",
	}
	up := unixfs.EmptyDirNode()
	for _, name := range names {
		if err := up.AddRawLink(name, &ipld.Link{Cid: leaf.Cid(), Size: 4}); err != nil {
			t.Fatal(err)
		}
	}
	add(t, bs, up)
	srv := serve(t, bs, gateway.Config{})
	base := "/ipfs/" + up.Cid().String() + "/"
	res, body := ask(t, srv, "GET", base, nil)
	if res.StatusCode != 200 || strings.Contains(body, "<script") || strings.Contains(body, "<img src=x") || strings.Contains(body, ` onmouseover="`) {
		t.Errorf("%d: markup of a name's own", res.StatusCode)
	}
	from, err := url.Parse(srv.URL + base)
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(body, "<tbody>")
	in := 0
	for _, m := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(list, -1) {
		to, err := from.Parse(html.UnescapeString(m[1]))
		if err != nil {
			t.Errorf("%q: %v", m[1], err)
			continue
		}
		if !strings.HasPrefix(to.String(), srv.URL+base) && !strings.HasPrefix(to.String(), srv.URL+"/ipfs/"+leaf.Cid().String()) {
			t.Errorf("a link to %s", to)
		}
		if strings.HasPrefix(to.String(), srv.URL+base) {
			in++
		}
	}
	if in != len(names) {
		t.Errorf("%d links, want %d", in, len(names))
	}
}
