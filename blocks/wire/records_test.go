package wire

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// archivist keeps the longest value of each key.
type archivist struct{ m *blockstest.Mem }

func (a archivist) Keep(ctx context.Context, _ peer.ID, r blocks.Record) (Status, []byte, error) {
	old, ok, err := a.m.Record(ctx, r.Kind, r.Key)
	switch {
	case err != nil:
		return Failed, nil, err
	case r.Kind != 1:
		return BadLease, nil, nil
	case ok && bytes.Equal(old, r.Value):
		return Have, nil, nil
	case ok && len(old) > len(r.Value):
		return Older, old, nil
	}
	return Stored, nil, a.m.PutRecord(ctx, r)
}

func (a archivist) Show(ctx context.Context, kind blocks.RecordKind, key mh.Multihash) ([]byte, bool, error) {
	return a.m.Record(ctx, kind, key)
}

func TestARecordGoesOverAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, mem := t.Context(), new(blockstest.Mem)
		c, p := pair(t, func(h host.Host) {
			t.Cleanup(Serve(h, mem, mem, keeper{mem}, Config{Records: archivist{mem}}))
		})
		long, short := bytes.Repeat([]byte{1}, blocks.MaxRecord), []byte{2}
		for _, s := range []struct {
			value []byte
			want  Status
			newer []byte
		}{{long, Stored, nil}, {long, Have, nil}, {short, Older, long}} {
			st, newer, err := c.PutRecord(ctx, p, blocks.Record{Kind: 1, Key: good.Hash(), Value: s.value})
			if err != nil || st != s.want || !bytes.Equal(newer, s.newer) {
				t.Errorf("put %d bytes: %s, %d bytes, %v; want %s", len(s.value), st, len(newer), err, s.want)
			}
		}
		var no *Refusal
		if _, _, err := c.PutRecord(ctx, p, blocks.Record{Kind: 2, Key: good.Hash(), Value: short}); !errors.As(err, &no) || no.Code != BadLease {
			t.Errorf("a bad record: %v", err)
		}
		if got, err := c.GetRecord(ctx, p, 1, good.Hash()); err != nil || !bytes.Equal(got, long) {
			t.Errorf("get: %d bytes, %v", len(got), err)
		}
		if got, err := c.GetRecord(ctx, p, 2, good.Hash()); err != nil || got != nil {
			t.Errorf("get of nothing: %d bytes, %v", len(got), err)
		}
		unused(t, c)
	})
}

// Who keeps records and lies about it, or says nothing, costs an error and a bounded time.
func TestHostileArchivistsAreErrorsInTime(t *testing.T) {
	for name, b := range map[string][]byte{
		"another message":         frames(&want{}),
		"no status":               frames(&record{value: []byte{1}}),
		"older, but not by what":  frames(&record{status: uint32(Older)}),
		"stored, with a value":    frames(&record{status: uint32(Stored), value: []byte{1}}),
		"have, without the value": frames(&record{status: uint32(Have)}),
		"a status of 300":         frames(&record{status: 300}),
		"nothing":                 nil,
	} {
		synctest.Test(t, func(t *testing.T) {
			c, p := pair(t, func(h host.Host) { h.SetStreamHandler(Protocol, says(b)) })
			t0 := time.Now()
			_, _, err1 := c.PutRecord(t.Context(), p, blocks.Record{Kind: 1, Key: good.Hash(), Value: []byte{2}})
			_, err2 := c.GetRecord(t.Context(), p, 1, good.Hash())
			if d := time.Since(t0); err1 == nil && err2 == nil || d > timeout {
				t.Errorf("%s: %v and %v after %v", name, err1, err2, d)
			}
			unused(t, c)
			time.Sleep(timeout)
		})
	}
}

// What is no question costs its asker an offence; who keeps no records says so.
func TestMalformedRecordsAreOffences(t *testing.T) {
	for name, m := range map[string]message{
		"no key":        &putRecord{kind: 1, value: []byte{1}},
		"no value":      &putRecord{kind: 1, key: good.Hash()},
		"no key to get": &getRecord{kind: 1},
		"an answer":     &record{status: 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			mem, conduct := new(blockstest.Mem), NewConduct(nil)
			c, p := pair(t, func(h host.Host) {
				t.Cleanup(Serve(h, mem, mem, keeper{mem}, Config{Conduct: conduct}))
			})
			err := c.ask(t.Context(), p, "break", func(l *link) error {
				_, err := reply[*record](l, m)
				return err
			})
			if err == nil {
				t.Errorf("%s: it was answered", name)
			}
			synctest.Wait() // the server counts after it has broken off
			if n := offences(conduct, c.host.ID()); n != 1 {
				t.Errorf("%s: %d offences, want 1", name, n)
			}
			var no *Refusal
			if _, _, err := c.PutRecord(t.Context(), p, blocks.Record{Kind: 1, Key: good.Hash(), Value: []byte{1}}); !errors.As(err, &no) || no.Code != Unfit {
				t.Errorf("of who keeps none: %v", err)
			}
			if got, err := c.GetRecord(t.Context(), p, 1, good.Hash()); got != nil || err != nil {
				t.Errorf("of who keeps none: %v, %v", got, err)
			}
		})
	}
}

// offences is how many p has committed.
func offences(c *Conduct, p peer.ID) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.m[p]; o != nil {
		return o.count
	}
	return 0
}
