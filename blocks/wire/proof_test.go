package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"testing"
)

// The proof of a known block, and its cheat: who keeps only the state of a hash over the
// block, some 100 bytes, and forgets the block, could answer if the nonce came last. As it
// comes first, no state can be kept before it is known.
func TestAKeptHashStateProvesNothing(t *testing.T) {
	block, nonce := bytes.Repeat([]byte("block"), 10_000), bytes.Repeat([]byte{7}, nonceSize)
	const want = "2b7e9f0e90b1e224a146a2e3930f31848681f2dd85d4ad5cfe7ccea784e1b948"
	if got := hex.EncodeToString(Proof(nonce, block)); got != want {
		t.Errorf("proof %s, want %s", got, want)
	}
	h := sha256.New()
	h.Write(block)
	state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	block = nil // it is gone
	cheat := sha256.New()
	if err := cheat.(encoding.BinaryUnmarshaler).UnmarshalBinary(state); err != nil {
		t.Fatal(err)
	}
	cheat.Write(nonce)
	forged := cheat.Sum(nil)
	block = bytes.Repeat([]byte("block"), 10_000)
	if last := sha256.Sum256(append(bytes.Clone(block), nonce...)); !bytes.Equal(forged, last[:]) {
		t.Fatal("the cheat does not work where the nonce comes last: it shows nothing")
	}
	if bytes.Equal(forged, Proof(nonce, block)) || bytes.Equal(Proof(nonce, block), Proof(append(bytes.Clone(nonce[:31]), 8), block)) {
		t.Error("the cheat works")
	}
}
