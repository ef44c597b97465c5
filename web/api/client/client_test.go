package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var someone = func() peer.ID {
	id, err := peer.Decode("12D3KooWRBhwfeP2Y4TCx1SM6s9rUoHhR5STiGwxBhgFRcw3UERE")
	if err != nil {
		panic(err)
	}
	return id
}()

var data = bytes.Repeat([]byte("0123456789"), 100_000)

// fake is a node that has data, and whose put fails with err.
type fake struct {
	err   error // of Put
	cutAt int64 // where reading fails; 0: nowhere
	got   chan []byte
	trees // see tree_test.go
	repo  // see repo_test.go
	single
	names // see names_test.go
}

func (f *fake) Jobs(context.Context) ([]blocks.Job, error) { return nil, nil }
func (f *fake) Put(_ context.Context, r io.Reader, _ blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error) {
	if errors.Is(f.err, blocks.ErrFull) {
		return blocks.Receipt{}, f.err // before anything was read
	}
	got, err := io.ReadAll(r)
	f.got <- got
	if err != nil {
		return blocks.Receipt{}, err
	}
	tell(blocks.Progress{Blocks: 1, Copies: []int{1}})
	time.Sleep(20 * time.Millisecond) // a status line is due
	return blocks.Receipt{Root: blocks.New(cid.Raw, got).Cid(), Size: int64(len(got)), Holders: []peer.ID{someone}, Took: blocks.Seconds(time.Second)}, f.err
}

func (f *fake) Open(_ context.Context, path string) (api.File, error) {
	switch path {
	case "data":
		return &file{Reader: bytes.NewReader(data), cutAt: f.cutAt}, nil
	case "empty":
		return &file{Reader: bytes.NewReader(nil)}, nil
	}
	return nil, &blocks.MissError{CID: blocks.New(cid.Raw, nil).Cid(), Asked: 20}
}

func (f *fake) Health(_ context.Context, _ string, detail bool) (h blocks.Health, err error) {
	root := blocks.New(cid.Raw, data).Cid()
	h = blocks.Health{Root: root, Blocks: 1, Min: 3, Copies: []int{0, 0, 0, 1}}
	if detail {
		h.Detail = []blocks.BlockCount{{CID: root, Holders: []peer.ID{someone}}}
	}
	return h, nil
}
func (f *fake) Where(context.Context, string) (blocks.Where, error) {
	return blocks.Where{CID: blocks.New(cid.Raw, data).Cid(), Copies: 2, Answers: []blocks.Answer{{Peer: someone, Says: blocks.SaysProved}}}, nil
}

func (f *fake) Why(ctx context.Context, path string) (blocks.Why, error) {
	w, _ := f.Where(ctx, path)
	h, _ := f.Health(ctx, path, false)
	return blocks.Why{Root: w.CID, Reason: "so", Worst: &w, Health: &h}, nil
}

func (f *fake) Restore(_ context.Context, path string, tell func(blocks.Done)) (blocks.Restored, error) {
	if path == "unleased" {
		return blocks.Restored{}, blocks.ErrNoLease
	}
	tell(blocks.Done{Done: 1, Total: 2})
	return blocks.Restored{Root: blocks.New(cid.Raw, data).Cid(), Copies: 3}, nil
}

func (f *fake) ID() api.ID        { return api.ID{ID: "me", State: "warming"} }
func (f *fake) Peers() []api.Peer { return []api.Peer{{ID: "you"}} }
func (f *fake) Updates(ctx context.Context) iter.Seq2[api.Update, error] {
	return func(yield func(api.Update, error) bool) {
		for i := range uint64(3) {
			if !yield(api.Update{From: "you", Seq: i, Root: "bafy"}, nil) {
				return
			}
		}
		<-ctx.Done()
	}
}

type file struct {
	*bytes.Reader
	cutAt int64
}

func (f *file) CID() cid.Cid { return blocks.New(cid.Raw, data).Cid() }
func (f *file) Close() error { return nil }
func (f *file) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(struct{ io.Writer }{w}, struct{ io.Reader }{f})
}
func (f *file) Read(p []byte) (int, error) {
	if at := f.Size() - int64(f.Len()); f.cutAt > 0 && at >= f.cutAt {
		return 0, errors.New("lost")
	} else if f.cutAt > 0 {
		p = p[:min(int64(len(p)), f.cutAt-at)]
	}
	return f.Reader.Read(p)
}

// dial makes a client of an API over f.
func dial(t *testing.T, f *fake) *client.Client {
	t.Helper()
	f.got = make(chan []byte, 1)
	return at(t, api.New(f, api.Config{Token: "secret", Timing: api.Timing{Status: time.Millisecond}}), "secret")
}

func at(t *testing.T, h http.Handler, token string) *client.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	c := client.New(srv.URL, token)
	t.Cleanup(srv.Close)
	t.Cleanup(c.Close)
	return c
}

func TestPutAndItsReceiptSurviveTheWire(t *testing.T) {
	f := &fake{}
	c := dial(t, f)
	var heard int
	receipt, err := c.Put(t.Context(), bytes.NewReader(data), blocks.PutOptions{Name: "a", Wait: blocks.WaitFull, Replicas: 5, Expires: time.Hour, Announce: true, NoPlace: true},
		func(blocks.Progress) { heard++ })
	if err != nil {
		t.Fatal(err)
	}
	if got := <-f.got; !bytes.Equal(got, data) || heard == 0 {
		t.Errorf("%d of %d bytes, %d times told", len(got), len(data), heard)
	}
	if receipt.Root != blocks.New(cid.Raw, data).Cid() || receipt.Size != int64(len(data)) || receipt.Holders[0] != someone || time.Duration(receipt.Took) != time.Second {
		t.Errorf("receipt %+v", receipt)
	}
}

func TestShortPutGivesReceiptAndError(t *testing.T) {
	root := blocks.New(cid.Raw, data).Cid()
	c := dial(t, &fake{err: fmt.Errorf("put: %w", &blocks.ShortError{Root: root})})
	receipt, err := c.Put(t.Context(), bytes.NewReader(data), blocks.PutOptions{}, nil)
	if !errors.Is(err, &client.Error{Code: api.CodeShort}) || receipt.Root != root {
		t.Errorf("%v, receipt of %s", err, receipt.Root)
	}
}

// endless is a file whose end never comes.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestPutStoppedByThePeerSaysWhy(t *testing.T) {
	c := dial(t, &fake{err: blocks.ErrFull})
	_, err := c.Put(t.Context(), endless{}, blocks.PutOptions{}, nil)
	if !errors.Is(err, blocks.ErrFull) || !errors.Is(err, &client.Error{Code: api.CodeFull}) {
		t.Error(err)
	}
}

func TestFailureOfTheSourceIsTheErrorOfThePut(t *testing.T) {
	f, lost := &fake{}, errors.New("disk on fire")
	c := dial(t, f)
	_, err := c.Put(t.Context(), io.MultiReader(strings.NewReader("hello"), iotest.ErrReader(lost)), blocks.PutOptions{}, nil)
	if !errors.Is(err, lost) {
		t.Errorf("got %v, want %v", err, lost)
	}
	<-f.got
}

func TestPutEndsWithItsContext(t *testing.T) {
	f := &fake{}
	c := dial(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	pr, pw := io.Pipe()
	defer pw.Close()
	if _, err := c.Put(ctx, pr, blocks.PutOptions{}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	<-f.got
}

func TestGetReadsAllOrAPart(t *testing.T) {
	c := dial(t, &fake{})
	for _, q := range []struct{ offset, length, from, to int64 }{
		{0, 0, 0, 1_000_000}, {0, 5, 0, 5}, {999_990, 0, 999_990, 1_000_000}, {10, 20, 10, 30}, {999_999, 50, 999_999, 1_000_000},
	} {
		r, size, err := c.Get(t.Context(), "data", q.offset, q.length)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || size != q.to-q.from || !bytes.Equal(got, data[q.from:q.to]) {
			t.Errorf("%+v: size %d, %d bytes, %v", q, size, len(got), err)
		}
		r.Close()
	}
	r, size, err := c.Get(t.Context(), "empty", 0, 10)
	if err != nil || size != 0 {
		t.Fatalf("empty file: %d %v", size, err)
	}
	r.Close()
	if _, _, err := c.Get(t.Context(), "data", 1_000_000, 0); !errors.Is(err, &client.Error{Code: api.CodeUsage}) {
		t.Errorf("past the end: %v", err)
	}
}

func TestGetOfWhatNobodyHasSaysHowManyWereAsked(t *testing.T) {
	_, _, err := dial(t, &fake{}).Get(t.Context(), "nothing", 0, 0)
	var e *client.Error
	if !errors.As(err, &e) || e.Status != 404 || e.Code != api.CodeNotFound || e.Hint == "" || !strings.Contains(e.Error(), "asked 20 peers") {
		t.Errorf("got %#v", err)
	}
	if !blocks.IsNotFound(err) {
		t.Error("IsNotFound does not hold")
	}
}

func TestFailureInTheMiddleOfADownloadIsSeen(t *testing.T) {
	for _, at := range []int64{1, 40_000, 999_999} {
		r, _, err := dial(t, &fake{cutAt: at}).Get(t.Context(), "data", 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %d bytes, %v", at, len(got), err)
		}
		r.Close()
	}
}

func TestAskingForTheRest(t *testing.T) {
	c := dial(t, &fake{})
	if id, err := c.ID(t.Context()); err != nil || id.ID != "me" {
		t.Error(id, err)
	}
	if peers, err := c.Peers(t.Context()); err != nil || len(peers) != 1 || peers[0].ID != "you" {
		t.Error(peers, err)
	}
	if v, err := c.Version(t.Context()); err != nil || v.API != "v1" {
		t.Error(v, err)
	}
	h, err := c.Health(t.Context(), "data", true)
	if root := blocks.New(cid.Raw, data).Cid(); err != nil || h.Root != root || len(h.Detail) != 1 || h.Detail[0].CID != root || h.Detail[0].Holders[0] != someone {
		t.Error(h, err)
	}
	if err := c.Ready(t.Context()); !errors.Is(err, &client.Error{Code: api.CodeUnavailable}) {
		t.Errorf("a peer that warms up is ready: %v", err)
	}
}

func TestUpdatesAreHeardUntilTheListenerHasEnough(t *testing.T) {
	c := dial(t, &fake{})
	var seqs []uint64
	for u, err := range c.Updates(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if seqs = append(seqs, u.Seq); len(seqs) == 2 {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	for u, err := range c.Updates(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if seqs = append(seqs, u.Seq); u.Seq == 2 {
			cancel()
		}
	}
	cancel()
	if len(seqs) != 5 {
		t.Errorf("heard %v", seqs)
	}
}

func TestWrongTokenIsToldApart(t *testing.T) {
	c := at(t, api.New(&fake{}, api.Config{Token: "secret"}), "wrong")
	_, err := c.Put(t.Context(), bytes.NewReader(data), blocks.PutOptions{}, nil)
	if !errors.Is(err, &client.Error{Code: api.CodeUnauthorized}) {
		t.Errorf("put: %v", err)
	}
	if _, err := c.ID(t.Context()); !errors.Is(err, &client.Error{Code: api.CodeUnauthorized}) {
		t.Errorf("id: %v", err)
	}
}

func TestNobodyThereIsUnreachable(t *testing.T) {
	const addr = "127.0.0.1:1" // which no test is given
	for _, base := range []string{"http://" + addr, addr, "http://bad host", "::", ""} {
		_, err := client.New(base, "").ID(t.Context())
		var e *client.UnreachableError
		if !errors.As(err, &e) || e.Err == nil {
			t.Errorf("%q: %v", base, err)
		}
	}
}

func TestAnotherProgramOnThePortIsNoAnswer(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"404": http.NotFound,
		"200": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello") },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		},
	} {
		c := at(t, h, "")
		_, idErr := c.ID(t.Context())
		_, _, getErr := c.Get(t.Context(), "data", 0, 0)
		_, putErr := c.Put(t.Context(), strings.NewReader("x"), blocks.PutOptions{}, nil)
		for _, err := range []error{idErr, getErr, putErr} {
			if !errors.Is(err, &client.Error{Code: api.CodeUnavailable}) || blocks.IsNotFound(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestDaemonThatDiesInAPutIsAnError(t *testing.T) {
	c := at(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-ndjson")
		fmt.Fprintln(w, `{"type":"job","id":"x"}`)
	}), "")
	if _, err := c.Put(t.Context(), strings.NewReader("x"), blocks.PutOptions{}, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestSilenceOfTheDaemonHasALimit(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	c := at(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/get":
			w.Header().Set("X-Cid", "x")
			w.Header().Set("Content-Length", "10")
		default:
			w.Header().Set("Content-Type", "application/x-ndjson")
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}), "")
	client.Hurry(c, 50*time.Millisecond)
	r, _, err := c.Get(t.Context(), "data", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("get: %v", err)
	}
	if _, err := c.Put(t.Context(), strings.NewReader("x"), blocks.PutOptions{}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("put: %v", err)
	}
	for _, err := range c.Updates(t.Context()) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("updates: %v", err)
		}
	}
}
