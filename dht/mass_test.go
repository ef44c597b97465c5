package dht_test

import (
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/dht"
)

// Invariant 20, its second half: of peers that all start at the same moment, and know the
// first alone, each names the five closest to any key as somebody who knows everyone would,
// once it is ready: at once for all but a few keys, and for those within a minute. What it says
// is exact is so at once. CAIRN_LONG=1 starts a hundred.
func TestAColdMassStartConverges(t *testing.T) {
	n := 30
	if os.Getenv("CAIRN_LONG") != "" {
		n = 100
	}
	synctest.Test(t, func(t *testing.T) {
		const keys = 5
		w := newRing(t, n)
		cold := time.Now()
		for i, r := range w.routers {
			for ; r.State() != dht.Ready; time.Sleep(time.Second) {
				if time.Since(cold) > 5*time.Minute {
					t.Fatalf("peer %d is %s", i, r.State())
				}
			}
		}
		late := 0
		for i, r := range w.routers {
			for k := range keys {
				h := key(t, i*keys+k)
				for asked, first := time.Now(), true; ; time.Sleep(time.Second) {
					ids, exact, err := r.Closest(t.Context(), h, 5)
					if err != nil {
						t.Fatal(err)
					}
					if slices.Equal(ids, w.oracle(h, 5)) {
						break
					}
					if exact {
						t.Errorf("peer %d, key %d: said to be exact and is not", i, k)
						break
					}
					if time.Since(asked) > time.Minute {
						t.Errorf("peer %d, key %d: still wrong", i, k)
						break
					}
					if first {
						first = false
						late++
					}
				}
			}
		}
		t.Logf("FIGURE %d peers: of %d questions %d were answered right only later", n, n*keys, late)
		if late*100 > n*keys {
			t.Errorf("%d of %d first answers were wrong", late, n*keys)
		}
	})
}
