package rpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/rpc"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/ipld/merkledag"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	ipld "github.com/ipfs/go-ipld-format"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "0123456789abcdef"

// peer is a node of one store, without others.
type peer struct {
	api.Node // what no test calls
	bs       blockservice.BlockService
	dag      ipld.DAGService
	hurt     atomic.Pointer[func(cid.Cid) error] // asked before a block is read; nil: all is well

	mu      sync.Mutex
	pins    map[cid.Cid]blocks.Pin
	touched int // calls of any kind
}

type patient struct {
	blockstore.Blockstore
	p *peer
}

func (s patient) Get(ctx context.Context, c cid.Cid) (block.Block, error) {
	if hurt := s.p.hurt.Load(); hurt != nil {
		if err := (*hurt)(c); err != nil {
			return nil, err
		}
	}
	return s.Blockstore.Get(ctx, c)
}

func newPeer() *peer {
	p := &peer{pins: map[cid.Cid]blocks.Pin{}}
	p.bs = blockservice.New(patient{blockstore.NewBlockstore(dssync.MutexWrap(datastore.NewMapDatastore())), p}, nil)
	p.dag = merkledag.NewDAGService(p.bs)
	return p
}

// hurts has f asked from now on before a block is read.
func (p *peer) hurts(f func(cid.Cid) error) { p.hurt.Store(&f) }

func (p *peer) touch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.touched++
}

func (p *peer) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.touched
}

func (p *peer) keep(all iter.Seq2[blocks.Block, error], o blocks.PutOptions) (rc blocks.Receipt, err error) {
	p.touch()
	var got []block.Block
	for b, err := range all {
		if err != nil {
			return rc, err
		}
		rc.Root, rc.Size = b.Cid(), rc.Size+int64(len(b.RawData()))
		got = append(got, b)
	}
	if o.HashOnly {
		return rc, nil
	}
	if err := p.bs.AddBlocks(context.Background(), got); err != nil {
		return rc, err
	}
	if !o.Unpinned {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.pins[rc.Root] = blocks.Pin{Root: rc.Root, Name: o.Name, Time: time.Now()}
	}
	return rc, nil
}

func (p *peer) Put(_ context.Context, r io.Reader, o blocks.PutOptions, _ func(blocks.Progress)) (blocks.Receipt, error) {
	l, err := dag.LayoutOf(o)
	if err != nil {
		return blocks.Receipt{}, err
	}
	return p.keep(dag.Split(r, l), o)
}

func (p *peer) PutTree(_ context.Context, items iter.Seq2[blocks.Item, error], o blocks.PutOptions, _ func(blocks.Progress)) (blocks.Receipt, error) {
	l, err := dag.LayoutOf(o)
	if err != nil {
		return blocks.Receipt{}, err
	}
	return p.keep(dag.Build(items, l), o)
}

func (p *peer) Room(context.Context, int64) error { p.touch(); return nil }

func (p *peer) Resolve(ctx context.Context, path string) (cid.Cid, error) {
	p.touch()
	root, segments, err := dag.ParsePath(path)
	if err != nil {
		return root, err
	}
	return dag.Resolve(ctx, p.dag, root, segments)
}

func (p *peer) List(ctx context.Context, path string) iter.Seq2[blocks.Entry, error] {
	root, err := p.Resolve(ctx, path)
	if err != nil {
		return func(yield func(blocks.Entry, error) bool) { yield(blocks.Entry{}, err) }
	}
	return dag.List(ctx, p.dag, root)
}

func (p *peer) Stat(ctx context.Context, path string) (blocks.Stat, error) {
	root, err := p.Resolve(ctx, path)
	if err != nil {
		return blocks.Stat{}, err
	}
	return dag.Stat(ctx, p.dag, root)
}

func (p *peer) Open(ctx context.Context, path string) (api.File, error) {
	root, err := p.Resolve(ctx, path)
	if err != nil {
		return nil, err
	}
	f, err := dag.Open(ctx, p.dag, root)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (p *peer) Pins(context.Context) iter.Seq2[blocks.Pin, error] {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.touched++
	all := make([]blocks.Pin, 0, len(p.pins))
	for _, pin := range p.pins {
		all = append(all, pin)
	}
	return func(yield func(blocks.Pin, error) bool) {
		for _, pin := range all {
			if !yield(pin, nil) {
				return
			}
		}
	}
}

func (p *peer) Pin(ctx context.Context, path, name string, tell func(blocks.Progress)) (blocks.Pin, error) {
	root, err := p.Resolve(ctx, path)
	if err != nil {
		return blocks.Pin{}, err
	}
	for _, err := range dag.Walk(ctx, p.dag, root) {
		if err != nil {
			return blocks.Pin{}, err
		}
	}
	if has, err := p.bs.Blockstore().Has(ctx, root); err != nil || !has {
		return blocks.Pin{}, errors.Join(err, blocks.NotFound(root))
	}
	tell(blocks.Progress{Blocks: 1, Safe: 1})
	pin := blocks.Pin{Root: root, Name: name, Time: time.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.pins[root]; ok && name == "" {
		pin.Name = old.Name
	}
	p.pins[root] = pin
	return pin, nil
}

func (p *peer) Unpin(ctx context.Context, path string) (blocks.Pin, bool, error) {
	root, err := p.Resolve(ctx, path)
	p.mu.Lock()
	defer p.mu.Unlock()
	pin, ok := p.pins[root]
	delete(p.pins, root)
	pin.Root = root
	return pin, ok, err
}

func (p *peer) ID() api.ID {
	p.touch()
	return api.ID{ID: "12D3KooWANvpXrs8GtBqQLQDbSB9uWnC6m5o5pbZk6h2joEniFza", Agent: "cairn/test", Addresses: []string{"/ip4/127.0.0.1/tcp/1"}}
}

func (p *peer) Peers() []api.Peer {
	p.touch()
	return []api.Peer{{ID: "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", Addresses: []string{"/ip4/127.0.0.1/tcp/2"}}}
}
func (p *peer) BlockService() blockservice.BlockService { p.touch(); return p.bs }
func (p *peer) Connect(context.Context, string) (string, error) {
	p.touch()
	return "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", nil
}
func (p *peer) RepoStat(context.Context) (blocks.RepoStat, error) {
	p.touch()
	return blocks.RepoStat{Version: 2, Blocks: 7, Disk: 99, Quota: -1}, nil
}
func (p *peer) RepoGC(context.Context, int64, func(blocks.Done)) (blocks.Swept, error) {
	p.touch()
	return blocks.Swept{}, nil
}
func (p *peer) RepoVerify(context.Context, func(blocks.Done)) (blocks.Verified, error) {
	p.touch()
	return blocks.Verified{Blocks: 7}, nil
}

// serve runs the API of p with both mounts, as the daemon does.
func serve(t *testing.T, p whole, open bool) (*httptest.Server, *rpc.Server) {
	t.Helper()
	s := rpc.New(p, rpc.Config{Tick: time.Nanosecond})
	srv := httptest.NewServer(api.New(p, api.Config{Token: token, Mounts: []api.Mount{
		{Prefix: rpc.Prefix, Serve: s.RPC(), Open: open, Fail: func(w http.ResponseWriter, status int, _, d string) { rpc.Fail(w, status, d) }},
		{Prefix: rpc.PSAPrefix, Serve: s.PSA(), Fail: func(w http.ResponseWriter, status int, _, d string) { rpc.FailPSA(w, status, d) }},
	}}))
	t.Cleanup(srv.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return srv, s
}

// whole is a peer as all of the API asks for one.
type whole interface {
	rpc.Node
	api.Node
}

// part is a file of a form; kind "" is a file.
type part struct{ name, kind, body string }

func form(t *testing.T, parts ...part) (body *bytes.Buffer, kind string) {
	t.Helper()
	body = new(bytes.Buffer)
	w := multipart.NewWriter(body)
	for _, p := range parts {
		h := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"; filename="` + url.QueryEscape(p.name) + `"`}}
		h.Set("Content-Type", p.kind)
		if p.kind == "" {
			h.Set("Content-Type", "application/octet-stream")
		}
		f, err := w.CreatePart(h)
		if err == nil {
			_, err = io.WriteString(f, p.body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return body, w.FormDataContentType()
}

// ask sends a command with the token.
func ask(t *testing.T, srv *httptest.Server, path string, parts ...part) (res *http.Response, body string) {
	t.Helper()
	var in io.Reader
	kind := ""
	if len(parts) > 0 {
		in, kind = form(t, parts...)
	}
	return send(t, srv, "POST", "/api/v0/"+path, kind, in)
}

func send(t *testing.T, srv *httptest.Server, method, path, kind string, in io.Reader) (res *http.Response, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, in)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	res, err = http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return res, "broken off: " + err.Error()
	}
	return res, string(data)
}

// lines reads what add and others stream.
func lines[T any](t *testing.T, body string) (out []T) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(body)); ; {
		var v T
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatalf("%v in %q", err, body)
		}
		out = append(out, v)
	}
}
