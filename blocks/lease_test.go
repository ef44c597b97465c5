package blocks_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

var (
	now     = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	content = blocks.New(cid.Raw, []byte("content")).Cid()
)

func grant(t *testing.T, change func(*blocks.Lease)) blocks.Lease {
	t.Helper()
	l := blocks.Lease{Root: content, Seq: 3, Issued: now, Expires: now.Add(180 * 24 * time.Hour), Bytes: 1 << 30, R: 5}
	if change != nil {
		change(&l)
	}
	l, err := blocks.Grant(blockstest.Key(1), l)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAGrantedLeaseStandsForItsTime(t *testing.T) {
	l := grant(t, nil)
	id, err := peer.IDFromPrivateKey(blockstest.Key(1))
	if err != nil || l.Publisher != id {
		t.Fatalf("got publisher %s, want %s", l.Publisher, id)
	}
	for _, at := range []time.Time{now, now.Add(-blocks.MaxSkew), now.Add(179 * 24 * time.Hour), l.Expires.Add(-1)} {
		if err := l.Valid(at); err != nil {
			t.Errorf("at %s: %v", at, err)
		}
	}
	for _, at := range []time.Time{now.Add(-blocks.MaxSkew - 1), l.Expires, l.Expires.Add(time.Hour)} {
		if err := l.Valid(at); !errors.Is(err, blocks.ErrBadLease) {
			t.Errorf("at %s: got %v, want ErrBadLease", at, err)
		}
	}
}

func TestALeaseOutOfBoundsIsBadThoughSigned(t *testing.T) {
	for want, change := range map[string]func(*blocks.Lease){
		"0 copies":             func(l *blocks.Lease) { l.R = 0 },
		"21 copies":            func(l *blocks.Lease) { l.R = 21 },
		"-1 copies":            func(l *blocks.Lease) { l.R = -1 },
		"revoked":              func(l *blocks.Lease) { l.State = blocks.LeaseRevoked },
		"expired":              func(l *blocks.Lease) { l.Expires = now.Add(-1) },
		"issued in the future": func(l *blocks.Lease) { l.Issued = now.Add(2 * time.Hour) },
		"longer than":          func(l *blocks.Lease) { l.Expires = now.Add(400*24*time.Hour + time.Second) },
	} {
		if err := grant(t, change).Valid(now); !errors.Is(err, blocks.ErrBadLease) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, change := range []func(*blocks.Lease){
		func(l *blocks.Lease) { l.R = blocks.MaxReplicas },
		func(l *blocks.Lease) { l.R = 1 },
		func(l *blocks.Lease) { l.Expires = now.Add(blocks.MaxLeaseTime) },
		func(l *blocks.Lease) { l.Seq, l.Bytes = 1<<64-1, 1<<64-1 },
	} {
		if err := grant(t, change).Valid(now); err != nil {
			t.Error(err)
		}
	}
}

func TestAChangedFieldBreaksTheSignature(t *testing.T) {
	other, err := peer.IDFromPrivateKey(blockstest.Key(2))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*blocks.Lease){
		"publisher": func(l *blocks.Lease) { l.Publisher = other },
		"root":      func(l *blocks.Lease) { l.Root = blocks.New(cid.Raw, nil).Cid() },
		"codec":     func(l *blocks.Lease) { l.Root = cid.NewCidV1(cid.DagProtobuf, l.Root.Hash()) },
		"seq":       func(l *blocks.Lease) { l.Seq++ },
		"issued":    func(l *blocks.Lease) { l.Issued = l.Issued.Add(-time.Second) },
		"expires":   func(l *blocks.Lease) { l.Expires = l.Expires.Add(time.Second) },
		"bytes":     func(l *blocks.Lease) { l.Bytes++ },
		"r":         func(l *blocks.Lease) { l.R++ },
	} {
		l := grant(t, nil)
		change(&l)
		if err := l.Valid(now); !errors.Is(err, blocks.ErrBadLease) || !strings.Contains(err.Error(), "signature") {
			t.Errorf("%s: got %v, want a signature that does not match", name, err)
		}
	}
	revoked := grant(t, func(l *blocks.Lease) { l.State = blocks.LeaseRevoked })
	revoked.State = blocks.LeaseActive // back to life without the key
	if err := revoked.Valid(now); !errors.Is(err, blocks.ErrBadLease) {
		t.Errorf("state: got %v, want ErrBadLease", err)
	}
	unsigned := blocks.Lease{Publisher: other, Root: content, Issued: now, Expires: now.Add(1), R: 1}
	if err := unsigned.Valid(now); !errors.Is(err, blocks.ErrBadLease) {
		t.Errorf("unsigned: got %v, want ErrBadLease", err)
	}
}

// A signature over the same bytes without the domain is good for something
// else, not for a lease: nor may a key that is not in its id.
func TestOnlyIdentitiesWithTheirKeyInThemPublish(t *testing.T) {
	key, _, err := crypto.GenerateECDSAKeyPair(bytes.NewReader(blockstest.Random(1, 1<<10)))
	if err != nil {
		t.Fatal(err)
	}
	l, err := blocks.Grant(key, blocks.Lease{Root: content, Issued: now, Expires: now.Add(time.Hour), R: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Valid(now); !errors.Is(err, blocks.ErrBadLease) {
		t.Errorf("got %v, want ErrBadLease", err)
	}
}

func TestARenewalHasTheIDOfWhatItRenews(t *testing.T) {
	a, b := grant(t, nil), grant(t, func(l *blocks.Lease) { l.Seq, l.R = 9, 1 })
	if a.ID() != b.ID() {
		t.Error("a renewal got another id")
	}
	if c := grant(t, func(l *blocks.Lease) { l.Root = blocks.New(cid.Raw, nil).Cid() }); c.ID() == a.ID() {
		t.Error("another root got the same id")
	}
	text, err := a.ID().MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var id blocks.LeaseID
	if err := id.UnmarshalText(text); err != nil || id != a.ID() {
		t.Errorf("got %s, %v; want %s", id, err, a.ID())
	}
	for _, bad := range []string{"", "ab", strings.Repeat("g", 64)} {
		if err := id.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestALeaseSurvivesItsEncoding(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		secs := rapid.Int64Range(0, 1<<40)
		want, err := blocks.Grant(blockstest.Key(rapid.Uint64().Draw(rt, "key")), blocks.Lease{
			Root:    blocks.New(cid.DagProtobuf, rapid.SliceOf(rapid.Byte()).Draw(rt, "content")).Cid(),
			Seq:     rapid.Uint64().Draw(rt, "seq"),
			Issued:  time.Unix(secs.Draw(rt, "issued"), 0),
			Expires: time.Unix(secs.Draw(rt, "expires"), 0),
			Bytes:   rapid.Uint64().Draw(rt, "bytes"),
			R:       rapid.IntRange(0, blocks.MaxReplicas+1).Draw(rt, "r"),
			State:   blocks.LeaseState(rapid.Byte().Draw(rt, "state")),
		})
		if err != nil {
			rt.Fatal(err)
		}
		got, err := blocks.ParseLease(want.Marshal())
		if err != nil {
			rt.Fatal(err)
		}
		if got.ID() != want.ID() || got.Seq != want.Seq || !got.Issued.Equal(want.Issued) || !got.Expires.Equal(want.Expires) ||
			got.Bytes != want.Bytes || got.R != want.R || got.State != want.State || !bytes.Equal(got.Marshal(), want.Marshal()) {
			rt.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestAnotherEncodingOfALeaseIsRefused(t *testing.T) {
	good := grant(t, nil).Marshal()
	if _, err := blocks.ParseLease(good); err != nil {
		t.Fatal(err)
	}
	_, _, head := protowire.ConsumeField(good) // the publisher
	if head < 0 {
		t.Fatal(protowire.ParseError(head))
	}
	for name, bad := range map[string][]byte{
		"empty":           nil,
		"cut":             good[:len(good)-1],
		"fields turned":   append(bytes.Clone(good[head:]), good[:head]...),
		"field twice":     append(bytes.Clone(good), good[:head]...),
		"unknown field":   protowire.AppendVarint(protowire.AppendTag(bytes.Clone(good), 99, protowire.VarintType), 1),
		"unknown bytes":   protowire.AppendBytes(protowire.AppendTag(bytes.Clone(good), 99, protowire.BytesType), nil),
		"other wire type": protowire.AppendFixed32(protowire.AppendTag(bytes.Clone(good), 7, protowire.Fixed32Type), 1),
		"long varint":     bytes.Replace(good, []byte{0x18, 3}, []byte{0x18, 0x83, 0}, 1),
		"no publisher":    good[head:],
		"too large":       append(bytes.Clone(good), make([]byte, blocks.MaxLeaseSize)...),
	} {
		if bytes.Equal(bad, good) {
			t.Fatalf("%s: nothing changed", name)
		}
		if l, err := blocks.ParseLease(bad); !errors.Is(err, blocks.ErrBadLease) {
			t.Errorf("%s: got %+v, %v; want ErrBadLease", name, l, err)
		}
	}
}

func FuzzParseLease(f *testing.F) {
	good := blockstest.Lease(1, 2, content, now).Marshal()
	f.Add(good)
	f.Add(good[:40])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := blocks.ParseLease(data)
		if err != nil {
			if !errors.Is(err, blocks.ErrBadLease) {
				t.Fatalf("%v is no ErrBadLease", err)
			}
			return
		}
		if !bytes.Equal(l.Marshal(), data) {
			t.Fatal("taken, but not in its one encoding")
		}
		_, _ = l.Valid(now), l.ID()
	})
}

func TestEveryPeerPicksTheSameGoverningLease(t *testing.T) {
	if _, ok := blocks.Governing(nil); ok {
		t.Error("none governs")
	}
	day := func(n int) time.Time { return now.Add(time.Duration(n) * 24 * time.Hour) }
	l := func(seed uint64, r, days int) blocks.Lease {
		le, err := blocks.Grant(blockstest.Key(seed), blocks.Lease{Root: content, Issued: now, Expires: day(days), R: r})
		if err != nil {
			t.Fatal(err)
		}
		return le
	}
	few, many, later, equal := l(1, 3, 9), l(2, 5, 1), l(3, 5, 2), l(4, 5, 2)
	want := later
	if a, b := later.ID(), equal.ID(); bytes.Compare(b[:], a[:]) < 0 {
		want = equal
	}
	all := []blocks.Lease{few, many, later, equal}
	for range all {
		all = append(all[1:], all[0])
		if got, ok := blocks.Governing(all); !ok || got.ID() != want.ID() {
			t.Errorf("got the lease of %s, want that of %s", got.Publisher, want.Publisher)
		}
	}
	if got, _ := blocks.Governing([]blocks.Lease{few, many}); got.ID() != many.ID() {
		t.Error("more copies do not govern")
	}
	if got, _ := blocks.Governing([]blocks.Lease{many, later}); got.ID() != later.ID() {
		t.Error("the later expiry does not govern")
	}
}
