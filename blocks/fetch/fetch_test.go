package fetch_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/fetch"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

type near []peer.ID

func (n near) Closest(_ context.Context, _ mh.Multihash, k int) ([]peer.ID, bool, error) {
	return n[:min(k, len(n))], true, nil
}

func (n near) Afresh(ctx context.Context, h mh.Multihash, k int) ([]peer.ID, error) {
	ids, _, err := n.Closest(ctx, h, k)
	return ids, err
}

type says map[peer.ID]func(context.Context) (blocks.Block, error)

func (s says) Fetch(ctx context.Context, p peer.ID, _ cid.Cid) (blocks.Block, error) {
	return s[p](ctx)
}

var x = blocks.New(cid.Raw, []byte("x"))

func liar(context.Context) (blocks.Block, error)  { return blocks.Block{}, blocks.ErrMismatch }
func lacks(context.Context) (blocks.Block, error) { return blocks.Block{}, blocks.NotFound(x.Cid()) }
func sleeper(ctx context.Context) (blocks.Block, error) {
	<-ctx.Done()
	return blocks.Block{}, ctx.Err()
}

func after(d time.Duration) func(context.Context) (blocks.Block, error) {
	return func(ctx context.Context) (blocks.Block, error) {
		select {
		case <-time.After(d):
			return x, nil
		case <-ctx.Done():
			return blocks.Block{}, ctx.Err()
		}
	}
}

// A liar costs nothing and a sleeper one hedge: then the next is asked as well.
func TestGoodAnswerWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fetch.New("me", new(blockstest.Mem), near{"liar", "sleeper", "friend"},
			says{"liar": liar, "sleeper": sleeper, "friend": after(time.Second)}, fetch.Config{Hedge: 300 * time.Millisecond, Spread: 1})
		t0 := time.Now()
		if got, err := f.Get(t.Context(), x.Cid()); err != nil || got.Cid() != x.Cid() {
			t.Fatalf("got %v, %v", got, err)
		}
		if d, want := time.Since(t0), 1300*time.Millisecond; d != want {
			t.Errorf("took %v, want %v", d, want)
		}
	})
}

// When nobody has it, that is the answer, with how many were asked; when someone
// could not say, that is.
func TestWhyNot(t *testing.T) {
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		peers    says
		notFound bool
	}{
		"nobody":      {says{"a": lacks, "b": lacks}, true},
		"one failure": {says{"a": lacks, "b": func(context.Context) (blocks.Block, error) { return blocks.Block{}, broken }}, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := fetch.New("me", new(blockstest.Mem), near{"a", "me", "b"}, tt.peers, fetch.Config{}).Get(t.Context(), x.Cid())
			var miss *blocks.MissError
			if blocks.IsNotFound(err) != tt.notFound || errors.As(err, &miss) != tt.notFound || tt.notFound && (miss.Asked != 2 || !slices.Equal(slices.Sorted(slices.Values(miss.Peers)), []peer.ID{"a", "b"})) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

// Silence ends: a block that only sleepers have is a timeout, in time.
func TestSilenceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fetch.New("me", new(blockstest.Mem), near{"a", "b"}, says{"a": sleeper, "b": sleeper}, fetch.Config{Timeout: 20 * time.Second})
		t0 := time.Now()
		halfWay := make(chan []peer.ID, 1)
		time.AfterFunc(10*time.Second, func() { halfWay <- f.Asked(x.Cid()) })
		if _, err := f.Get(t.Context(), x.Cid()); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("err = %v", err)
		}
		if d := time.Since(t0); d != 20*time.Second {
			t.Errorf("took %v", d)
		}
		asked := <-halfWay
		if slices.Sort(asked); !slices.Equal(asked, []peer.ID{"a", "b"}) {
			t.Errorf("half way %v are said to be asked, want both", asked)
		}
		if now := f.Asked(x.Cid()); now != nil {
			t.Errorf("%v are asked for what nobody looks for any more", now)
		}
	})
}

// Many who want one block at a time cost one fetch; one who gives up does not end it
// for the others.
func TestOneFlightForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		f := fetch.New("me", new(blockstest.Mem), near{"a"}, says{"a": func(ctx context.Context) (blocks.Block, error) {
			asked.Add(1)
			return after(time.Second)(ctx)
		}}, fetch.Config{})
		impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		errs := make(chan error, 11)
		go func() { _, err := f.Get(impatient, x.Cid()); errs <- err }()
		synctest.Wait()
		for range 10 {
			go func() { _, err := f.Get(t.Context(), x.Cid()); errs <- err }()
		}
		if err := <-errs; !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("the impatient one got %v", err)
		}
		for range 10 {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

// Data that stands in its own CID asks nobody.
func TestIdentityIsReadFromItsCID(t *testing.T) {
	h, err := mh.Sum([]byte("tiny"), mh.IDENTITY, -1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := fetch.New("me", new(blockstest.Mem), near{}, says{}, fetch.Config{}).Get(t.Context(), cid.NewCidV1(cid.Raw, h))
	if err != nil || string(b.RawData()) != "tiny" {
		t.Fatalf("got %q, %v", b.RawData(), err)
	}
}

// What the blockservice fetched is here afterwards, and nobody is asked again.
func TestBlockServiceKeepsWhatItRead(t *testing.T) {
	mem, asked := new(blockstest.Mem), 0
	f := fetch.New("me", mem, near{"a"}, says{"a": func(context.Context) (blocks.Block, error) { asked++; return x, nil }}, fetch.Config{})
	bs := fetch.BlockService(mem, f)
	for range 2 {
		if b, err := bs.GetBlock(t.Context(), x.Cid()); err != nil || string(b.RawData()) != "x" {
			t.Fatalf("got %v, %v", b, err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	if ls, _ := mem.Leases(t.Context(), x.Hash()); len(ls) != 0 {
		t.Error("what was read is held")
	}
}

// recorded are the peers on record for anything.
type recorded []peer.ID

func (r recorded) Providers(context.Context, mh.Multihash, int) ([]peer.ID, error) { return r, nil }

// Who is on record is asked when no member has it, and only then; what such a peer
// fails to say is no news of the block, and what it says is checked by who asks it.
func TestThoseOnRecordAreAskedLast(t *testing.T) {
	var asked atomic.Int32
	friend := func(context.Context) (blocks.Block, error) { asked.Add(1); return x, nil }
	broken := func(context.Context) (blocks.Block, error) { return blocks.Block{}, errors.New("gone since") }
	for name, tt := range map[string]struct {
		member, onRecord func(context.Context) (blocks.Block, error)
		asked            int32
		found            bool
	}{
		"a member has it":         {func(context.Context) (blocks.Block, error) { return x, nil }, friend, 0, true},
		"one on record has it":    {lacks, friend, 1, true},
		"none on record answers":  {lacks, broken, 0, false},
		"the one on record lies":  {lacks, liar, 0, false},
		"a failed member, record": {broken, friend, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			f := fetch.New("me", new(blockstest.Mem), near{"m", "me"}, says{"m": tt.member, "r": tt.onRecord},
				fetch.Config{Records: recorded{"me", "m", "r", "r"}})
			_, err := f.Get(t.Context(), x.Cid())
			if (err == nil) != tt.found || asked.Load() != tt.asked {
				t.Errorf("%v after asking %d, want found %t after %d", err, asked.Load(), tt.found, tt.asked)
			}
			var miss *blocks.MissError
			if !tt.found && (!errors.As(err, &miss) || miss.Asked != 2) {
				t.Errorf("%v, want a miss after asking 2", err)
			}
		})
	}
}

// rotten has everything, and nothing of it is right.
type rotten struct{ *blockstest.Mem }

func (rotten) Get(context.Context, cid.Cid) (blocks.Block, error) {
	return blocks.Block{}, blocks.ErrMismatch
}

// A corrupt copy here sends us to the others; if they have none, it is the reason.
func TestCorruptCopyIsTheReasonWhenThereIsNoOther(t *testing.T) {
	for name, c := range map[string]struct {
		peer func(context.Context) (blocks.Block, error)
		want error
	}{"there is another": {after(0), nil}, "there is none": {lacks, blocks.ErrMismatch}} {
		f := fetch.New("me", rotten{new(blockstest.Mem)}, near{"p"}, says{"p": c.peer}, fetch.Config{})
		if _, err := f.Get(t.Context(), x.Cid()); !errors.Is(err, c.want) || c.want != nil && !blocks.IsNotFound(err) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// full is a store without room.
type full struct{ *blockstest.Mem }

func (full) Put(context.Context, ...blocks.Block) error { return blocks.ErrFull }

// A full disk keeps nobody from reading: what was fetched is given, and not kept.
func TestFullDiskStillReads(t *testing.T) {
	f := fetch.New("me", new(blockstest.Mem), near{"a"}, says{"a": after(0)}, fetch.Config{})
	b, err := fetch.BlockService(full{new(blockstest.Mem)}, f).GetBlock(t.Context(), x.Cid())
	if err != nil || string(b.RawData()) != "x" {
		t.Fatalf("got %v, %v", b, err)
	}
}
