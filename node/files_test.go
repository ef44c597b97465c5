package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/rpc"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/go-cid"
)

// shown is a node as the daemon shows it to web/rpc.
type shown struct {
	api.Node // what no test calls
	n        *node.Node
}

func (f shown) Resolve(ctx context.Context, p string) (cid.Cid, error)  { return f.n.Resolve(ctx, p) }
func (f shown) BlockService() blockservice.BlockService                 { return f.n.BlockService() }
func (f shown) Stat(ctx context.Context, p string) (blocks.Stat, error) { return f.n.Stat(ctx, p) }
func (f shown) List(c context.Context, p string) iter.Seq2[blocks.Entry, error] {
	return f.n.List(c, p)
}
func (f shown) Room(ctx context.Context, size int64) error       { return f.n.Room(ctx, size) }
func (f shown) Draft() rpc.Draft                                 { return f.n.Draft() }
func (f shown) Hold(roots ...cid.Cid)                            { f.n.Hold(roots...) }
func (f shown) Keep(ctx context.Context, root cid.Cid) error     { return f.n.Keep(ctx, root) }
func (f shown) Await(ctx context.Context, root cid.Cid) error    { return f.n.Await(ctx, root) }
func (f shown) Displace(ctx context.Context, root cid.Cid) error { return f.n.Displace(ctx, root) }
func (f shown) Open(ctx context.Context, p string) (api.File, error) {
	file, err := f.n.Get(ctx, p)
	if err != nil {
		return nil, err
	}
	return file, nil
}

// files runs the mutable files of n, whose root stands in dir, until stop.
func files(t *testing.T, n *node.Node, dir string) (ask func(cmd, text string, args ...string) string, stop func()) {
	t.Helper()
	s := rpc.New(shown{n: n}, rpc.Config{Dir: dir})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func(cmd, text string, args ...string) string {
			t.Helper()
			cmd, options, _ := strings.Cut(cmd, "?")
			for _, a := range args {
				options += "&arg=" + url.QueryEscape(a)
			}
			var body io.Reader
			if text != "" {
				body = strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\nContent-Type: application/octet-stream\r\n\r\n" + text + "\r\n--x--\r\n")
			}
			r := httptest.NewRequest(http.MethodPost, "/api/v0/files/"+cmd+"?"+options, body)
			r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
			w := httptest.NewRecorder()
			s.RPC().ServeHTTP(w, r)
			if w.Code != 200 {
				t.Fatalf("%s %q: %d %s", cmd, args, w.Code, w.Body)
			}
			return w.Body.String()
		}, func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
}

func filesRoot(t *testing.T, ask func(cmd, text string, args ...string) string) string {
	t.Helper()
	var st rpc.FileStat
	if err := json.Unmarshal([]byte(ask("stat", "", "/")), &st); err != nil {
		t.Fatal(err)
	}
	return st.Hash
}

func pinsOf(t *testing.T, n *node.Node) (all map[string]blocks.Pin) {
	t.Helper()
	all = map[string]blocks.Pin{}
	for p, err := range n.Pins(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all[p.Root.String()] = p
	}
	return all
}

// The promise holds for the mutable files: what was written and what was copied from others
// is on other disks a quiet time later, under a lease of the newest root alone, and is read
// there when its author is gone for good.
func TestTheMutableFilesOutliveTheirAuthor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := t.Context(), nodetest.New(t, 7, nodetest.Config())
		n := w.Nodes[0]
		theirs, err := w.Nodes[1].PutTree(ctx, items(nil, many(20)...), blocks.PutOptions{Wait: blocks.WaitFull}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ask, stop := files(t, n, t.TempDir())
		defer stop()
		text := string(blockstest.Random(1, 3<<20))
		ask("write?create=true&parents=true", "first", "/a/f")
		time.Sleep(time.Minute)
		first := filesRoot(t, ask)
		ask("cp", "", "/ipfs/"+theirs.Root.String(), "/theirs")
		ask("cp", "", "/ipfs/bafkqaaa", "/nothing") // which stands in its own CID
		for i := range 10 {
			ask("write?create=true&truncate=true", fmt.Sprint("draft ", i), "/a/f")
		}
		ask("write?create=true", text, "/big")
		time.Sleep(time.Minute)
		root := filesRoot(t, ask)
		pins := pinsOf(t, n)
		if p := pins[root]; len(pins) != 1 || p.Name != node.FilesPin || p.Pending {
			t.Errorf("pins %+v, want %s alone", pins, root)
		}
		active := 0
		for l, err := range n.Leases(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if l.State == "active" {
				active++
			} else if l.Root.String() != first {
				t.Errorf("lease %+v", l)
			}
		}
		if active != 1 {
			t.Errorf("%d leases stand, want one", active)
		}
		if out, err := n.GC(ctx, 0, nil); err != nil || out.Blocks == 0 {
			t.Errorf("swept %+v, %v: want the drafts", out, err)
		}
		if h, err := w.Nodes[3].Health(ctx, root, false); err != nil || h.AtRisk > 0 || h.Min < 3 {
			t.Errorf("health %+v, %v", h, err)
		}
		w.Kill(0)
		w.Kill(1)
		time.Sleep(time.Minute)
		for p, want := range map[string]string{"/a/f": "draft 9", "/big": text, "/theirs/" + many(1)[0]: many(1)[0]} {
			if got := readAll(t, w.Nodes[4], root+p); got != want {
				t.Errorf("%s: %d bytes, want %d", p, len(got), len(want))
			}
		}
	})
}

// What nobody has pinned yet is held from the moment of the change, and from the start of a
// server that finds its root; the control is a peer that is told to hold nothing.
func TestACollectionLeavesTheMutableFilesAlone(t *testing.T) {
	for name, control := range map[string]bool{"held": false, "control": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, w := t.Context(), nodetest.New(t, 1, nodetest.Config())
				n, dir := w.Nodes[0], t.TempDir()
				ask, stop := files(t, n, dir)
				root := ""
				for i := range 5 {
					ask("write?create=true&truncate=true", fmt.Sprint("text ", i), "/f")
					if root = filesRoot(t, ask); control {
						n.Hold()
					}
					if out, err := n.GC(ctx, 0, nil); err != nil || i > 0 && !control && out.Blocks == 0 {
						t.Errorf("%+v, %v", out, err)
					}
					if control {
						break
					}
				}
				stop() // killed before the quiet time was over
				if !control {
					n.Hold() // as in a new process
					ask, stop = files(t, n, dir)
					defer stop()
					if _, err := n.GC(ctx, 0, nil); err != nil {
						t.Error(err)
					}
					if got := ask("read", "", "/f"); got != "text 4" || filesRoot(t, ask) != root {
						t.Errorf("%q", got)
					}
					return
				}
				c := cid.MustParse(root)
				if has, err := w.Mem[0].Has(ctx, c.Hash()); err != nil || has {
					t.Errorf("the root is still here (%v): the test proves nothing", err)
				}
			})
		})
	}
}

// Who pins a root that the mutable files have has it for himself, whatever becomes of them.
func TestAPinOfOnesOwnIsNotTheMutableFiles(t *testing.T) {
	for _, name := range []string{"", "backup"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, w := t.Context(), nodetest.New(t, 5, nodetest.Config())
			n := w.Nodes[0]
			ask, stop := files(t, n, t.TempDir())
			defer stop()
			ask("write?create=true", "text", "/f")
			time.Sleep(time.Minute)
			mine := filesRoot(t, ask)
			if _, err := n.Pin(ctx, mine, name, nil); err != nil {
				t.Fatal(err)
			}
			ask("write?create=true", "more", "/g")
			time.Sleep(time.Minute)
			ask("rm", "", "/g") // as it was: nobody takes the name of the pin away
			time.Sleep(time.Minute)
			if p, ok := pinsOf(t, n)[mine]; !ok || p.Name != name || p.Lease == (blocks.LeaseID{}) {
				t.Errorf("pin %q: %+v", name, p)
			}
			ask("rm", "", "/f")
			time.Sleep(time.Minute)
			pins := pinsOf(t, n)
			if p, ok := pins[mine]; !ok || p.Name != name || len(pins) != 2 {
				t.Errorf("pin %q: %+v", name, pins)
			}
			if got := readAll(t, n, mine+"/f"); got != "text" {
				t.Errorf("%q", got)
			}
		})
	}
}

// A draft that is dropped takes with it what it wrote, but nothing that was there before.
func TestADraftThatIsDroppedLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := t.Context(), nodetest.New(t, 1, nodetest.Config())
		n := w.Nodes[0]
		was, came, stays := blocks.New(cid.Raw, []byte("was")), blocks.New(cid.Raw, []byte("came")), blocks.New(cid.Raw, []byte("stays"))
		if err := w.Mem[0].Put(ctx, was); err != nil {
			t.Fatal(err)
		}
		d, e := n.Draft(), n.Draft()
		for _, err := range []error{d.Put(ctx, was, came), e.Put(ctx, stays), d.Put(ctx, stays)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if out, err := n.GC(ctx, 0, nil); err != nil || out.Blocks != 0 {
			t.Errorf("swept %+v, %v: drafts are under way", out, err)
		}
		d.Close(false)
		var got []string
		for h, err := range w.Mem[0].All(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, h.HexString())
		}
		want := []string{was.Hash().HexString(), stays.Hash().HexString()}
		slices.Sort(want)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%d blocks are left, want 2", len(got))
		}
		e.Close(true)
	})
}
