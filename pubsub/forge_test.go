package pubsub_test

import (
	"bytes"
	"crypto/rand"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/cairn-network/cairn/pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"google.golang.org/protobuf/encoding/protowire"
)

// forgery is a message that no peer may accept.
type forgery struct {
	name string
	data []byte
}

// forgeries are made of one good update, said at now by key 1. Key 2 is the forger's.
func forgeries(t testing.TB, now time.Time) []forgery {
	t.Helper()
	good, data := sample(t, 1, now)
	body, sig := good.Body(), data[len(good.Body())+2:]
	k2, id2 := key(t, 2)

	// changed is good with one thing changed and the old signature.
	changed := func(change func(*pubsub.Update)) []byte {
		u := good
		change(&u)
		return envelope(u.Body(), sig)
	}
	// resigned is what its author has signed himself, against the rules.
	resigned := func(change func(*pubsub.Update)) []byte {
		u := good
		change(&u)
		return seal(t, 1, topic, u)
	}
	// foreign is well signed by a key that is no Ed25519 key inside its id.
	foreign := func(typ int) []byte {
		k, _, err := crypto.GenerateKeyPairWithReader(typ, 2048, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		u := good
		if u.From, err = peer.IDFromPrivateKey(k); err != nil {
			t.Fatal(err)
		}
		out, err := pubsub.Seal(k, topic, u)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	flipped := slices.Clone(sig)
	flipped[10] ^= 1
	noDomain, err := k2.Sign(append([]byte(topic), body...))
	if err != nil {
		t.Fatal(err)
	}
	fields := split(t, data)

	return []forgery{
		{"nothing", nil},
		{"noise", bytes.Repeat([]byte{0xff}, 100)},
		{"another root", changed(func(u *pubsub.Update) { u.Root = "bafyother" })},
		{"another name", changed(func(u *pubsub.Update) { u.Name = "other" })},
		{"another size", changed(func(u *pubsub.Update) { u.Size++ })},
		{"raised sequence", changed(func(u *pubsub.Update) { u.Seq++ })},
		{"longer life", changed(func(u *pubsub.Update) { u.Expires = u.Expires.Add(time.Hour) })},
		{"swapped author", changed(func(u *pubsub.Update) { u.From = id2 })},
		{"signed by another", seal(t, 2, topic, good)},
		{"signed for another network", seal(t, 1, pubsub.Topic("other"), good)},
		{"signed without the domain", envelope(changed(func(u *pubsub.Update) { u.From = id2 })[:len(body)], noDomain)},
		{"stripped signature", body},
		{"empty signature", envelope(body, nil)},
		{"short signature", envelope(body, sig[:63])},
		{"flipped signature", envelope(body, flipped)},
		{"signature plus the group order", envelope(body, plusOrder(sig))},
		{"cut off", data[:len(data)-1]},
		{"trailing byte", append(slices.Clone(data), 0)},
		{"unknown field", protowire.AppendVarint(protowire.AppendTag(slices.Clone(data), 16, protowire.VarintType), 1)},
		{"padded varint", bytes.Replace(data, append([]byte{5 << 3}, protowire.AppendVarint(nil, 12345)...), []byte{5 << 3, 0xb9, 0xe0, 0x80, 0}, 1)},
		{"fields out of order", slices.Concat(append([][]byte{fields[1], fields[0]}, fields[2:]...)...)},
		{"field twice", slices.Concat(append([][]byte{fields[0]}, fields...)...)},
		{"field left out", slices.Concat(slices.Delete(slices.Clone(fields), 3, 4)...)},
		{"secp256k1 author", foreign(crypto.Secp256k1)},
		{"RSA author", foreign(crypto.RSA)},
		{"key written in another way", aliased(t, good)},
		{"oversize", append(slices.Clone(data), make([]byte, 17<<10)...)},
		{"no root", resigned(func(u *pubsub.Update) { u.Root = "" })},
		{"long root", resigned(func(u *pubsub.Update) { u.Root = string(bytes.Repeat([]byte{'b'}, 256)) })},
		{"root with a space", resigned(func(u *pubsub.Update) { u.Root = "a b" })},
		{"root that is not ASCII", resigned(func(u *pubsub.Update) { u.Root = "ä" })},
		{"long name", resigned(func(u *pubsub.Update) { u.Name = string(bytes.Repeat([]byte{'n'}, 256)) })},
		{"name with an escape", resigned(func(u *pubsub.Update) { u.Name = "\x1b]0;pwn\a" })},
		{"name that is not UTF-8", resigned(func(u *pubsub.Update) { u.Name = "\xff" })},
		{"negative size", resigned(func(u *pubsub.Update) { u.Size = -1 })},
		{"no life", resigned(func(u *pubsub.Update) { u.Expires = u.Time })},
		{"life of more than a day", resigned(func(u *pubsub.Update) { u.Expires = u.Time.Add(pubsub.MaxLife + time.Millisecond) })},
		{"year 10000", resigned(func(u *pubsub.Update) { u.Expires = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) })},
	}
}

func envelope(body, sig []byte) []byte {
	b := protowire.AppendTag(slices.Clone(body), 15, protowire.BytesType)
	return protowire.AppendBytes(b, sig)
}

// split parts an envelope into its fields.
func split(t testing.TB, data []byte) (fields [][]byte) {
	t.Helper()
	for len(data) > 0 {
		_, _, n := protowire.ConsumeField(data)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		fields, data = append(fields, data[:n]), data[n:]
	}
	return fields
}

// plusOrder adds the order of the group to the scalar of a signature, which
// leaves the equation true.
func plusOrder(sig []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := slices.Clone(sig[32:])
	slices.Reverse(s)
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(sum)
	return slices.Concat(sig[:32], sum)
}

// aliased is u by key 2, under an id that spells the key with an unknown field more.
func aliased(t testing.TB, u pubsub.Update) []byte {
	t.Helper()
	k, id := key(t, 2)
	h, err := mh.Decode([]byte(id))
	if err != nil {
		t.Fatal(err)
	}
	spelt := protowire.AppendVarint(protowire.AppendTag(slices.Clone(h.Digest), 9, protowire.VarintType), 1)
	sum, err := mh.Sum(spelt, mh.IDENTITY, -1)
	if err != nil {
		t.Fatal(err)
	}
	u.From = peer.ID(sum)
	if again, err := u.From.ExtractPublicKey(); err != nil || !again.Equals(k.GetPublic()) {
		t.Fatalf("the alias does not hold the key: %v", err)
	}
	data, err := pubsub.Seal(k, topic, u)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
