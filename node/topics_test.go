package node_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

func TestPeersHearEachOtherOnATopic(t *testing.T) {
	for name, on := range map[string]bool{"with Kubo's commands": true, "control: without": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := nodetest.Config()
				cfg.API.Kubo = on
				w := nodetest.New(t, 4, cfg)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				heard, err := w.Nodes[3].Hear(ctx, "chat")
				if (err == nil) != on {
					t.Fatal(err)
				}
				if !on {
					return
				}
				time.AfterFunc(5*time.Second, func() {
					if err := w.Nodes[1].Say(ctx, "chat", []byte("hello")); err != nil {
						t.Error(err)
					}
				})
				for m, err := range heard {
					if err != nil || string(m.Data) != "hello" || m.From != w.Hosts[1].ID() {
						t.Errorf("heard %+v, %v", m, err)
					}
					if got := w.Nodes[1].Listeners("chat"); len(got) != 1 || got[0] != w.Hosts[3].ID() {
						t.Errorf("%v listen", got)
					}
					break
				}
				time.Sleep(5 * time.Second)
				if got := w.Nodes[1].Listeners("chat"); len(got) > 0 {
					t.Errorf("%v listen still", got)
				}
			})
		})
	}
}

// tryst is a DHT of those who listen, of whom none is connected at first.
type tryst struct {
	unreached peer.ID

	mu       sync.Mutex
	onRecord []peer.ID        // guarded by mu
	met      map[peer.ID]bool // guarded by mu
	provided int              // guarded by mu
}

// seen is who was met so far, and how many records were left.
func (w *tryst) seen() (met map[peer.ID]bool, provided int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.met), w.provided
}

func (w *tryst) meeting() *node.Meeting {
	return node.NewMeeting(
		func(context.Context, mh.Multihash) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.provided++; w.provided == 1 {
				return errors.New("nobody is known yet")
			}
			return nil
		},
		func(_ context.Context, _ mh.Multihash, n int) ([]peer.ID, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return slices.Clone(w.onRecord[:min(n, len(w.onRecord))]), nil
		},
		func(_ context.Context, p peer.ID) error {
			if p == w.unreached {
				return errors.New("gone")
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.met[p] = true
			return nil
		},
		func() int { met, _ := w.seen(); return len(met) },
	)
}

func TestThoseWhoListenMeetByTheirRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &tryst{met: map[peer.ID]bool{}, unreached: "p0"}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.meeting().Run(ctx) }()
		synctest.Wait()
		if met, provided := w.seen(); len(met) != 0 || provided != 1 {
			t.Errorf("met %v, %d records", met, provided)
		}
		w.mu.Lock()
		for i := range 20 {
			w.onRecord = append(w.onRecord, peer.ID(fmt.Sprint("p", i)))
		}
		w.mu.Unlock()
		time.Sleep(61 * time.Second)
		if met, provided := w.seen(); len(met) != 6 || met["p0"] || provided != 2 {
			t.Errorf("met %v, %d records: want six, and no more", met, provided)
		}
		time.Sleep(30 * time.Hour)
		if _, provided := w.seen(); provided < 3 || provided > 5 {
			t.Errorf("%d records in thirty hours", provided)
		}
		cancel()
		<-done
	})
}

func TestAMessageLooksForAListenerFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &tryst{met: map[peer.ID]bool{}, onRecord: []peer.ID{"p1"}}
		began := time.Now()
		w.meeting().Greet(t.Context())
		if met, _ := w.seen(); !met["p1"] || time.Since(began) > 0 {
			t.Errorf("met %v after %v", met, time.Since(began))
		}
		silent := &tryst{met: map[peer.ID]bool{}, onRecord: []peer.ID{"p1"}, unreached: "p1"}
		if silent.meeting().Greet(t.Context()); time.Since(began) > 3*time.Second {
			t.Errorf("waited %v for nobody", time.Since(began))
		}
	})
}
