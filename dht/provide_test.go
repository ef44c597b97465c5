package dht

import (
	"errors"
	"strconv"
	"testing"

	ds "github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
)

// A full store of records takes no new one, goes on with those it has, and takes
// another when one goes; a batch is no way around it.
func TestRecordsAreBounded(t *testing.T) {
	ctx := t.Context()
	b := &bounded{Batching: dssync.MutexWrap(ds.NewMapDatastore()), most: 10}
	key := func(i int) ds.Key { return ds.NewKey(strconv.Itoa(i)) }
	for i := range 10 {
		if err := b.Put(ctx, key(i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Put(ctx, key(10), nil); !errors.Is(err, errFullRecords) {
		t.Errorf("the eleventh: %v", err)
	}
	if err := b.Put(ctx, key(3), []byte("again")); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	batch, err := b.Batch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(batch.Put(ctx, key(11), nil), batch.Commit(ctx)); !errors.Is(err, errFullRecords) {
		t.Errorf("by a batch: %v", err)
	}
	if err := errors.Join(b.Delete(ctx, key(0)), b.Put(ctx, key(12), nil)); err != nil {
		t.Errorf("after one has gone: %v", err)
	}
}
