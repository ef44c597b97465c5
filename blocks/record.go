package blocks

import (
	"context"
	"iter"

	mh "github.com/multiformats/go-multihash"
)

// RecordKind says what a record is, and by that how it is judged. The numbers go over
// the wire and stand on disks: none is ever used again.
type RecordKind uint8

// The kinds of records.
const (
	LeaseRecord RecordKind = 1 // key LeaseID.Key, value Lease.Marshal
	NameRecord  RecordKind = 2 // key and value: package names
)

// MaxRecord is the limit of a record's value in bytes.
const MaxRecord = 10 << 10

// Record is something small and signed that changes: of all values with one kind and
// key the one with the highest sequence number stands.
type Record struct {
	Kind  RecordKind
	Key   mh.Multihash
	Value []byte
}

// RecordStore keeps records, as durably as a [Store] does blocks. It does not judge them.
type RecordStore interface {
	// PutRecord keeps r in place of what stands under its kind and key.
	PutRecord(ctx context.Context, r Record) error

	// Record gives the value under kind and key; false: there is none.
	Record(ctx context.Context, kind RecordKind, key mh.Multihash) ([]byte, bool, error)

	// DropRecord forgets what stands under kind and key; nothing there is no error.
	DropRecord(ctx context.Context, kind RecordKind, key mh.Multihash) error

	// Records yields every record, in order of kind and key.
	Records(ctx context.Context) iter.Seq2[Record, error]
}
