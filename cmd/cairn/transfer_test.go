package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api/client"
)

// clients speaks to each peer of w.
func (n network) clients(t *testing.T) (all []*client.Client) {
	t.Helper()
	net, err := loadTestnet(n.dir, n.name)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range net.Peers {
		c, err := clientOf(node.HomeAt(m.Home), m.API)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		all = append(all, c)
	}
	return all
}

// through reads root, of n bytes, through c and throws it away.
func through(ctx context.Context, c *client.Client, root string, n int64) (took time.Duration, err error) {
	began := time.Now()
	r, _, err := c.Get(ctx, root, 0, 0)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	var got counted
	if _, err := io.CopyBuffer(&got, r, make([]byte, 1<<20)); err != nil {
		return 0, err
	}
	if int64(got) != n {
		return 0, fmt.Errorf("%d bytes of %d", got, n)
	}
	return time.Since(began), nil
}

var here = blocks.PutOptions{Wait: blocks.WaitLocal, NoPlace: true}

// CAIRN_LARGE MiB, else 4096, go from one daemon to another: neither takes more than 200 MiB
// of memory meanwhile.
func TestFiguresOfATransfer(t *testing.T) {
	wanted(t, "CAIRN_BENCH")
	n := number("CAIRN_LARGE", 4096) << 20
	w := up(t, 2)
	giver, getter := w.pids(t)[0], w.pids(t)[1]
	cs := w.clients(t)
	rc, err := cs[0].Put(t.Context(), newStamped(n, 1), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	peak(t, giver)
	peak(t, getter)
	took, err := through(t.Context(), cs[1], rc.Root.String(), n)
	if err != nil {
		t.Fatal(err)
	}
	gave, got := peak(t, giver), peak(t, getter)
	t.Logf("FIGURE %d MiB from one peer to another: %.0f MB/s, giver at most %d MiB, getter %d MiB",
		n>>20, mbs(n, took), gave>>20, got>>20)
	if max(gave, got) > mostMemory {
		t.Errorf("the giver took %d MiB and the getter %d MiB, want %d at most", gave>>20, got>>20, mostMemory>>20)
	}
}

// Five holders whose lines carry 20 MB/s each, or CAIRN_RATE, give a file of 64 MiB, or CAIRN_SLOW,
// at four times the speed of one of them, at least.
func TestFiguresOfFiveSlowHolders(t *testing.T) {
	wanted(t, "CAIRN_BENCH")
	const runs = 3
	n, rate := number("CAIRN_SLOW", 64)<<20, fmt.Sprint(number("CAIRN_RATE", 20), "MB/s")
	w := up(t, 6)
	cs := w.clients(t)
	var root string
	for _, c := range cs[1:] {
		rc, err := c.Put(t.Context(), newStamped(n, 1), here, nil)
		if err != nil {
			t.Fatal(err)
		}
		root = rc.Root.String()
	}
	run := func(args ...string) {
		t.Helper()
		if _, err := w.run(t.Context(), nil, append(args, "--name", w.name)...); err != nil {
			t.Fatal(err)
		}
	}
	holders := []string{"p1", "p2", "p3", "p4", "p5"}
	run(append([]string{"testnet", "slow", "--rate", rate}, holders...)...)
	median := func(what string) time.Duration {
		t.Helper()
		var all []time.Duration
		for range runs {
			if _, err := w.run(t.Context(), nil, "repo", "gc", "--peer", "p0@"+w.name); err != nil {
				t.Fatal(err)
			}
			took, err := through(t.Context(), cs[0], root, n)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %.1f MB/s", what, mbs(n, took))
			all = append(all, took)
		}
		slices.Sort(all)
		return all[runs/2]
	}
	five := median("of five")
	run(append([]string{"testnet", "kill"}, holders[1:]...)...)
	one := median("of one")
	t.Logf("FIGURE %d MiB of five holders of %s each: %.1f MB/s; of one %.1f MB/s; %.2f times",
		n>>20, rate, mbs(n, five), mbs(n, one), float64(one)/float64(five))
	if five*4 > one {
		t.Errorf("five holders are %.2f times as fast as one, want 4", float64(one)/float64(five))
	}
}

// What is put again, with each block going to two holders that pass it on, is brought to nobody
// a second time: bytes counted by real peers.
func TestWhatIsPutAgainIsNotBroughtAgain(t *testing.T) {
	wanted(t, "CAIRN_ACCEPTANCE")
	const n, r = 32 << 20, 4
	w := up(t, 6, "--replicas", fmt.Sprint(r))
	c := w.clients(t)[0]
	brought := func() (all int64) {
		for _, why := range reasons {
			all += int64(w.metric(t, `cairn_brought_bytes_total{reason="`+why+`"}`))
		}
		return all
	}
	put := func() int64 {
		t.Helper()
		before := brought()
		_, err := c.Put(t.Context(), newStamped(n, 1), blocks.PutOptions{Wait: blocks.WaitFull, Fanout: 2}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return brought() - before
	}
	first, again := put(), put()
	t.Logf("FIGURE %d bytes put with %d copies, w = 2: %d were brought, %d when it was put again", n, r, first, again)
	if first < r*n || again != 0 {
		t.Error("want all of it once, and then nothing")
	}
}

// pids are those of all peers.
func (n network) pids(t *testing.T) (all []int) {
	t.Helper()
	var status struct{ Peers []peerStatus }
	if err := n.ask(t.Context(), &status, "testnet", "status", "--name", n.name); err != nil {
		t.Fatal(err)
	}
	for _, p := range status.Peers {
		all = append(all, p.PID)
	}
	return all
}
