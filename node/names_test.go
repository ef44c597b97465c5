package node_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/names"
	"github.com/cairn-network/cairn/node/nodetest"
	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/path"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	onePath = "/ipfs/bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku" // of nothing
	twoPath = "/ipfs/bafkqaaa"
)

// record is a name's record that key has signed.
func record(t testing.TB, key crypto.PrivKey, value string, seq uint64, life time.Duration) (ipns.Name, []byte) {
	t.Helper()
	p, err := path.NewPath(value)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := ipns.NewRecord(key, p, seq, time.Now().Add(life), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	data, err := ipns.MarshalRecord(rec)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return ipns.NameFromPeer(id), data
}

func freshKey(t testing.TB) crypto.PrivKey {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// values are the values of a name's record that living peers have on their disks, and how often.
func values(t testing.TB, w *nodetest.Net, text string) map[string]int {
	t.Helper()
	name, err := ipns.NameFromString(text)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, i := range w.Alive() {
		value, ok, err := w.Mem[i].Record(context.Background(), blocks.NameRecord, names.Key(name))
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			continue
		}
		_, rec, _, err := names.Open(value)
		if err != nil {
			t.Fatal(err)
		}
		p, err := rec.Value()
		if err != nil {
			t.Fatal(err)
		}
		out[p.String()]++
	}
	return out
}

func TestANameOutlivesThePeerThatPublishedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 8, nodetest.Config())
		ctx := t.Context()
		if _, err := w.Nodes[0].Keys().Generate("site"); err != nil {
			t.Fatal(err)
		}
		body := bytes.Repeat([]byte("a page\n"), 100)
		put, err := w.Nodes[0].Put(ctx, bytes.NewReader(body), blocks.PutOptions{Wait: blocks.WaitFull}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var done blocks.Published
		for want := uint64(1); want <= 2; want++ {
			if done, err = w.Nodes[0].PublishName(ctx, "site", put.Root.String(), blocks.NameOptions{}); err != nil || done.Seq != want || done.Was != want-1 {
				t.Fatalf("published %+v, %v; want number %d", done, err, want)
			}
		}
		if done.Peers < 3 || !done.DHT || time.Until(done.Expires) < 24*time.Hour {
			t.Errorf("published %+v: want at least 3 peers, the DHT, and the lease's life", done)
		}
		pem, err := w.Nodes[0].Keys().Export("site")
		if err != nil {
			t.Fatal(err)
		}
		w.Kill(0)
		time.Sleep(time.Minute)
		for i := range 7 {
			got, err := w.Nodes[i+1].ResolveName(ctx, done.Name, true)
			if err != nil || got.Path != "/ipfs/"+put.Root.String() || got.Seq != 2 || got.Asked < 3 || got.Conflict != nil {
				t.Errorf("peer %d: %+v, %v", i+1, got, err)
			}
		}
		for _, path := range []string{"/ipns/" + done.Name, "ipns://" + done.Name, "http://localhost/ipns/" + done.Name + "?x", "http://" + done.Name + ".ipns.localhost"} {
			f, err := w.Nodes[5].Get(ctx, path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(f)
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s: %d bytes, %v", path, len(got), err)
			}
		}
		// A key from a backup, where nothing is remembered of what was published.
		if _, err := w.Nodes[6].Keys().Import("restored", pem); err != nil {
			t.Fatal(err)
		}
		if again, err := w.Nodes[6].PublishName(ctx, "restored", put.Root.String(), blocks.NameOptions{}); err != nil || again.Seq != 3 || again.Was != 2 {
			t.Errorf("from a backup: %+v, %v; want number 3", again, err)
		}
		if who, err := w.Nodes[5].Routing().Providers(ctx, put.Root); err != nil || len(who) < 3 || len(who[0].Addrs) == 0 {
			t.Errorf("providers %v, %v", who, err)
		}
		if who, err := w.Nodes[5].Routing().Closest(ctx, put.Root); err != nil || len(who) != 7 {
			t.Errorf("closest %v, %v", who, err)
		}
		if who, err := w.Nodes[5].Routing().Peer(ctx, w.Hosts[2].ID()); err != nil || len(who.Addrs) == 0 {
			t.Errorf("peer %v, %v", who, err)
		}
		if h, err := w.Nodes[3].Health(ctx, "/ipns/"+done.Name, false); err != nil || h.Root != put.Root {
			t.Errorf("health through a name: %+v, %v", h, err)
		}
		if _, err := w.Nodes[4].Get(ctx, "/ipns/"+done.Name+"/nothing"); !blocks.IsNotFound(err) {
			t.Errorf("below a file: %v", err)
		}
		stranger, _ := record(t, freshKey(t), onePath, 1, time.Hour)
		if _, err := w.Nodes[4].ResolveName(ctx, stranger.String(), true); !blocks.IsNotFound(err) {
			t.Errorf("a name that nobody published: %v", err)
		}
	})
}

func TestAllReplicasPickTheSameOfTwoPublishersAndNeverGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 8, nodetest.Config())
		ctx := t.Context()
		first, err := w.Nodes[0].Keys().Generate("shared")
		if err != nil {
			t.Fatal(err)
		}
		pem, err := w.Nodes[0].Keys().Export("shared")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := w.Nodes[1].Keys().Import("shared", pem); err != nil || again != first {
			t.Fatalf("imported %+v, %v", again, err)
		}
		var g sync.WaitGroup
		for i, path := range []string{onePath, twoPath} {
			g.Go(func() {
				if _, err := w.Nodes[i].PublishName(ctx, "shared", path, blocks.NameOptions{}); err != nil {
					t.Error(err)
				}
			})
		}
		g.Wait()
		time.Sleep(2 * time.Minute) // keepers look at each other
		all := values(t, w, first.Name)
		if len(all) != 1 {
			t.Errorf("replicas have %v: want one value", all)
		}
		high := uint64(0)
		for i := range w.Nodes {
			got, err := w.Nodes[i].ResolveName(ctx, first.Name, true)
			if err != nil || all[got.Path] == 0 || got.Seq < high {
				t.Errorf("peer %d resolves %+v, %v", i, got, err)
			}
			high = max(high, got.Seq)
		}
	})
}

func TestWhatIsSignedTwiceWithOneNumberIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 8, nodetest.Config())
		key := freshKey(t)
		name, one := record(t, key, onePath, 5, time.Hour)
		_, two := record(t, key, twoPath, 5, 2*time.Hour)
		if _, err := w.Nodes[0].ImportName(t.Context(), name.String(), one); err != nil {
			t.Fatal(err)
		}
		// One keeper alone has the other, as after a partition.
		rec := names.Pack(name, two)
		for i := range w.Mem {
			if _, ok, _ := w.Mem[i].Record(t.Context(), rec.Kind, rec.Key); ok && i > 0 {
				if err := w.Mem[i].PutRecord(t.Context(), rec); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		for i := range w.Nodes {
			got, err := w.Nodes[i].ResolveName(t.Context(), name.String(), true)
			if err != nil || got.Path != twoPath {
				t.Errorf("%+v, %v: want the one that lasts longer", got, err)
			}
			if i == 0 && len(got.Conflict) != 1 {
				t.Errorf("conflict %v: want the other value", got.Conflict)
			}
		}
	})
}

func TestARecordThatIsNotGoodIsNeverStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 6, nodetest.Config())
		ctx := t.Context()
		key := freshKey(t)
		name, good := record(t, key, onePath, 3, time.Hour)
		_, older := record(t, key, twoPath, 2, time.Hour)
		_, other := record(t, freshKey(t), twoPath, 9, time.Hour)
		broken := bytes.Clone(other)
		broken[len(broken)/2] ^= 1
		for what, data := range map[string][]byte{"another's": other, "broken": broken, "nothing": nil, "too large": make([]byte, blocks.MaxRecord+1)} {
			_, err := w.Nodes[0].ImportName(ctx, name.String(), data)
			if bad := new(blocks.RecordError); !errors.As(err, &bad) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if all := values(t, w, name.String()); len(all) != 0 {
			t.Errorf("stored %v", all)
		}
		done, err := w.Nodes[0].ImportName(ctx, name.String(), good)
		if err != nil || done.Seq != 3 || done.Peers < 3 {
			t.Fatalf("import: %+v, %v", done, err)
		}
		if _, err := w.Nodes[1].ImportName(ctx, name.String(), older); err == nil || !strings.Contains(err.Error(), "number 2") {
			t.Errorf("an older one: %v", err)
		}
		if err := w.Nodes[2].NameRecords().PutValue(ctx, string(name.RoutingKey()), older); err == nil {
			t.Error("an older one was taken as a value")
		}
		time.Sleep(time.Minute)
		if all := values(t, w, name.String()); len(all) != 1 || all[onePath] < 3 {
			t.Errorf("replicas have %v", all)
		}
	})
}

func TestNamesConvergeAfterAPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 8, nodetest.Config())
		ctx := t.Context()
		info, err := w.Nodes[0].Keys().Generate("shared")
		if err != nil {
			t.Fatal(err)
		}
		pem, err := w.Nodes[0].Keys().Export("shared")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Nodes[7].Keys().Import("shared", pem); err != nil {
			t.Fatal(err)
		}
		w.Cut(func(a, b int) bool { return (a < 4) != (b < 4) })
		time.Sleep(time.Minute)
		publish := func(i int, path string) blocks.Published {
			t.Helper()
			done, err := w.Nodes[i].PublishName(ctx, "shared", path, blocks.NameOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return done
		}
		publish(0, onePath)
		publish(7, twoPath)
		last := publish(7, twoPath)
		if last.Seq != 2 {
			t.Errorf("in its half it is number %d, want 2", last.Seq)
		}
		w.Heal()
		time.Sleep(5 * time.Minute)
		for i := range w.Nodes {
			if got, err := w.Nodes[i].ResolveName(ctx, info.Name, true); err != nil || got.Path != twoPath || got.Seq != 2 {
				t.Errorf("peer %d after the partition: %+v, %v", i, got, err)
			}
		}
		if all := values(t, w, info.Name); len(all) != 1 {
			t.Errorf("replicas have %v", all)
		}
	})
}

func TestAWatchHearsOfAChangeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 14, nodetest.Config())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		info, err := w.Nodes[0].Keys().Generate("site")
		if err != nil {
			t.Fatal(err)
		}
		heard := make(chan blocks.Resolved, 8)
		var g sync.WaitGroup
		defer g.Wait()
		defer cancel()
		for i := range w.Nodes { // most of them keep no record of it
			g.Go(func() {
				for r, err := range w.Nodes[i].WatchName(ctx, info.Name) {
					if err != nil {
						t.Error(err)
					}
					heard <- r
				}
			})
		}
		time.Sleep(10 * time.Second)
		for _, path := range []string{onePath, twoPath} {
			began := time.Now()
			if _, err := w.Nodes[0].PublishName(ctx, "site", path, blocks.NameOptions{}); err != nil {
				t.Fatal(err)
			}
			for range w.Nodes {
				if r := <-heard; r.Path != path {
					t.Errorf("heard of %s, want %s", r.Path, path)
				}
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("all watchers know after %s", took)
			} else {
				t.Logf("all watchers know after %s", took)
			}
			time.Sleep(3 * time.Second)
		}
	})
}

func TestAPeerAloneSaysThatNobodyElseHasItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 1, nodetest.Config())
		done, err := w.Nodes[0].PublishName(t.Context(), "", onePath, blocks.NameOptions{})
		if err != nil || done.Peers != 0 || done.DHT || done.Key != blocks.SelfKey {
			t.Errorf("alone: %+v, %v", done, err)
		}
		if got, err := w.Nodes[0].ResolveName(t.Context(), "self", true); err != nil || got.Path != onePath {
			t.Errorf("its own name: %+v, %v", got, err)
		}
		if _, err := w.Nodes[0].PublishName(t.Context(), "other", onePath, blocks.NameOptions{}); !errors.Is(err, blocks.ErrNoKey) {
			t.Errorf("a key that is not there: %v", err)
		}
		if _, err := w.Nodes[0].PublishName(t.Context(), "", "nonsense", blocks.NameOptions{}); err == nil {
			t.Error("a name was published for nonsense")
		}
	})
}

func TestNamesThatLeadToEachOtherAreNotFollowedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := nodetest.New(t, 4, nodetest.Config())
		ctx, n := t.Context(), w.Nodes[0]
		var ids [2]string
		for i, key := range []string{"a", "b"} {
			info, err := n.Keys().Generate(key)
			if err != nil {
				t.Fatal(err)
			}
			ids[i] = info.Name
		}
		for i, key := range []string{"a", "b"} {
			if _, err := n.PublishName(ctx, key, "/ipns/"+ids[1-i], blocks.NameOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := n.ResolveName(ctx, "a", false); err != nil || got.Path != "/ipns/"+ids[1] {
			t.Errorf("one step: %+v, %v", got, err)
		}
		began := time.Now()
		bad := new(blocks.PathError)
		if _, err := n.ResolveName(ctx, "a", true); !errors.As(err, &bad) {
			t.Errorf("resolve: %v", err)
		}
		if _, err := n.Resolve(ctx, "/ipns/"+ids[0]+"/x"); !errors.As(err, &bad) {
			t.Errorf("a path: %v", err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("took %s", took)
		}
	})
}
