package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	mh "github.com/multiformats/go-multihash"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// samples is one of each message, with every field set.
func samples(tb testing.TB) map[string]message {
	tb.Helper()
	h, err := mh.Sum([]byte("hello"), mh.SHA2_256, -1)
	if err != nil {
		tb.Fatal(err)
	}
	id, err := peer.Decode("12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN")
	if err != nil {
		tb.Fatal(err)
	}
	near := []peer.AddrInfo{{ID: id, Addrs: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/4101")}}}
	return map[string]message{
		"offer": &offer{items: []item{{hash: h, size: 5, flags: flagFanout | flagUrgent, copys: 3}, {hash: h, size: 300, kind: 1}},
			ids: [][]byte{bytes.Repeat([]byte{7}, 32)}, record: []byte("record"), reason: uint32(Repair)},
		"want":       &want{bitmap: []byte{1}, credit: 16 << 20, deny: []deny{{idx: 1, status: uint32(NotResponsible), closer: near}}},
		"want_begun": &want{bitmap: []byte{6}, credit: 16 << 20, begun: []begun{{1, 4096}, {2, 1 << 20}}},
		"data":       &data{idx: 3, size: 1 << 20},
		"ack":        &ack{idx: 3, status: uint32(Stored), class: 1, peer: []byte(id)},
		"credit":     &credit{1 << 20},
		"get":        &get{items: []item{{hash: h}}, credit: 2 << 20},
		"miss":       &miss{idx: 2, closer: near},
		"cancel":     &cancel{7},
		"have":       &have{keys: []mh.Multihash{h, h}, nonce: bytes.Repeat([]byte{9}, nonceSize), prove: []uint32{0, 1}},
		"have_r":     &haveR{here: []byte{3}, proofs: [][]byte{bytes.Repeat([]byte{1}, proofSize), {}}, held: []byte{1}},
		"busy":       &busy{1000},
		"leases":     &leases{h},
		"leases_r":   &leasesR{[][]byte{[]byte("record")}},
		"part":       &part{[]byte("a part"), 1},
		"naming":     &naming{[][]byte{bytes.Repeat([]byte{5}, nameSize)}},
		"named":      &named{[]mh.Multihash{h, nil}},

		"put_record": &putRecord{kind: 1, key: h, value: []byte("value")},
		"get_record": &getRecord{kind: 1, key: h},
		"record":     &record{status: uint32(Have), value: []byte("value")},
	}
}

// Every message is these bytes: changed ones are another protocol.
func TestMessagesAreTheirGoldenBytes(t *testing.T) {
	all := samples(t)
	for num := 1; num <= 16; num++ {
		found := false
		for _, m := range all {
			found = found || int(m.number()) == num
		}
		if !found {
			t.Errorf("message %d has no sample", num)
		}
	}
	for name, m := range all {
		file := filepath.Join("testdata", name+".hex")
		got := hex.EncodeToString(encode(nil, m)) + "\n"
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\ngot  %swant %s", name, got, want)
		}
		frame, err := hex.DecodeString(strings.TrimSpace(string(want)))
		if err != nil {
			t.Fatal(err)
		}
		back, err := decode(frame)
		if err != nil || !bytes.Equal(encode(nil, back), frame) {
			t.Errorf("%s does not come back: %v", name, err)
		}
	}
}

// Another encoding of a message, or one out of bounds, is malformed.
func TestOtherEncodingsAreMalformed(t *testing.T) {
	good := encode(nil, &credit{5}) // 2a 02 08 05
	all := samples(t)
	h, near := all["leases"].(*leases).key, all["miss"].(*miss).closer
	for name, frame := range map[string][]byte{
		"nothing":                    {},
		"unknown message":            {0xfa, 0x01, 0x00},
		"cut short":                  good[:3],
		"something after it":         append(bytes.Clone(good), 0),
		"a zero written out":         {0x2a, 0x02, 0x08, 0x00},
		"a long varint":              {0x2a, 0x03, 0x08, 0x85, 0x00},
		"a field twice":              {0x2a, 0x04, 0x08, 0x05, 0x08, 0x05},
		"an unknown field":           {0x2a, 0x04, 0x08, 0x05, 0x10, 0x05},
		"bytes for a number":         {0x2a, 0x02, 0x0a, 0x00},
		"data of 2 MiB and 1":        encode(nil, &data{size: 2<<20 + 1}),
		"an idx of 33 bits":          {0x42, 0x06, 0x08, 0x80, 0x80, 0x80, 0x80, 0x10},
		"a key of 69 bytes":          encode(nil, &leases{append(mh.Multihash{0x13, 67}, make([]byte, 67)...)}),
		"a key that is no key":       encode(nil, &leases{mh.Multihash("no key")}),
		"513 items":                  encode(nil, &get{items: slices.Repeat([]item{{hash: h}}, Batch+1)}),
		"a proof of no key":          encode(nil, &have{prove: []uint32{0}}),
		"17 leases":                  encode(nil, &leasesR{slices.Repeat([][]byte{{1}}, maxLeases+1)}),
		"a part of 60 KiB and 1":     encode(nil, &part{make([]byte, partSize+1), 0}),
		"two more parts":             encode(nil, &part{[]byte{1}, 2}),
		"a name of 31 bytes":         encode(nil, &naming{[][]byte{make([]byte, 31)}}),
		"513 names":                  encode(nil, &naming{slices.Repeat([][]byte{make([]byte, 32)}, Batch+1)}),
		"a named one that is no key": encode(nil, &named{[]mh.Multihash{{1}}}),
		"a record of 10 KiB and 1":   encode(nil, &putRecord{kind: 1, key: h, value: make([]byte, blocks.MaxRecord+1)}),
		"a record of kind 256":       encode(nil, &putRecord{kind: 256, key: h, value: []byte{1}}),
		"a record under no key":      encode(nil, &getRecord{kind: 1, key: mh.Multihash("no key")}),
		"an answer of 10 KiB and 1":  encode(nil, &record{status: 2, value: make([]byte, blocks.MaxRecord+1)}),
		"513 begun":                  encode(nil, &want{begun: slices.Repeat([]begun{{1, 1}}, Batch+1)}),
		"9 members":                  encode(nil, &miss{closer: slices.Repeat(near, maxCloser+1)}),
	} {
		if m, err := decode(frame); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// What is decoded encodes to the same bytes, or is refused.
func FuzzDecode(f *testing.F) {
	for _, m := range samples(f) {
		f.Add(encode(nil, m))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > maxFrame {
			return
		}
		m, err := decode(frame)
		if err == nil && !bytes.Equal(encode(nil, m), frame) {
			t.Fatalf("%x became %x", frame, encode(nil, m))
		}
	})
}
