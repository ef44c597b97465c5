package node_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/replica/replicatest"
	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/node/nodetest"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// crowd is the peers of the reliability scenarios over libp2p: 20, and 100 in make reliability.
func crowd() int {
	if os.Getenv("CAIRN_REL") != "" {
		return 100
	}
	return 20
}

// figures prints what a test found, and enters it in the table that CAIRN_REL_TABLE names.
func figures(t *testing.T, fs ...replicatest.Figure) {
	t.Helper()
	for _, f := range fs {
		fmt.Println(f)
		if !f.Met() {
			t.Errorf("missed: %s", f)
		}
	}
	if path := os.Getenv("CAIRN_REL_TABLE"); path != "" {
		if err := replicatest.Table(path, "", fs); err != nil {
			t.Fatal(err)
		}
	}
}

// town is a network with blocks in it.
type town struct {
	*nodetest.Net
	ids    []peer.ID
	all    []cid.Cid // of the files that were put
	values []replicatest.Figure
	id     string
}

func newTown(t *testing.T, id string, n int, cfg node.Config) *town {
	t.Helper()
	w := &town{Net: nodetest.New(t, n, cfg), id: id}
	for _, h := range w.Hosts {
		w.ids = append(w.ids, h.ID())
	}
	return w
}

func (w *town) add(name string, v float64, op string, target float64, expect string) {
	w.values = append(w.values, replicatest.Figure{ID: w.id, Name: name, Value: v, Op: op, Target: target, Expect: expect, Seed: 1})
}

// put has each of the first publishers put a file of many small blocks, all at once.
func (w *town) put(t *testing.T, publishers, size int) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range publishers {
		wg.Go(func() {
			rc, err := w.Nodes[i].Put(t.Context(), bytes.NewReader(blockstest.Random(uint64(i), size)), blocks.PutOptions{Layout: blocks.Layout{Chunk: 4 << 10}}, nil)
			if err != nil {
				t.Errorf("peer %d: %v", i, err)
				return
			}
			h, err := w.Nodes[i].Health(t.Context(), rc.Root.String(), true)
			if err != nil {
				t.Errorf("peer %d: %v", i, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, b := range h.Detail {
				w.all = append(w.all, b.CID)
			}
		})
	}
	wg.Wait()
	slices.SortFunc(w.all, func(a, b cid.Cid) int { return strings.Compare(a.KeyString(), b.KeyString()) })
	w.all = slices.Compact(w.all)
}

// kept gives the living peers that have c on their disk and keep it for its publisher.
func (w *town) kept(c cid.Cid) (ids []peer.ID) {
	for _, i := range w.Holders(c) {
		if ls, err := w.Mem[i].Leases(context.Background(), c.Hash()); err == nil && len(ls) > 0 {
			ids = append(ids, w.ids[i])
		}
	}
	return ids
}

// count looks at every store: blocks that nobody has, that fewer than r keep, and that one
// of the r closest living peers lacks.
func (w *town) count(r int) (lost, short, misplaced int) {
	var alive []peer.ID
	for _, i := range w.Alive() {
		alive = append(alive, w.ids[i])
	}
	for _, c := range w.all {
		kept := w.kept(c)
		if len(w.Holders(c)) == 0 {
			lost++
			continue
		}
		if len(kept) < r {
			short++
		}
		if slices.ContainsFunc(keyspace.Nearest(keyspace.OfHash(c.Hash()), alive, r), func(p peer.ID) bool { return !slices.Contains(kept, p) }) {
			misplaced++
		}
	}
	return lost, short, misplaced
}

// recall is the share of the r closest that peers name by themselves, of drawn keys.
func (w *town) recall(t *testing.T, r int) float64 {
	t.Helper()
	named, all := 0, 0
	for i := range w.Nodes {
		for k := range 5 {
			c := blocks.New(cid.Raw, fmt.Appendf(nil, "key %d of %d", k, i)).Cid()
			got, err := w.Nodes[i].Routing().Closest(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range keyspace.Nearest(keyspace.OfHash(c.Hash()), w.ids, r) {
				if all++; slices.ContainsFunc(got[:min(r, len(got))], func(a peer.AddrInfo) bool { return a.ID == p }) {
					named++
				}
			}
		}
	}
	return float64(named) / float64(all)
}

// The reliability scenarios that need whole peers, each with its control. CAIRN_REL=1 runs
// them in full size, CAIRN_REL_TABLE names the file that takes the figures.
func TestReliability(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: the race detector makes minutes of it; smaller networks have the same code raced")
	}
	t.Run("S-03-libp2p", func(t *testing.T) {
		var all []replicatest.Figure
		for _, repair := range []bool{true, false} {
			took := stopwatch()
			synctest.Test(t, func(t *testing.T) { all = append(all, townLosesPeers(t, crowd(), repair)...) })
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			t.Logf("repair %t: took %v, %d MiB from the system", repair, took(), m.Sys>>20)
		}
		figures(t, all...)
	})
}

// stopwatch tells the processor time that this process has taken since, as far as the
// runtime counts it: in a bubble the clock is not the wall's.
func stopwatch() func() time.Duration {
	used := func() time.Duration {
		runtime.GC() // it counts at collections
		s := []metrics.Sample{{Name: "/cpu/classes/total:cpu-seconds"}, {Name: "/cpu/classes/idle:cpu-seconds"}}
		metrics.Read(s)
		return time.Duration((s[0].Value.Float64() - s[1].Value.Float64()) * float64(time.Second))
	}
	began := used()
	return func() time.Duration { return (used() - began).Round(time.Millisecond) }
}

// S-03 over libp2p, kad-dht and simulated links. After a cold start together all peers know
// who is closest (invariant 20). A tenth of them puts files and is killed as soon as the
// puts have returned; then three times a tenth is killed, half a minute apart. In the end
// every block is on its five closest living peers. Without repair, the control, in which
// all die together, most are not.
func townLosesPeers(t *testing.T, n int, repair bool) []replicatest.Figure {
	const r = 5
	cfg := nodetest.Config()
	cfg.Replica.Repair = repair
	real := stopwatch()
	w := newTown(t, "S-03-libp2p", n, cfg)
	name, recall, pause := fmt.Sprintf("%d peers over libp2p", n), 0.0, time.Duration(0)
	t.Logf("%s are up after %v", name, real())
	if repair {
		recall, pause = w.recall(t, r), 30*time.Second
		t.Logf("each was asked who is close after %v", real())
	}
	w.put(t, n/10, 160_000)
	t.Logf("%d blocks are put after %v", len(w.all), real())
	for i := range n / 10 {
		w.Kill(i)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 3 {
		time.Sleep(pause)
		alive := w.Alive()
		rng.Shuffle(len(alive), func(i, j int) { alive[i], alive[j] = alive[j], alive[i] })
		for _, i := range alive[:n/10] {
			w.Kill(i)
		}
	}
	end := time.Now()
	for limit := map[bool]time.Duration{true: 2 * time.Minute, false: 20 * time.Second}[repair]; time.Since(end) < limit; {
		if lost, short, misplaced := w.count(r); lost+short+misplaced == 0 {
			break
		}
		time.Sleep(time.Second)
	}
	healed := time.Since(end)
	lost, short, misplaced := w.count(r)
	t.Logf("%s, repair %t: %d blocks, %d lost, %d with fewer than %d copies, %d not on their closest after %v", name, repair, len(w.all), lost, short, r, misplaced, healed)
	if len(w.all) < n {
		t.Fatalf("%d blocks only", len(w.all))
	}
	if !repair {
		share := replicatest.AllDead(n-n/10, n-n/10-3*(n/10), r) // that none of the five died
		w.add(fmt.Sprintf("of %d blocks, those with fewer than %d copies, %s, control, no repair", len(w.all), r, name), float64(lost+short), ">", 0,
			fmt.Sprintf("%.4g", float64(len(w.all))*(1-share)))
		return w.values
	}
	loss := 3 * replicatest.AllDead(n-n/10, n/10, r) * float64(len(w.all))
	w.add("of the 5 closest, the share that each peer names after a cold start, "+name, recall, "=", 1, "1")
	w.add(fmt.Sprintf("lost of %d, a tenth puts and dies, three tenths follow, %s", len(w.all), name), float64(lost), "<=", 0, fmt.Sprintf("%.2g", loss))
	w.add(fmt.Sprintf("blocks with fewer than %d copies afterwards, %s", r, name), float64(short), "<=", 0, "0")
	w.add("blocks not on their closest afterwards, "+name, float64(misplaced), "<=", 0, "0")
	w.add("s until the last copy was made, after the last death, "+name, healed.Seconds(), "<=", 60, "10 to 20: the grace is 10 s")
	return w.values
}
