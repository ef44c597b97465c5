package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk/seglog"
	"github.com/cockroachdb/pebble/v2"
	mh "github.com/multiformats/go-multihash"
)

// PutRecord keeps r in place of what stands under its kind and key.
func (s *Store) PutRecord(ctx context.Context, r blocks.Record) error {
	k := append([]byte{byte(r.Kind)}, r.Key...)
	if len(r.Value) > blocks.MaxRecord || len(k) > seglog.MaxKey || len(r.Key) == 0 {
		return fmt.Errorf("disk: put record: %w: %d bytes under a key of %d", blocks.ErrUnfit, len(r.Value), len(r.Key))
	}
	return s.commit(ctx, "put record", func() ([]seglog.Record, error) {
		old, ok, err := s.getRecord(k)
		if err != nil || ok && bytes.Equal(old, r.Value) {
			return nil, err
		}
		return []seglog.Record{{Kind: kindRecord, Key: k, Data: r.Value}}, nil
	})
}

// Record gives the value under kind and key.
func (s *Store) Record(ctx context.Context, kind blocks.RecordKind, h mh.Multihash) ([]byte, bool, error) {
	err := s.enter()
	if err == nil {
		defer s.users.Done()
		err = ctx.Err()
	}
	var value []byte
	var ok bool
	if err == nil {
		value, ok, err = s.getRecord(append([]byte{byte(kind)}, h...))
	}
	if err != nil {
		return nil, false, fmt.Errorf("disk: record: %w", err)
	}
	return value, ok, nil
}

// DropRecord forgets what stands under kind and key.
func (s *Store) DropRecord(ctx context.Context, kind blocks.RecordKind, h mh.Multihash) error {
	k := append([]byte{byte(kind)}, h...)
	return s.commit(ctx, "drop record", func() ([]seglog.Record, error) {
		if _, ok, err := s.getRecord(k); err != nil || !ok {
			return nil, err
		}
		return []seglog.Record{{Kind: kindDrop, Key: k}}, nil
	})
}

// Records yields every record, as it was when the loop began.
func (s *Store) Records(ctx context.Context) iter.Seq2[blocks.Record, error] {
	return func(yield func(blocks.Record, error) bool) {
		err := s.scan(ctx, []byte(byRecord), func(k, value []byte) (bool, error) {
			at, text, err := parsePlace(value)
			if err != nil || at.state != there {
				return true, err
			}
			k = bytes.Clone(k[len(byRecord):])
			return yield(blocks.Record{Kind: blocks.RecordKind(k[0]), Key: mh.Multihash(k[1:]), Value: bytes.Clone(text)}, nil), nil
		})
		if err != nil {
			yield(blocks.Record{}, fmt.Errorf("disk: records: %w", err))
		}
	}
}

// getRecord gives the record under k, its kind and key.
func (s *Store) getRecord(k []byte) ([]byte, bool, error) {
	value, done, err := s.index.db.Get(key(byRecord, k))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	at, text, err := parsePlace(value)
	text = bytes.Clone(text)
	return text, err == nil && at.state == there, errors.Join(err, done.Close())
}
