package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/gateway"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/namesys"
	"github.com/ipfs/boxo/path"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

func add(t *testing.T, bs blockservice.BlockService, n ipld.Node) ipld.Node {
	t.Helper()
	if err := bs.AddBlock(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	return n
}

// a list of 100,001 blocks, each linked from the one before. What each costs
// beyond its bytes must be small, and the whole not more than linear.
func TestADeepCARIsSentInBoundedMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: what the race detector keeps is in the figure; make test runs it")
	}
	const deep, most = 100_001, 32 << 20
	bs := service(t, nil)
	n := merkledag.NodeWithData([]byte("the end"))
	n.SetCidBuilder(merkledag.V1CidPrefix())
	add(t, bs, n)
	for range deep - 1 {
		up := new(merkledag.ProtoNode)
		up.SetCidBuilder(merkledag.V1CidPrefix())
		if err := up.AddRawLink("", &ipld.Link{Cid: n.Cid()}); err != nil {
			t.Fatal(err)
		}
		n = up
		add(t, bs, n)
	}
	srv := serve(t, bs, gateway.Config{})
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	res, err := srv.Client().Get(srv.URL + "/ipfs/" + n.Cid().String() + "?format=car")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	peak, got := uint64(0), 0
	buf := make([]byte, 64<<10)
	for err == nil {
		var k int
		k, err = io.ReadFull(res.Body, buf)
		got += k
		if got/(1<<20) != (got-k)/(1<<20) {
			// What was made during a collection is not collected by it. Who is not read from soon
			// waits, and then makes nothing: what is held is what no collection takes.
			held := uint64(math.MaxUint64)
			for range 3 {
				runtime.GC()
				runtime.ReadMemStats(&now)
				held = min(held, now.HeapAlloc)
			}
			peak = max(peak, held)
		}
	}
	if err != io.EOF && err != io.ErrUnexpectedEOF || got < deep*36 {
		t.Errorf("%d bytes, %v", got, err)
	}
	if res.StatusCode != 200 || peak > before.HeapAlloc+most {
		t.Errorf("status %d, %d MiB held", res.StatusCode, (peak-before.HeapAlloc)>>20)
	}
	t.Logf("%d KiB sent, %d KiB held above what was there", got>>10, (int64(peak)-int64(before.HeapAlloc))>>10)
}

// bomb is a file of 41 blocks and 2^40 leaves.
func bomb(t *testing.T, bs blockservice.BlockService, leaf int) cid.Cid {
	t.Helper()
	var n ipld.Node = add(t, bs, merkledag.NewRawNode(bytes.Repeat([]byte{'b'}, leaf)))
	size := uint64(leaf)
	for range 40 {
		f := unixfs.NewFSNode(unixfs.TFile)
		f.AddBlockSize(size)
		f.AddBlockSize(size)
		data, err := f.GetBytes()
		if err != nil {
			t.Fatal(err)
		}
		up := merkledag.NodeWithData(data)
		up.SetCidBuilder(merkledag.V1CidPrefix())
		for range 2 {
			if err := up.AddRawLink("", &ipld.Link{Cid: n.Cid(), Size: size}); err != nil {
				t.Fatal(err)
			}
		}
		size *= 2
		n = add(t, bs, up)
	}
	return n.Cid()
}

// what would be endless has an end, and what need not be endless is not.
func TestABombHasABudget(t *testing.T) {
	bs := service(t, nil)
	root := bomb(t, bs, 100)
	srv := serve(t, bs, gateway.Config{MaxBlocks: 5_000})
	for query, want := range map[string]int{ // blocks of a CAR that is whole; 0: it is broken off
		"?format=car": 41, "?format=car&dag-scope=entity": 41, "?format=car&dag-scope=block": 1,
		"?format=car&dag-scope=entity&entity-bytes=-1:*": 41,
		"?format=car&car-dups=y":                         0, "?format=car&dag-scope=entity&car-dups=y": 0, "": 0, "?format=tar": 0,
	} {
		begin := time.Now()
		status, body, err := whole(t, srv.URL+"/ipfs/"+root.String()+query)
		if want > 0 {
			cs, bad := read(bytes.NewReader(body))
			if err != nil || bad != nil || len(cs) != want {
				t.Errorf("%s: %d blocks, %v, %v; want %d", query, len(cs), err, bad, want)
			}
		} else if err == nil && status == 200 {
			t.Errorf("%s: %d bytes with a clean end", query, len(body))
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%s took %s", query, took)
		}
	}
	res, body := ask(t, srv, "GET", "/ipfs/"+root.String(), func(r *http.Request) { r.Header.Set("Range", "bytes=-10") })
	if res.StatusCode != 206 || body != "bbbbbbbbbb" {
		t.Errorf("its tail: %d %q", res.StatusCode, body)
	}
}

// repeats are sent when they are asked for, but a small DAG is no fountain.
func TestRepeatsHaveAnEnd(t *testing.T) {
	bs := service(t, nil)
	root := bomb(t, bs, 1<<20)
	srv := serve(t, bs, gateway.Config{})
	_, body, err := whole(t, srv.URL+"/ipfs/"+root.String()+"?format=car&car-dups=y")
	if err == nil || len(body) > 66<<20 {
		t.Errorf("%d MiB, %v", len(body)>>20, err)
	}
}

// a client that leaves takes its request with it, whatever it was for.
func TestABombEndsWithItsClient(t *testing.T) {
	bs := service(t, nil)
	root := bomb(t, bs, 1000)
	srv := serve(t, bs, gateway.Config{MaxBlocks: 1 << 40})
	for _, query := range []string{"", "?format=tar", "?format=car&car-dups=y"} {
		ctx, leave := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/ipfs/"+root.String()+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, res.Body, 100<<10); err != nil {
			t.Fatal(err)
		}
		leave()
		res.Body.Close()
	}
	begin := time.Now()
	srv.Close() // waits for every request
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("they went on for %s", took)
	}
}

// shards that lie about their shape, each refused at once.
func TestAShardThatLiesIsRefused(t *testing.T) {
	bs := service(t, nil)
	leaf := add(t, bs, merkledag.NewRawNode([]byte("leaf")))
	shard := func(fanout, hash uint64, field []byte, names ...string) cid.Cid {
		data, err := unixfs.HAMTShardData(field, fanout, hash)
		if err != nil {
			t.Fatal(err)
		}
		n := merkledag.NodeWithData(data)
		for _, name := range names {
			if err := n.AddRawLink(name, &ipld.Link{Cid: leaf.Cid(), Size: 4}); err != nil {
				t.Fatal(err)
			}
		}
		return add(t, bs, n).Cid()
	}
	srv := serve(t, bs, gateway.Config{})
	const murmur = 0x22
	for name, c := range map[string]cid.Cid{
		"a fanout of 2^20":       shard(1<<20, murmur, []byte{1}, "00000a"),
		"a fanout of 2^62":       shard(1<<62, murmur, []byte{1}, "00000a"),
		"a fanout of 0":          shard(0, murmur, []byte{1}, "00a"),
		"a fanout of 255":        shard(255, murmur, []byte{1}, "00a"),
		"a fanout of 2":          shard(2, murmur, []byte{1}, "0a"),
		"a map that is too wide": shard(256, murmur, bytes.Repeat([]byte{1}, 33), "00a"),
		"too few links":          shard(256, murmur, []byte{3}, "00a"),
		"too many links":         shard(256, murmur, []byte{1}, "00a", "01b"),
		"another hash function":  shard(256, 0x12, []byte{1}, "00a"),
	} {
		for _, at := range []string{"/", "/a", "/?format=tar", "/?format=car&dag-scope=entity"} {
			begin := time.Now()
			res, body := ask(t, srv, "GET", "/ipfs/"+c.String()+at, nil)
			if res.StatusCode != 422 || !strings.Contains(body, "shard") {
				t.Errorf("%s, %s: %d %.100q", name, at, res.StatusCode, body)
			}
			if took := time.Since(begin); took > time.Second {
				t.Errorf("%s, %s took %s", name, at, took)
			}
		}
	}
	good := dir(t, bs, true, map[string]string{"a": "x", "b": "y"})
	if res, _ := ask(t, srv, "GET", "/ipfs/"+good.String()+"/", nil); res.StatusCode != 200 {
		t.Errorf("one that does not lie: %d", res.StatusCode)
	}
}

// names that lead to each other.
func TestNamesInACircleEndAtOnce(t *testing.T) {
	recs := records{}
	var names [2]ipns.Name
	var keys [2]crypto.PrivKey
	for i := range names {
		key, pub, err := crypto.GenerateEd25519Key(nil)
		if err != nil {
			t.Fatal(err)
		}
		id, err := peer.IDFromPublicKey(pub)
		if err != nil {
			t.Fatal(err)
		}
		keys[i], names[i] = key, ipns.NameFromPeer(id)
	}
	for i := range names {
		to, err := path.NewPath("/ipns/" + names[1-i].String())
		if err != nil {
			t.Fatal(err)
		}
		rec, err := ipns.NewRecord(keys[i], to, 1, time.Now().Add(time.Hour), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if recs[string(names[i].RoutingKey())], err = ipns.MarshalRecord(rec); err != nil {
			t.Fatal(err)
		}
	}
	system, err := namesys.NewNameSystem(recs, namesys.WithDNSResolver(noDNS{}))
	if err != nil {
		t.Fatal(err)
	}
	srv := serve(t, service(t, nil), gateway.Config{Names: system, Records: recs})
	begin := time.Now()
	if res, body := ask(t, srv, "GET", "/ipns/"+names[0].String()+"/a", nil); res.StatusCode != http.StatusLoopDetected {
		t.Errorf("%d %q", res.StatusCode, body)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("took %s", took)
	}
}

// a leaf that is denied, asked for in every form.
func TestWhatIsDeniedIsNotGivenOutInAnyForm(t *testing.T) {
	const secret = "what nobody may have"
	bs := service(t, nil)
	leaf := merkledag.NewRawNode([]byte(secret))
	root := dir(t, bs, false, map[string]string{"index.html": secret, "ok.txt": "fine"})
	away := dir(t, bs, false, map[string]string{"a.txt": secret})
	var searched atomic.Int32
	remote := service(t, func(context.Context, cid.Cid) (block.Block, error) { searched.Add(1); return leaf, nil })
	banned := true
	for where, store := range map[string]blockservice.BlockService{"here": bs, "with another peer": remote} {
		srv := serve(t, store, gateway.Config{Denied: func(c cid.Cid) bool { return banned && bytes.Equal(c.Hash(), leaf.Cid().Hash()) }})
		paths := []string{"/ipfs/" + leaf.Cid().String(), "/ipfs/" + leaf.Cid().String() + "?format=raw", "/ipfs/" + leaf.Cid().String() + "?format=car"}
		if where == "here" {
			for _, p := range []string{"/", "/index.html", "/index.html?format=raw", "/index.html?format=car", "?format=car", "?format=car&dag-scope=entity", "?format=tar"} {
				paths = append(paths, "/ipfs/"+root.String()+p)
			}
			paths = append(paths, "/ipfs/"+away.String()+"/a.txt", "/ipfs/"+away.String()+"/a.txt?format=tar")
		}
		for _, p := range paths {
			req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+p, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := srv.Client().Do(req)
			if err != nil {
				continue // broken off before anything was sent
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			directly := !strings.Contains(p, "/?") && !strings.Contains(p, root.String()+"?")
			if strings.Contains(string(body), secret) || directly && res.StatusCode != 410 || res.StatusCode == 200 && err == nil && !strings.Contains(p, "entity") {
				t.Errorf("%s, %s: %d %.60q, %v", where, p, res.StatusCode, body, err)
			}
		}
	}
	if searched.Load() > 0 {
		t.Error("it was looked for in the network")
	}
	banned = false // the control: it is the denial that keeps it back
	if res, body := ask(t, serve(t, bs, gateway.Config{}), "GET", "/ipfs/"+away.String()+"/a.txt", nil); res.StatusCode != 200 || body != secret {
		t.Errorf("when nothing is denied: %d %q", res.StatusCode, body)
	}
}

// what a file is to be saved as says nothing of what it holds.
func TestAFileNameChangesNoType(t *testing.T) {
	bs := service(t, nil)
	root := dir(t, bs, false, map[string]string{"a.txt": "<script>steal()</script>"})
	srv := serve(t, bs, gateway.Config{})
	for _, name := range []string{"a.html", "a.svg", "a.js", "a.xhtml", "a.pdf", `"; x="ü.html`} {
		for _, host := range []string{"", root.String() + ".ipfs.localhost"} {
			at := "/ipfs/" + root.String() + "/a.txt"
			if host != "" {
				at = "/a.txt"
			}
			res, _ := ask(t, srv, "GET", at+"?filename="+url.QueryEscape(name), func(r *http.Request) { r.Host = host })
			if got := res.Header.Get("Content-Type"); res.StatusCode != 200 || !strings.HasPrefix(got, "text/plain") || res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %d, %s", name, res.StatusCode, got)
			}
			if got := res.Header.Get("Content-Disposition"); !strings.HasPrefix(got, `inline; filename="`) || strings.Count(got, `"`) != 2 {
				t.Errorf("%s is saved as %s", name, got)
			}
		}
	}
}

// A block that nobody has is named, with how many were asked, as whoever asks reads it best.
func TestAnErrorNamesTheMissingBlock(t *testing.T) {
	who := []peer.ID{"one", "two"}
	bs := service(t, func(_ context.Context, c cid.Cid) (block.Block, error) {
		return nil, &blocks.MissError{CID: c, Asked: 7, Peers: who}
	})
	root := dir(t, bs, false, map[string]string{"a.txt": "gone"})
	lost := merkledag.NewRawNode([]byte("gone")).Cid()
	lose(t, bs, lost)
	srv := serve(t, bs, gateway.Config{})
	for _, query := range []string{"", "?format=raw", "?format=car&dag-scope=block"} {
		at := "/ipfs/" + root.String() + "/a.txt" + query
		res, body := ask(t, srv, "GET", at, func(r *http.Request) { r.Header.Set("Accept", "text/html") })
		if res.StatusCode != 404 || !strings.Contains(body, lost.String()) || !strings.Contains(body, "<dd>7</dd>") || !strings.Contains(body, "<dd><code>"+who[1].String()+"</code></dd>") || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Etag") != "" {
			t.Errorf("%s: %d %v %s", query, res.StatusCode, res.Header, body)
		}
	}
	res, body := ask(t, srv, "GET", "/ipfs/"+lost.String(), func(r *http.Request) { r.Header.Set("Accept", "application/problem+json") })
	var said struct {
		Status, Asked int
		Missing       string
		Peers         []string
	}
	if err := json.Unmarshal([]byte(body), &said); err != nil || res.Header.Get("Content-Type") != "application/problem+json" || said.Status != 404 || said.Asked != 7 || said.Missing != lost.String() || !slices.Equal(said.Peers, []string{who[0].String(), who[1].String()}) {
		t.Errorf("%d %s %v", res.StatusCode, body, err)
	}
}

// A search that brings nothing names what it was for, and who is being asked.
func TestALateAnswerNamesTheBlock(t *testing.T) {
	bs := service(t, func(ctx context.Context, _ cid.Cid) (block.Block, error) { <-ctx.Done(); return nil, ctx.Err() })
	c, slow := blocks.New(cid.Raw, []byte("late")).Cid(), peer.ID("slow")
	srv := serve(t, bs, gateway.Config{Retrieval: 50 * time.Millisecond, Asked: func(of cid.Cid) []peer.ID {
		if of != c {
			return nil
		}
		return []peer.ID{slow}
	}})
	if res, body := ask(t, srv, "GET", "/ipfs/"+c.String(), nil); res.StatusCode != 504 || !strings.Contains(body, c.String()) || !strings.Contains(body, "asked: "+slow.String()) {
		t.Errorf("%d %q", res.StatusCode, body)
	}
}

// Only-if-cached asks nobody, whatever the path needs, however it is spelt.
func TestOnlyIfCachedAsksNobody(t *testing.T) {
	var asked atomic.Int32
	bs := service(t, func(_ context.Context, c cid.Cid) (block.Block, error) { asked.Add(1); return nil, blocks.NotFound(c) })
	root := dir(t, bs, false, map[string]string{"a.txt": "gone", "b.txt": "here"})
	lose(t, bs, merkledag.NewRawNode([]byte("gone")).Cid())
	up := unixfs.EmptyDirNode()
	lost := dir(t, bs, false, map[string]string{"c.txt": "below what is lost"})
	if err := up.AddRawLink("lost", &ipld.Link{Cid: lost}); err != nil {
		t.Fatal(err)
	}
	add(t, bs, up)
	lose(t, bs, lost)
	srv := serve(t, bs, gateway.Config{})
	for _, value := range []string{"only-if-cached", "Only-If-Cached", "max-age=0, only-if-cached"} {
		for at, want := range map[string]int{
			"/b.txt": 200, "/a.txt": 412, "/a.txt?format=raw": 412, "/a.txt?format=car": 412, "/": 200, "/c.txt": 412,
			"/../" + up.Cid().String() + "/lost/c.txt": 412,
		} {
			res, _ := ask(t, srv, "GET", strings.Replace("/ipfs/"+root.String()+at, root.String()+"/../", "", 1), func(r *http.Request) { r.Header.Set("Cache-Control", value) })
			if res.StatusCode != want {
				t.Errorf("%s, %s: %d, want %d", value, at, res.StatusCode, want)
			}
		}
	}
	if asked.Load() > 0 {
		t.Errorf("%d blocks were looked for", asked.Load())
	}
}

// The copies that a root was last seen to have are told, and nobody is asked for them.
func TestTheLastKnownCopiesAreTold(t *testing.T) {
	known, other := blocks.New(cid.Raw, []byte("known")), blocks.New(cid.Raw, []byte("other"))
	srv := serve(t, service(t, nil, known, other), gateway.Config{Copies: func(c cid.Cid) (int, bool) { return 4, c == known.Cid() }})
	for c, want := range map[cid.Cid]string{known.Cid(): "4", other.Cid(): ""} {
		if res, _ := ask(t, srv, "GET", "/ipfs/"+c.String(), nil); res.Header.Get("X-Cairn-Replicas") != want {
			t.Errorf("%s: %q, want %q", c, res.Header.Get("X-Cairn-Replicas"), want)
		}
	}
}

// hostile ranges cost no more than one block, and none is a failure of ours.
func TestHostileRangesCostNothing(t *testing.T) {
	bs := service(t, nil)
	root := leaves(t, bs, 8, 0)
	for _, l := range root.Links()[1:7] {
		lose(t, bs, l.Cid) // whoever reads more than it must breaks off
	}
	srv := serve(t, bs, gateway.Config{})
	for ranges, want := range map[string]int{
		"bytes=" + strings.Repeat("0-0,", 999) + "0-0": 206, "bytes=0-0": 206, "bytes=-1": 206,
		"bytes=-0": 416, "bytes=9223372036854775807-": 416, "bytes=99999999999999999999-": 400, "bytes=2-1": 400, "bytes=a-b": 400,
	} {
		res, body := ask(t, srv, "GET", "/ipfs/"+root.Cid().String(), func(r *http.Request) { r.Header.Set("Range", ranges) })
		if res.StatusCode != want || want == 206 && len(body) != 1 {
			t.Errorf("%.40s: %d with %d bytes, want %d", ranges, res.StatusCode, len(body), want)
		}
	}
}

// no path is a failure of ours, and none leads out of what it names.
func FuzzGatewayPath(f *testing.F) {
	for _, s := range []string{"", "/", "..", "%2e%2e", "/../../x", "%00", "a\\b", "a//b", "%ff", "./.", strings.Repeat("a/", 300), strings.Repeat("a", 5000), "?format=car", "index.html?filename=%22"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		bs := service(t, nil)
		root := dir(t, bs, false, map[string]string{"index.html": "in", "a": "in"})
		out := add(t, bs, merkledag.NewRawNode([]byte("outside")))
		for _, host := range []string{"127.0.0.1", root.String() + ".ipfs.localhost"} {
			prefix := "/ipfs/" + root.String() + "/"
			if host != "127.0.0.1" {
				prefix = "/"
			}
			for _, tail := range []string{"", "/" + out.Cid().String(), "/ipfs/" + out.Cid().String()} {
				req, err := http.NewRequest("GET", "http://"+host+prefix+rest+tail, nil)
				if err != nil {
					continue
				}
				req.RequestURI = req.URL.RequestURI()
				w := &answer{h: http.Header{}}
				gateway.New(bs, gateway.Config{}).ServeHTTP(w, req)
				if w.status >= 500 || strings.Contains(w.body.String(), "outside") {
					t.Errorf("%s%q: %d %.100q", prefix, rest+tail, w.status, w.body.String())
				}
			}
		}
	})
}

// answer is an http.ResponseWriter with deadlines that nothing comes of.
type answer struct {
	h      http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.h }
func (a *answer) WriteHeader(s int) {
	if a.status == 0 {
		a.status = s
	}
}
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(200)
	return a.body.Write(b)
}
func (a *answer) SetWriteDeadline(time.Time) error { return nil }
func (a *answer) String() string                   { return fmt.Sprint(a.status) }

// a file of 20,000 blocks in a chain. Who reads it as a file holds each of them until the
// last one, so it is refused; and no deeper than it must be. The control: as a CAR it is given.
func TestAFileThatIsAChainIsTooDeep(t *testing.T) {
	bs := service(t, nil)
	last := add(t, bs, merkledag.NewRawNode([]byte("x")))
	for range 20_000 {
		f := unixfs.NewFSNode(unixfs.TFile)
		f.AddBlockSize(1)
		data, err := f.GetBytes()
		if err != nil {
			t.Fatal(err)
		}
		up := merkledag.NodeWithData(data)
		if err := errors.Join(up.SetCidBuilder(merkledag.V1CidPrefix()), up.AddNodeLink("", last)); err != nil {
			t.Fatal(err)
		}
		last = add(t, bs, up)
	}
	top := unixfs.EmptyDirNode()
	if err := errors.Join(top.SetCidBuilder(merkledag.V1CidPrefix()), top.AddNodeLink("a", last)); err != nil {
		t.Fatal(err)
	}
	in := add(t, bs, top).Cid().String()
	srv := serve(t, bs, gateway.Config{})
	for path, want := range map[string]int{
		last.Cid().String(): 422, in + "/a": 422, last.Cid().String() + "?format=tar": 422, in + "/a?format=tar": 422, in + "?format=tar": 422,
		last.Cid().String() + "?format=car": 200,
	} {
		if res, body := ask(t, srv, "GET", "/ipfs/"+path, nil); res.StatusCode != want {
			t.Errorf("%s: %d, want %d, %.200q", path, res.StatusCode, want, body)
		}
	}
}
