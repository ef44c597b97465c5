package rpc_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/rpc"
)

// slowly is a peer whose puts wait for their copies for a while.
type slowly struct{ *peer }

func (p slowly) Put(ctx context.Context, r io.Reader, o blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error) {
	rc, err := p.peer.Put(ctx, r, o, tell)
	if err != nil {
		return rc, err
	}
	select {
	case <-time.After(10 * time.Minute):
		return rc, nil
	case <-ctx.Done():
		return rc, context.Cause(ctx)
	}
}

// A put whose body is here may wait for its copies for as long as it goes on. The control
// is a file that stops coming.
func TestAnAddWaitsForItsCopies(t *testing.T) {
	for _, whole := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := rpc.New(slowly{newPeer()}, rpc.Config{Idle: time.Minute})
			body, kind := form(t, part{"f", "", "some text"})
			in, out := io.Pipe()
			defer in.Close()
			go func() {
				_, _ = out.Write(body.Bytes()[:body.Len()-10])
				if whole {
					_, _ = out.Write(body.Bytes()[body.Len()-10:])
					_ = out.Close()
				}
			}()
			w := &answer{deadline: func(at time.Time) {
				if !at.IsZero() {
					time.AfterFunc(time.Until(at), func() {
						if !whole {
							_ = in.CloseWithError(context.DeadlineExceeded)
						}
					})
				}
			}}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v0/add", in)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", kind)
			s.RPC().ServeHTTP(w, r)
			if (w.status == 0) != whole {
				t.Errorf("whole: %t, status %d, %s", whole, w.status, w.body)
			}
		})
	}
}

// answer is a connection whose read deadlines are the test's.
type answer struct {
	head     http.Header
	status   int // of a failure; 0: none
	body     []byte
	deadline func(time.Time)
}

func (a *answer) Header() http.Header {
	if a.head == nil {
		a.head = http.Header{}
	}
	return a.head
}
func (a *answer) Write(p []byte) (int, error)        { a.body = append(a.body, p...); return len(p), nil }
func (a *answer) WriteHeader(status int)             { a.status = status }
func (a *answer) SetReadDeadline(at time.Time) error { a.deadline(at); return nil }

// stuck is a peer whose pins never get anywhere.
type stuck struct{ *peer }

func (stuck) Pin(ctx context.Context, _, _ string, _ func(blocks.Progress)) (blocks.Pin, error) {
	<-ctx.Done()
	return blocks.Pin{}, context.Cause(ctx)
}

// A pin of which nothing comes is given up, whether or not its client is told how far it is.
func TestAPinThatGetsNowhereIsGivenUp(t *testing.T) {
	for _, query := range []string{"", "&progress=true"} {
		synctest.Test(t, func(t *testing.T) {
			s := rpc.New(stuck{newPeer()}, rpc.Config{Idle: time.Minute})
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/api/v0/pin/add?arg=bafkqaaa"+query, nil)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			s.RPC().ServeHTTP(&answer{deadline: func(time.Time) {}}, r)
			if took := time.Since(began); took > 2*time.Minute {
				t.Errorf("%q: given up after %s", query, took)
			}
		})
	}
}
