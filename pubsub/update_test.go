package pubsub_test

import (
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var noon = time.Date(2026, 1, 2, 12, 0, 0, 123_000_000, time.UTC)

// A changed golden file is a change of the protocol.
func TestEnvelopeIsTheSpecifiedOne(t *testing.T) {
	const golden = "testdata/update.hex"
	_, data := sample(t, 1, noon)
	got := hex.EncodeToString(data)
	if *update {
		if err := os.WriteFile(golden, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.TrimSpace(string(want)) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestWhatIsSealedIsHeard(t *testing.T) {
	k, id := key(t, 1)
	rapid.Check(t, func(r *rapid.T) {
		said := time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(r, "time")).UTC()
		u := pubsub.Update{
			From: id,
			Seq:  rapid.Uint64().Draw(r, "seq"),
			Root: rapid.StringMatching(`[!-~]{1,255}`).Draw(r, "root"),
			Name: rapid.StringMatching(`[ -~äöü☃𝄞]{0,60}`).Draw(r, "name"),
			Size: rapid.Int64Min(0).Draw(r, "size"),
			Time: said, Expires: said.Add(time.Duration(rapid.Int64Range(1, 86400e3).Draw(r, "life")) * time.Millisecond),
		}
		data, err := pubsub.Seal(k, topic, u)
		if err != nil {
			r.Fatal(err)
		}
		got, err := pubsub.NewValidator(topic, 16<<10).Check(data, said)
		if err != nil || got != u {
			r.Fatalf("got %+v, %v\nwant %+v", got, err, u)
		}
	})
}

func TestForgeriesAreRejected(t *testing.T) {
	v := pubsub.NewValidator(topic, 16<<10)
	for _, f := range forgeries(t, noon) {
		t.Run(f.name, func(t *testing.T) {
			switch u, err := v.Check(f.data, noon); {
			case err == nil:
				t.Errorf("accepted as %+v", u)
			case errors.Is(err, pubsub.ErrIgnored):
				t.Errorf("ignored, want rejected: %v", err)
			}
		})
	}
	_, good := sample(t, 1, noon)
	if _, err := v.Check(good, noon); err != nil {
		t.Errorf("the good one, after them: %v", err) // and none of them left a trace
	}
}

func TestEveryFlippedBitIsRejected(t *testing.T) {
	v := pubsub.NewValidator(topic, 16<<10)
	_, good := sample(t, 1, noon)
	for i := range 8 * len(good) {
		bad := slices.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if u, err := v.Check(bad, noon); err == nil || errors.Is(err, pubsub.ErrIgnored) {
			t.Fatalf("bit %d: %+v, %v", i, u, err)
		}
	}
}

func TestEveryCutIsRejected(t *testing.T) {
	v := pubsub.NewValidator(topic, 16<<10)
	_, good := sample(t, 1, noon)
	for n := range good {
		if u, err := v.Check(good[:n], noon); err == nil {
			t.Fatalf("%d bytes: %+v", n, u)
		}
	}
}

func TestOnlyAnEd25519KeyMayPublish(t *testing.T) {
	k, _, err := crypto.GenerateSecp256k1Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pubsub.New(t.Context(), nil, k, pubsub.Config{}); err == nil {
		t.Error("a bus with a secp256k1 key")
	}
}
