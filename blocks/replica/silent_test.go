package replica_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/libp2p/go-libp2p/core/peer"
)

// One of twelve peers loses a tenth of its blocks and goes on saying that it has them, at
// any moment of the others' rounds and wherever they lie: every block has five copies again
// within a minute and a half. Without audits, the control, none of the rounds between the
// looks at every block brings one back.
func TestASilentLossIsReplacedWhereverThePeersLie(t *testing.T) {
	for seed := range uint64(6) {
		for _, off := range []bool{false, true} {
			if off && seed > 0 {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				dice := rand.New(rand.NewPCG(seed, 7))
				cfg := replica.Config{ // a testnet's, but for how often each block is looked at: by then audits must have been enough
					R: 5, Every: 10 * time.Second, SyncEvery: 10 * time.Second, AfterChange: time.Second, Full: time.Hour, Backup: 2 * time.Second,
					PutIdle: 10 * time.Second, Linger: 2500 * time.Millisecond, Rate: -1, PeerRate: -1, NoAudit: off, Rand: rand.New(rand.NewPCG(seed, seed)),
				}
				ids := make([]peer.ID, 12)
				for i := range ids {
					ids[i] = peer.ID(fmt.Sprint(seed, "/", i))
				}
				m := meshOf(ids, cfg)
				m.lag = 5 * time.Millisecond
				bs := m.fill(t, 400, 5, func(int, peer.ID) bool { return true })
				m.run(t)
				time.Sleep(time.Minute + time.Duration(dice.Int64N(int64(20*time.Second))))
				lost := 0
				for _, b := range bs {
					if has, _ := m.mem[ids[3]].Has(t.Context(), b.Hash()); has && dice.IntN(10) == 0 {
						if err := m.mem[ids[3]].Delete(t.Context(), b.Hash()); err != nil {
							t.Fatal(err)
						}
						lost++
					}
				}
				began, short := time.Now(), lost
				for short > 0 && time.Since(began) < 90*time.Second {
					time.Sleep(time.Second)
					short = m.short(bs, 5)
				}
				t.Logf("seed=%d audits=%t lost=%d short=%d after_s=%d", seed, !off, lost, short, int(time.Since(began).Seconds()))
				if lost == 0 || off && short != lost || !off && short > 0 {
					t.Errorf("seed %d, audits off %t: %d lost, %d of them lack a copy after %v", seed, off, lost, short, time.Since(began))
				}
			})
		}
	}
}

// short counts those of bs that fewer than r stores have.
func (m *mesh) short(bs []blocks.Block, r int) (n int) {
	for _, b := range bs {
		if m.copies(b, "") < r {
			n++
		}
	}
	return n
}
