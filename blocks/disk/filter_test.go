package disk

import (
	"encoding/binary"
	"testing"
)

func TestTheFilterForgetsNoneAndSeldomErrs(t *testing.T) {
	f := newFilter(0)
	key := func(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }
	if !f.may(key(1)) {
		t.Error("a filter that is not ready must not say no")
	}
	f.ready.Store(true)
	const n = 300_000 // three layers
	for i := range n {
		f.add(key(i))
	}
	for i := range n {
		if !f.may(key(i)) {
			t.Fatalf("key %d was forgotten", i)
		}
	}
	wrong := 0
	for i := n; i < 2*n; i++ {
		if f.may(key(i)) {
			wrong++
		}
	}
	if wrong > n/50 {
		t.Errorf("%d of %d were taken for known, want less than 2 %%", wrong, n)
	}
	t.Logf("%d of %d were taken for known, %d layers", wrong, n, len(*f.layers.Load()))
}
