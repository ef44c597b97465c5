package wire

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// No other block, be it longer, shorter or different in one bit, and no other nonce gives
// the proof of a block, and every proof has all of its 256 bits (invariant 22).
func TestNothingButTheBlockProvesIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		block := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "block")
		nonce := rapid.SliceOfN(rapid.Byte(), nonceSize, nonceSize).Draw(t, "nonce")
		want := Proof(nonce, block)
		if len(want) != 32 || !bytes.Equal(want, Proof(nonce, block)) {
			t.Fatalf("%x", want)
		}
		other := bytes.Clone(block)
		switch rapid.SampledFrom([]string{"bit", "shorter", "longer"}).Draw(t, "other") {
		case "longer":
			other = append(other, rapid.SliceOfN(rapid.Byte(), 1, 70).Draw(t, "more")...)
		case "shorter":
			other = other[:rapid.IntRange(0, max(len(other)-1, 0)).Draw(t, "bytes")]
		default:
			if len(other) > 0 {
				other[rapid.IntRange(0, len(other)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			}
		}
		if !bytes.Equal(other, block) && bytes.Equal(Proof(nonce, other), want) {
			t.Fatal("another block proves it")
		}
		nonce[rapid.IntRange(0, nonceSize-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit of the nonce")
		if bytes.Equal(Proof(nonce, block), want) {
			t.Fatal("the proof of another question serves")
		}
	})
}
