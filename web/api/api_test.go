package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "0123456789abcdef"

// fake is a node whose stories a test tells.
type fake struct {
	journal []blocks.Job
	put     func(ctx context.Context, r io.Reader, o blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error)
	open    func(ctx context.Context, path string) (api.File, error)
	health  func(ctx context.Context, path string, detail bool) (blocks.Health, error)
	updates func(ctx context.Context) iter.Seq2[api.Update, error]
	trees
	api.Repo
	api.Blocks
	api.Names
	full  error // no room
	state string
}

func (f *fake) Put(ctx context.Context, r io.Reader, o blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error) {
	return f.put(ctx, r, o, tell)
}
func (f *fake) Jobs(context.Context) ([]blocks.Job, error)              { return f.journal, nil }
func (f *fake) Room(context.Context, int64) error                       { return f.full }
func (f *fake) Open(ctx context.Context, path string) (api.File, error) { return f.open(ctx, path) }
func (f *fake) Health(ctx context.Context, path string, detail bool) (blocks.Health, error) {
	return f.health(ctx, path, detail)
}
func (f *fake) Where(_ context.Context, path string) (blocks.Where, error) {
	return blocks.Where{CID: blocks.New(cid.Raw, []byte(path)).Cid(), Target: 5, Members: 9, Copies: 1, Leased: true, Answers: []blocks.Answer{
		{Peer: someone, Holder: true, Says: blocks.SaysProved}, {Peer: someone, Rank: 1, Says: blocks.SaysSilent, Error: "went away"},
	}}, nil
}

func (f *fake) Why(ctx context.Context, path string) (blocks.Why, error) {
	w, err := f.Where(ctx, path)
	return blocks.Why{Root: w.CID, Reason: w.Sentence(), Worst: &w}, err
}

func (f *fake) Restore(ctx context.Context, path string, tell func(blocks.Done)) (blocks.Restored, error) {
	if path == "unleased" {
		return blocks.Restored{}, blocks.ErrNoLease
	}
	tell(blocks.Done{Done: 1, Total: 2})
	return blocks.Restored{Root: blocks.New(cid.Raw, []byte(path)).Cid(), Blocks: 2, Short: 1, Copies: 3}, nil
}

func (f *fake) ID() api.ID {
	return api.ID{ID: "12D3KooWme", Version: "0.1.0", State: f.state, Peers: 3}
}
func (f *fake) Peers() []api.Peer {
	return []api.Peer{{ID: "12D3KooWyou", Member: true, Latency: blocks.Seconds(20 * time.Millisecond)}}
}
func (f *fake) Updates(ctx context.Context) iter.Seq2[api.Update, error] { return f.updates(ctx) }

// file is data that fails with err, if that is set, when it is read from failAt on.
type file struct {
	*bytes.Reader
	root   cid.Cid
	failAt int64
	err    error
}

// WriteTo writes what Read gives, in small pieces.
func (f *file) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{f}, make([]byte, 1000))
}

func newFile(data []byte) *file {
	return &file{Reader: bytes.NewReader(data), root: blocks.New(cid.Raw, data).Cid()}
}

func (f *file) CID() cid.Cid { return f.root }
func (f *file) Close() error { return nil }
func (f *file) Read(p []byte) (int, error) {
	if at := f.Size() - int64(f.Len()); f.err != nil {
		if at >= f.failAt {
			return 0, f.err
		}
		p = p[:min(int64(len(p)), f.failAt-at)]
	}
	return f.Reader.Read(p)
}

var someone = peer.ID("someone")

// node tells plain stories about one small file.
func node(data string) *fake {
	return &fake{
		state: "ready",
		put: func(_ context.Context, r io.Reader, o blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error) {
			got, err := io.ReadAll(r)
			if err != nil {
				return blocks.Receipt{}, err
			}
			tell(blocks.Progress{Blocks: 1, Copies: []int{1}, Target: 5, Members: 7})
			return blocks.Receipt{
				Root: blocks.New(cid.Raw, got).Cid(), Name: o.Name, Size: int64(len(got)), Least: 3,
				Progress: blocks.Progress{Blocks: 1, Safe: 1, Copies: []int{0, 0, 0, 1}, Target: 5, Members: 7},
			}, nil
		},
		open: func(context.Context, string) (api.File, error) { return newFile([]byte(data)), nil },
		health: func(context.Context, string, bool) (blocks.Health, error) {
			root := blocks.New(cid.Raw, []byte(data)).Cid()
			return blocks.Health{
				Root: root, Target: 5, Members: 7, Blocks: 1, Min: 5, Mean: 5, Copies: []int{0, 0, 0, 0, 0, 1},
				Holders: []peer.ID{someone}, Detail: []blocks.BlockCount{{CID: root, Holders: []peer.ID{someone}}},
			}, nil
		},
		updates: func(ctx context.Context) iter.Seq2[api.Update, error] {
			return func(yield func(api.Update, error) bool) {
				if yield(api.Update{From: "12D3KooWyou", Seq: 7, Root: "bafy", Name: "a\nb"}, nil) {
					<-ctx.Done()
				}
			}
		},
	}
}

// serve runs the API of n.
func serve(t *testing.T, n *fake, cfg api.Config) *httptest.Server {
	t.Helper()
	return serveNode(t, n, cfg)
}

func serveNode(t *testing.T, n api.Node, cfg api.Config) *httptest.Server {
	t.Helper()
	cfg.Token = token
	srv := httptest.NewServer(api.New(n, cfg))
	t.Cleanup(srv.Close)
	t.Cleanup(srv.Client().CloseIdleConnections)
	return srv
}

// ask sends a request with the token; edit may change it.
func ask(t *testing.T, srv *httptest.Server, method, path string, body io.Reader, edit func(*http.Request)) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if edit != nil {
		edit(req)
	}
	res, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// get reads a whole answer.
func get(t *testing.T, srv *httptest.Server, path string) (status int, body string) {
	t.Helper()
	res := ask(t, srv, "GET", path, nil, nil)
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

// problem reads a failure and holds it to its shape.
func problem(t *testing.T, res *http.Response) api.Problem {
	t.Helper()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var p api.Problem
	if err := json.Unmarshal(data, &p); err != nil {
		t.Fatalf("%d %q: %v", res.StatusCode, data, err)
	}
	if kind := res.Header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("content type %q", kind)
	}
	if p.Status != res.StatusCode || p.Type != "about:blank" || p.Title == "" || p.Detail == "" || p.Code == "" {
		t.Errorf("incomplete problem: %+v", p)
	}
	if p.RequestID == "" || p.RequestID != res.Header.Get("X-Request-Id") {
		t.Errorf("request id %q, header %q", p.RequestID, res.Header.Get("X-Request-Id"))
	}
	if res.Header.Get("Cache-Control") != "no-store" || strings.Contains(string(data), "goroutine") {
		t.Errorf("a problem that may be kept or that shows a stack: %s", data)
	}
	return p
}
