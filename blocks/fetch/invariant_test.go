package fetch_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"
)

// Whatever the closest members do, lie, lack the block, hang, fail or take their time: with
// one among them that has it a get ends with the right bytes, and at no time does a get that
// is given up or over leave a goroutine (invariant 19; the bubble ends only when all have).
func TestAGetEndsWellWhileOneHolderAnswers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			n := rapid.IntRange(1, 10).Draw(rt, "closest")
			good := rapid.IntRange(0, n-1).Draw(rt, "the one that has it")
			var ids near
			how := says{}
			for i := range n {
				p := peer.ID(fmt.Sprint("peer", i))
				ids = append(ids, p)
				switch kind := rapid.SampledFrom([]string{"liar", "lacks", "hangs", "fails", "has"}).Draw(rt, "kind"); {
				case i == good || kind == "has":
					how[p] = after(time.Duration(rapid.IntRange(1, 2000).Draw(rt, "ms")) * time.Millisecond)
				case kind == "liar":
					how[p] = liar
				case kind == "lacks":
					how[p] = lacks
				case kind == "hangs":
					how[p] = sleeper
				default:
					how[p] = func(context.Context) (blocks.Block, error) { return blocks.Block{}, fmt.Errorf("%s is down", p) }
				}
			}
			seed := rapid.Uint64().Draw(rt, "seed")
			f := fetch.New("me", new(blockstest.Mem), ids, how, fetch.Config{Rand: rand.New(rand.NewPCG(seed, seed))})
			defer f.Close() //nolint:errcheck // it has nothing open
			ctx, cancel := context.WithCancel(t.Context())
			gaveUp := rapid.Bool().Draw(rt, "it is given up")
			if gaveUp {
				time.AfterFunc(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "after ms"))*time.Millisecond, cancel)
			}
			defer cancel()
			b, err := f.Get(ctx, x.Cid())
			if err != nil && !gaveUp {
				rt.Fatalf("one of %d has it: %v", n, err)
			}
			if err == nil && string(b.RawData()) != "x" {
				rt.Fatalf("got %q", b.RawData())
			}
		})
	})
}
