package names_test

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/names"
	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/path"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

func signed(t testing.TB, kind int, seq uint64, eol time.Time) blocks.Record {
	t.Helper()
	key, _, err := crypto.GenerateKeyPairWithReader(kind, 2048, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p, err := path.NewPath("/ipfs/bafkqaaa")
	if err != nil {
		t.Fatal(err)
	}
	rec, err := ipns.NewRecord(key, p, seq, eol, time.Minute)
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
	return names.Pack(ipns.NameFromPeer(id), data)
}

func TestARecordIsGoodOnlyAsItsNameSignedIt(t *testing.T) {
	eol := time.Now().Add(time.Hour).UTC()
	for _, kind := range []int{crypto.Ed25519, crypto.RSA, crypto.ECDSA, crypto.Secp256k1} {
		rec := signed(t, kind, 7, eol)
		if rec.Kind != blocks.NameRecord || len(rec.Value) > blocks.MaxRecord {
			t.Errorf("packed kind %d in %d bytes", rec.Kind, len(rec.Value))
		}
		seq, expires, err := names.Valid(rec.Key, rec.Value)
		if err != nil || seq != 7 || !expires.Equal(eol) {
			t.Errorf("key type %d: %d, %s, %v", kind, seq, expires, err)
		}
		other := signed(t, kind, 7, eol)
		if _, _, err := names.Valid(other.Key, rec.Value); err == nil {
			t.Error("good under another key")
		}
		_, _, data, err := names.Open(rec.Value)
		if err != nil {
			t.Fatal(err)
		}
		who, _, _, err := names.Open(other.Value)
		if err != nil {
			t.Fatal(err)
		}
		theirs := names.Pack(who, data)
		if _, _, err := names.Valid(theirs.Key, theirs.Value); err == nil {
			t.Error("good for another name")
		}
	}
	if rec := signed(t, crypto.Ed25519, 1, time.Now().Add(-time.Second)); rec.Key != nil {
		if _, _, err := names.Valid(rec.Key, rec.Value); err == nil {
			t.Error("good after its time")
		}
	}
}

// Every bit of a record counts: none can be turned without the record being refused, or
// meaning what it meant.
func TestARecordWithATurnedBitIsRefusedOrTheSame(t *testing.T) {
	rec := signed(t, crypto.Ed25519, 7, time.Now().Add(time.Hour))
	_, was, _, err := names.Open(rec.Value)
	if err != nil {
		t.Fatal(err)
	}
	value, err := was.Value()
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range 8 * len(rec.Value) {
		turned := bytes.Clone(rec.Value)
		turned[i/8] ^= 1 << (i % 8)
		seq, _, err := names.Valid(rec.Key, turned)
		if err != nil {
			refused++
			continue
		}
		_, now, _, err := names.Open(turned)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := now.Value(); err != nil || p.String() != value.String() || seq != 7 {
			t.Fatalf("bit %d makes it %s, number %d, %v", i, p, seq, err)
		}
	}
	t.Logf("%d of %d refused", refused, 8*len(rec.Value))
	if refused < 4*len(rec.Value) {
		t.Errorf("only %d of %d were refused", refused, 8*len(rec.Value))
	}
}

func FuzzOpen(f *testing.F) {
	rec := signed(f, crypto.Ed25519, 7, time.Now().Add(time.Hour))
	f.Add(rec.Value)
	f.Add([]byte{})
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, value []byte) {
		who, _, data, err := names.Open(value)
		if err != nil {
			return
		}
		if back := names.Pack(who, data); !bytes.Equal(back.Value, value) {
			t.Errorf("%x packs as %x", value, back.Value)
		}
		_, _, _ = names.Valid(names.Key(who), value) // must not panic
	})
}
