package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"
)

// silent says nothing until whoever carries the question gives it up, as blocks/wire does.
func silent(ctx context.Context) (blocks.Block, error) {
	if err := in(10 * time.Second)(ctx); err != nil {
		return blocks.Block{}, err
	}
	return blocks.Block{}, errors.New("no answer")
}

// Invariant 19: as long as one live peer has a block, and is near it, is named by somebody who
// is, or is on record, a get ends with it, whatever the others do; one that is cancelled ends at
// once. The bubble ends only when every goroutine has.
func TestAGetEndsWithTheBlockAsLongAsSomebodyHasIt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ps := ranked(14)
		members, others := ps[:rapid.IntRange(1, 10).Draw(rt, "near")], ps[10:]
		how := says{}
		for _, p := range ps {
			how[p] = map[string]func(context.Context) (blocks.Block, error){
				"lacks": lacks, "lies": liar, "is silent": silent, "broken": func(context.Context) (blocks.Block, error) { return blocks.Block{}, errors.New("broken") },
			}[rapid.SampledFrom([]string{"lacks", "lies", "is silent", "broken"}).Draw(rt, "what it does")]
		}
		good := after(time.Duration(rapid.IntRange(0, 2000).Draw(rt, "ms")) * time.Millisecond)
		cfg := fetch.Config{Named: all}
		switch rapid.SampledFrom([]string{"near", "named", "on record", "nowhere"}).Draw(rt, "where") {
		case "near":
			how[rapid.SampledFrom(members).Draw(rt, "who")] = good
		case "named": // the nearer to the block, the likelier it is that somebody is asked
			if len(members) < 2 {
				return
			}
			how[members[0]] = good
			how[members[len(members)-1]] = names(members[0])
			members = members[1:]
		case "on record":
			p := rapid.SampledFrom(others).Draw(rt, "who")
			how[p], cfg.Records = good, recorded(others)
		default:
			good = nil
		}
		members = slices.Clone(members)
		hurry := time.Duration(0)
		if rapid.Bool().Draw(rt, "cancelled") {
			hurry = time.Duration(rapid.IntRange(1, 3000).Draw(rt, "after")) * time.Millisecond
		}
		synctest.Test(t, func(t *testing.T) {
			f := fetch.New("me", new(blockstest.Mem), near(members), how, cfg)
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if hurry > 0 {
				ctx, cancel = context.WithTimeout(ctx, hurry)
			}
			defer cancel()
			t0 := time.Now()
			b, err := f.Get(ctx, x.Cid())
			took := time.Since(t0)
			switch {
			case hurry > 0 && took > hurry:
				rt.Errorf("ended %v after it was cancelled", took-hurry)
			case err == nil && (good == nil || string(b.RawData()) != "x"):
				rt.Errorf("got %q, which nobody has", b.RawData())
			case err != nil && good != nil && hurry == 0:
				rt.Errorf("after %v: %v", took, err)
			}
			_ = f.Close()
		})
	})
}

// The other half of invariant 19: however fast each holder is, no more than a tenth of the
// bytes are asked for twice, and 8 MiB besides.
func TestNoMoreThanATenthIsAskedForTwice(t *testing.T) {
	made, all := many(nil, 80, 1<<20-8)
	rapid.Check(t, func(rt *rapid.T) {
		how, ps := map[peer.ID]func(context.Context) error{}, near(nil)
		for i, ms := range rapid.SliceOfN(rapid.IntRange(1, 1000), 1, 6).Draw(rt, "ms") {
			p := peer.ID(fmt.Sprint(i))
			ps = append(ps, p)
			how[p] = in(time.Duration(ms) * time.Millisecond)
		}
		gets, parallel := rapid.IntRange(1, 80).Draw(rt, "gets"), rapid.IntRange(1, 32).Draw(rt, "parallel")
		synctest.Test(t, func(t *testing.T) {
			h, cs := &holders{mem: made.mem, how: how, asked: map[peer.ID]int{}}, all[:gets]
			f := fetch.New("me", new(blockstest.Mem), ps, h, fetch.Config{Rand: seeded(), Parallel: parallel})
			out, err := f.GetBlocks(t.Context(), cs)
			if err != nil {
				rt.Fatal(err)
			}
			n := 0
			for range out {
				n++
			}
			if n != gets || h.total() > gets+gets/10+8 {
				rt.Errorf("%d of %d blocks for %d questions", n, gets, h.total())
			}
		})
	})
}
