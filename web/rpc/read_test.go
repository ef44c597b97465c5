package rpc_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/rpc"
	"github.com/ipfs/go-cid"
	"github.com/ipld/go-car/v2"
)

// planted is a peer with a tree: d/a is "hello\n", d/sub/big has 700,000 bytes.
func planted(t *testing.T) (p *peer, ask1 func(path string, parts ...part) (*http.Response, string), root string) {
	t.Helper()
	p = newPeer()
	srv, _ := serve(t, p, false)
	ask1 = func(path string, parts ...part) (*http.Response, string) {
		t.Helper()
		return ask(t, srv, path, parts...)
	}
	_, body := ask1("add?chunker=size-262144", part{"d/a", "", "hello\n"}, part{"d/sub/big", "", pattern(700000)})
	all := lines[rpc.Added](t, body)
	return p, ask1, all[len(all)-1].Hash
}

func TestCatGivesWhatWasAskedFor(t *testing.T) {
	_, ask, root := planted(t)
	big := pattern(700000)
	for query, want := range map[string]string{
		"arg=" + root + "/a":                                      "hello\n",
		"arg=/ipfs/" + root + "/sub/big":                          big,
		"arg=" + root + "/sub/big&offset=262140&length=10":        big[262140:262150],
		"arg=" + root + "/sub/big&offset=699990":                  big[699990:],
		"arg=" + root + "/sub/big&offset=800000":                  "",
		"arg=" + root + "/a&arg=" + root + "/a&offset=4&length=4": "o\nhe",
		"arg=" + root + "/a&length=0":                             "",
	} {
		res, body := ask("cat?" + query)
		if res.StatusCode != 200 || body != want || res.Header.Get("X-Stream-Output") != "1" {
			t.Errorf("%s: %d, %d bytes, want %d", query, res.StatusCode, len(body), len(want))
		}
	}
}

func TestWhatFailsInItsMiddleBreaksOff(t *testing.T) {
	p, ask, root := planted(t)
	var leaf string
	_, body := ask("refs?arg=" + root + "/sub/big")
	for _, r := range lines[rpc.Ref](t, body) {
		leaf = r.Ref // the last
	}
	p.hurts(func(c cid.Cid) error {
		if c.String() == leaf {
			return errors.New("this block hurts")
		}
		return nil
	})
	for _, path := range []string{"cat?arg=" + root + "/sub/big", "get?arg=" + root, "dag/export?arg=" + root} {
		if res, body := ask(path); res.StatusCode == 200 && !strings.HasPrefix(body, "broken off") {
			t.Errorf("%s: %d and %d bytes end cleanly", path, res.StatusCode, len(body))
		}
	}
	p.hurts(func(cid.Cid) error { return errors.New("this block hurts") })
	res, body := ask("cat?arg=" + root + "/a")
	if e := lines[rpc.Error](t, body); res.StatusCode != 500 || !strings.Contains(e[0].Message, "hurts") || e[0].Type != "error" {
		t.Errorf("before the first byte: %d %s", res.StatusCode, body)
	}
}

func TestGetGivesATar(t *testing.T) {
	_, ask, root := planted(t)
	_, body := ask("get?arg=" + root)
	in := tar.NewReader(strings.NewReader(body))
	var got []string
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil || strings.HasSuffix(h.Name, "big") && string(data) != pattern(700000) {
			t.Errorf("%s: %v, %d bytes", h.Name, err, len(data))
		}
		got = append(got, strings.TrimPrefix(h.Name, root))
	}
	if want := []string{"", "/a", "/sub", "/sub/big"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestListingsHaveKubosShape(t *testing.T) {
	p, ask, root := planted(t)
	for path, want := range map[string]string{
		"ls?arg=" + root:                 `"Name":"a","Hash":"bafkrei`,
		"ls?stream=true&arg=" + root:     `,"Size":0,"Type":1,"Target":""}]}]}`,
		"ls?arg=" + root + "/a":          `"Links":[]`,
		"ls?arg=" + root + "/sub/big":    `"Links":[{"Name":"","Hash":"bafkrei`,
		"files/ls?arg=/ipfs/" + root:     `{"Entries":[{"Name":"a","Type":0,"Size":0,"Hash":"bafkrei`,
		"files/stat?arg=/ipfs/" + root:   `"Blocks":2,"Type":"directory"}`,
		"pin/ls":                         `{"Keys":{"` + root + `":{"Type":"recursive"}}}`,
		"pin/ls?stream=true&names=true":  `{"Cid":"` + root + `","Type":"recursive","Name":"d"}`,
		"pin/ls?type=indirect":           `{"Keys":{}}`,
		"pin/add?arg=" + root:            `{"Pins":["` + root + `"]}`,
		"id":                             `"AgentVersion":"cairn/test"`,
		"version":                        `"Version":"0.40.1"`,
		"resolve?arg=/ipfs/" + root:      `{"Path":"/ipfs/` + root + `"}`,
		"block/stat?arg=" + root:         `"Key":"` + root + `"`,
		"dag/resolve?arg=" + root + "/a": `"RemPath":""`,
		"dag/get?arg=" + root:            `{"Data":{"/":{"bytes":"CAE"}},"Links":[{"Hash":{"/":"`,
		"dag/stat?arg=" + root:           `"UniqueBlocks":7`,
		"swarm/peers":                    `"Addr":"/ip4/127.0.0.1/tcp/2","Peer":"QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"`,
		"swarm/connect?arg=/ip4/1":       `{"Strings":["connect QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N success"]}`,
		"repo/stat":                      `"RepoSize":99,"StorageMax":9223372036854775807,"NumObjects":7`,
		"repo/verify":                    `verify complete, all 7 blocks validated.`,
		"commands":                       `{"Name":"add","Subcommands":[],"Options":[]}`,
		"refs?arg=" + root + "&format=<src>%20<linkname>": root + ` sub"`,
	} {
		if res, body := ask(path); res.StatusCode != 200 || !strings.Contains(strings.ReplaceAll(body, `\u003c`, "<"), want) {
			t.Errorf("%s: %d %s, want %s", path, res.StatusCode, body, want)
		}
	}
	if res, body := ask("pin/rm?arg=" + root); res.StatusCode != 200 || len(p.pins) != 0 {
		t.Errorf("pin/rm: %d %s", res.StatusCode, body)
	}
	for path, status := range map[string]int{
		"nothing": 404, "object/get?arg=" + root: 404, "cat": 400, "cat?arg=x": 400, "cat?arg=" + root + "/nope": 500,
		"files/ls": 501, "pubsub/ls": 501, "dag/import": 501, "cat?arg=" + root + "/a&offset=-1": 400,
		"cat?timeout=soon&arg=" + root: 400, "dag/get?output-codec=what&arg=" + root: 400,
	} {
		res, body := ask(path)
		if e := lines[rpc.Error](t, body); res.StatusCode != status || len(e) != 1 || e[0].Type != "error" || e[0].Message == "" {
			t.Errorf("%s: %d %s, want %d", path, res.StatusCode, body, status)
		}
	}
}

func TestExportIsACARThatAnybodyReads(t *testing.T) {
	_, ask, root := planted(t)
	_, body := ask("dag/export?arg=" + root)
	r, err := car.NewBlockReader(strings.NewReader(body))
	if err != nil || len(r.Roots) != 1 || r.Roots[0].String() != root {
		t.Fatalf("%v: %v", err, r)
	}
	n := 0
	for ; ; n++ {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := blocks.Check(b.Cid(), b.RawData()); err != nil {
			t.Error(err)
		}
	}
	if n != 7 {
		t.Errorf("%d blocks, want 7", n)
	}
	_, unique := ask("refs?recursive=true&unique=true&arg=" + root)
	if got := len(lines[rpc.Ref](t, unique)); got != n-1 {
		t.Errorf("%d references, want all blocks but the root", got)
	}
}

// What fails before its first byte is said, compressed or not.
func TestWhatCannotBeCompressedIsSaid(t *testing.T) {
	p, ask, root := planted(t)
	res, body := ask("get?compress=true&arg=" + root)
	if res.StatusCode != 400 || !strings.Contains(body, "compress it as an archive") || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("a directory: %d %q %v", res.StatusCode, body, res.Header)
	}
	for most := range 8 { // blocks that can be read
		var reads atomic.Int64
		p.hurts(func(cid.Cid) error {
			if reads.Add(1) > int64(most) {
				return errors.New("this block hurts")
			}
			return nil
		})
		if res, body := ask("get?compress=true&arg=" + root + "/a"); reads.Load() > int64(most) && (res.StatusCode != 500 || !strings.Contains(body, "hurts")) {
			t.Errorf("after %d blocks: %d %q", most, res.StatusCode, body)
		}
	}
	p.hurt.Store(nil)
	_, body = ask("get?compress=true&arg=" + root + "/a")
	in, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(in); err != nil || string(data) != "hello\n" {
		t.Errorf("%q, %v", data, err)
	}
}
