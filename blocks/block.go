package blocks

import (
	"errors"
	"fmt"

	"github.com/ipfs/boxo/verifcid"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	mh "github.com/multiformats/go-multihash"
)

// MaxSize is the largest block that is stored or sent, in bytes.
const MaxSize = 2 << 20

// ErrMismatch says that bytes do not hash to the CID they were offered under.
var ErrMismatch = errors.New("blocks: bytes do not match their CID")

// ErrUnfit says that a block is not one that a peer keeps for others: too
// large, hashed with a weak or unknown function, or with its data in its key.
// Of a CID it says that its hash is too weak or too short to check bytes by.
var ErrUnfit = errors.New("blocks: not fit to be held")

// Block is bytes and the CID they hash to. It is immutable: whoever calls
// RawData must not change what it gives. The zero value is no block.
type Block struct {
	c    cid.Cid
	data []byte
}

var _ block.Block = Block{} // the ecosystem's own interface, so that boxo takes ours

// Cid, RawData, String and Loggable make a Block the ecosystem's block.
func (b Block) Cid() cid.Cid             { return b.c }
func (b Block) RawData() []byte          { return b.data }
func (b Block) String() string           { return "[Block " + b.c.String() + "]" }
func (b Block) Loggable() map[string]any { return map[string]any{"block": b.c.String()} }

// Hash is the key under which a [Store] keeps b.
func (b Block) Hash() mh.Multihash { return b.c.Hash() }

// New makes the block of data by hashing it with SHA2-256. The codec is the
// multicodec of the CID: [cid.Raw], [cid.DagProtobuf].
func New(codec uint64, data []byte) Block {
	c, err := cid.V1Builder{Codec: codec, MhType: mh.SHA2_256}.Sum(data)
	if err != nil {
		panic(err) // SHA2-256 is always registered
	}
	return Block{c, data}
}

// Check makes a block of c and data, or answers [ErrMismatch]. It is the one
// function through which every byte from outside this process passes. A CID
// whose hash proves nothing (cut to a few bytes, or of a broken function) would
// let any bytes through, and is [ErrUnfit].
func Check(c cid.Cid, data []byte) (Block, error) {
	if err := verifcid.ValidateCid(verifcid.DefaultAllowlist, c); err != nil {
		return Block{}, fmt.Errorf("%w: %s: %w", ErrUnfit, c, err)
	}
	got, err := c.Prefix().Sum(data)
	if err != nil {
		return Block{}, fmt.Errorf("blocks: sum %s: %w", c, err)
	}
	if !got.Equals(c) {
		return Block{}, fmt.Errorf("%w: want %s, got %s", ErrMismatch, c, got)
	}
	return Block{c, data}, nil
}

// Hashed makes a block of bytes that this process has itself just hashed to c.
// Only blocks/dag (which splits) and blocks/blockstest may call it; a test of
// the house holds them to it.
func Hashed(c cid.Cid, data []byte) Block { return Block{c, data} }

// Stored makes a block of bytes that a store read back whole, under the key that
// they hashed to when they came in. Only blocks/disk, which checks a sum of every
// record, may call it; a test of the house holds it to it.
func Stored(c cid.Cid, data []byte) Block { return Block{c, data} }

// Fit reports whether a block with key h and the given size in bytes may be
// held for others: SHA2-256, SHA2-512, BLAKE3 or BLAKE2b-256 of 32 to 64 bytes,
// minimally encoded, and at most [MaxSize]. It answers [ErrUnfit] with what is wrong.
func Fit(h mh.Multihash, size int) error {
	d, err := mh.Decode(h)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	switch d.Code {
	case mh.SHA2_256, mh.SHA2_512, mh.BLAKE3, mh.BLAKE2B_MIN + 31:
	default:
		return fmt.Errorf("%w: hash function %s", ErrUnfit, mh.Codes[d.Code])
	}
	if d.Length < 32 || d.Length > 64 {
		return fmt.Errorf("%w: digest of %d bytes", ErrUnfit, d.Length)
	}
	if again, err := mh.Encode(d.Digest, d.Code); err != nil || string(again) != string(h) {
		return fmt.Errorf("%w: key is not minimally encoded", ErrUnfit)
	}
	if size < 0 || size > MaxSize {
		return fmt.Errorf("%w: %d bytes, limit %d", ErrUnfit, size, MaxSize)
	}
	return nil
}

// Key is the CID under which a block is asked for when only its multihash is
// known: version 1, codec raw.
func Key(h mh.Multihash) cid.Cid { return cid.NewCidV1(cid.Raw, h) }

// NotFound is the one answer to "no such block". It is the ecosystem's own
// error, so that ipld.IsNotFound and the gateway's 404 hold without a bridge.
func NotFound(c cid.Cid) error { return ipld.ErrNotFound{Cid: c} }

// IsNotFound reports whether err says that a block is not there.
func IsNotFound(err error) bool { return ipld.IsNotFound(err) }
