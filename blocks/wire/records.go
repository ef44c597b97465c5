package wire

import (
	"context"
	"fmt"

	"github.com/cairn-network/cairn/blocks"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"google.golang.org/protobuf/encoding/protowire"
)

// RecordKeeper keeps records for others.
type RecordKeeper interface {
	// Keep judges r and keeps it if nothing stands here that wins over it: Stored, Have,
	// Older with what wins, or why not.
	Keep(ctx context.Context, from peer.ID, r blocks.Record) (st Status, newer []byte, err error)
	// Show gives what stands here under kind and key; false: nothing does.
	Show(ctx context.Context, kind blocks.RecordKind, key mh.Multihash) ([]byte, bool, error)
}

// PutRecord brings r to p. The answer is Stored, Have, or Older with the value that p has;
// any other is a [*Refusal]. A newer value is p's word: it is for the caller to judge.
func (c *Client) PutRecord(ctx context.Context, p peer.ID, r blocks.Record) (st Status, newer []byte, err error) {
	err = c.ask(ctx, p, "bring a record to", func(l *link) error {
		a, err := reply[*record](l, &putRecord{uint32(r.Kind), r.Key, r.Value})
		if err != nil {
			return err
		}
		st, newer = Status(a.status), a.value
		switch {
		case a.status == 0 || a.status > 255 || st == Older == (len(newer) == 0):
			return malformed("answer %d with %d bytes to a record", a.status, len(newer))
		case st != Stored && st != Have && st != Older:
			return refusal(st)
		}
		return nil
	})
	return st, newer, err
}

// GetRecord asks p for what stands there under kind and key; nil: nothing does. The value
// is p's word: it is for the caller to judge.
func (c *Client) GetRecord(ctx context.Context, p peer.ID, kind blocks.RecordKind, key mh.Multihash) (value []byte, err error) {
	err = c.ask(ctx, p, "ask for a record", func(l *link) error {
		a, err := reply[*record](l, &getRecord{uint32(kind), key})
		if err != nil {
			return err
		}
		value = a.value
		switch {
		case a.status == 0 || a.status > 255 || Status(a.status) == Have == (len(value) == 0):
			return malformed("answer %d with %d bytes to the question for a record", a.status, len(value))
		case Status(a.status) != Have && Status(a.status) != Missed:
			return refusal(Status(a.status))
		}
		return nil
	})
	return value, err
}

func (x *exchange) keepRecord(ctx context.Context, m *putRecord) error {
	if len(m.key) == 0 || len(m.value) == 0 {
		return malformed("a record of nothing")
	}
	if x.cfg.Records == nil {
		return x.l.send(&record{status: uint32(Unfit)})
	}
	r := blocks.Record{Kind: blocks.RecordKind(m.kind), Key: m.key, Value: m.value}
	st, newer, err := x.cfg.Records.Keep(ctx, x.from, r)
	if err != nil {
		return fmt.Errorf("wire: keep record: %w", err)
	}
	return x.l.send(&record{uint32(st), newer})
}

func (x *exchange) showRecord(ctx context.Context, m *getRecord) error {
	if len(m.key) == 0 {
		return malformed("a question for no record")
	}
	if x.cfg.Records == nil {
		return x.l.send(&record{status: uint32(Missed)})
	}
	value, ok, err := x.cfg.Records.Show(ctx, blocks.RecordKind(m.kind), m.key)
	if err != nil {
		return fmt.Errorf("wire: show record: %w", err)
	}
	if !ok {
		return x.l.send(&record{status: uint32(Missed)})
	}
	return x.l.send(&record{uint32(Have), value})
}

// The messages as they stand in a frame.
type (
	putRecord struct {
		kind  uint32
		key   mh.Multihash
		value []byte
	}
	getRecord struct {
		kind uint32
		key  mh.Multihash
	}
	record struct {
		status uint32
		value  []byte
	}
)

func (m *putRecord) number() protowire.Number { return 17 }
func (m *putRecord) fields(b []byte) []byte {
	b = number(b, 1, m.kind)
	b = optional(b, 2, m.key)
	return optional(b, 3, m.value)
}
func (m *putRecord) take(num protowire.Number, v uint64, raw []byte) bool {
	switch num {
	case 1:
		return u32(&m.kind, v, raw) && v <= 255
	case 2:
		return key(&m.key, raw)
	case 3:
		return some(&m.value, raw, blocks.MaxRecord)
	}
	return false
}

func (m *getRecord) number() protowire.Number { return 18 }
func (m *getRecord) fields(b []byte) []byte   { return optional(number(b, 1, m.kind), 2, m.key) }
func (m *getRecord) take(num protowire.Number, v uint64, raw []byte) bool {
	switch num {
	case 1:
		return u32(&m.kind, v, raw) && v <= 255
	case 2:
		return key(&m.key, raw)
	}
	return false
}

func (m *record) number() protowire.Number { return 19 }
func (m *record) fields(b []byte) []byte   { return optional(number(b, 1, m.status), 2, m.value) }
func (m *record) take(num protowire.Number, v uint64, raw []byte) bool {
	switch num {
	case 1:
		return u32(&m.status, v, raw)
	case 2:
		return some(&m.value, raw, blocks.MaxRecord)
	}
	return false
}
