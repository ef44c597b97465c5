package pubsub

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/crypto/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protowire"
)

// The limits of an update. They are part of the protocol.
const (
	MaxRoot = 255            // bytes of Root
	MaxName = 255            // bytes of Name
	MaxLife = 24 * time.Hour // from Time to Expires
)

const (
	domain      = "cairn/update/1" // keeps the signature from being good for anything else
	maxMillis   = 253402300799999  // the last millisecond of the year 9999
	sigSize     = 64               // bytes of an Ed25519 signature
	envelopeLen = 192              // bytes: what an envelope takes besides root and name, rounded up
)

// ErrBadUpdate says that an update breaks a limit or its envelope is malformed
// or forged.
var ErrBadUpdate = errors.New("pubsub: bad update")

// Update says that a peer has put something.
type Update struct {
	From    peer.ID   // who signed it
	Seq     uint64    // grows with every update of From
	Root    string    // what was put
	Name    string    // what From calls it; may be empty
	Size    int64     // bytes under Root
	Time    time.Time // when From said it, by its own clock, to the millisecond
	Expires time.Time // when it is no longer worth hearing
}

// fit answers nil or says which limit u breaks. It asks nothing that two peers
// could answer differently.
func (u Update) fit() error {
	switch life := u.Expires.Sub(u.Time); {
	case u.Root == "" || len(u.Root) > MaxRoot:
		return fmt.Errorf("root of %d bytes, want 1 to %d", len(u.Root), MaxRoot)
	case strings.ContainsFunc(u.Root, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("root is not printable ASCII")
	case len(u.Name) > MaxName:
		return fmt.Errorf("name of %d bytes, limit %d", len(u.Name), MaxName)
	case !utf8.ValidString(u.Name):
		return errors.New("name is not UTF-8")
	case strings.ContainsFunc(u.Name, unicode.IsControl):
		return errors.New("name has a control character")
	case u.Size < 0:
		return fmt.Errorf("size of %d bytes", u.Size)
	case life <= 0 || life > MaxLife:
		return fmt.Errorf("life of %s, limit %s", life, MaxLife)
	}
	return nil
}

// The fields of an envelope, in order.
const (
	fieldFrom = iota + 1
	fieldSeq
	fieldRoot
	fieldName
	fieldSize
	fieldTime
	fieldExpires
	fieldSig = 15
)

func (u Update) body() []byte {
	b := make([]byte, 0, envelopeLen+len(u.Root)+len(u.Name))
	b = appendBytes(b, fieldFrom, string(u.From))
	b = appendVarint(b, fieldSeq, u.Seq)
	b = appendBytes(b, fieldRoot, u.Root)
	b = appendBytes(b, fieldName, u.Name)
	b = appendVarint(b, fieldSize, uint64(u.Size))
	b = appendVarint(b, fieldTime, uint64(u.Time.UnixMilli()))
	return appendVarint(b, fieldExpires, uint64(u.Expires.UnixMilli()))
}

func appendBytes(b []byte, num protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func appendVarint(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

// signed is what the author of a body signs.
func signed(topic string, body []byte) []byte {
	return append([]byte(domain+topic), body...)
}

// seal encodes and signs u. The key must be that of u.From.
func seal(key crypto.PrivKey, topic string, u Update) ([]byte, error) {
	body := u.body()
	sig, err := key.Sign(signed(topic, body))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return appendBytes(body, fieldSig, string(sig)), nil
}

// unseal decodes what seal wrote, and only that: one sequence of bytes for one
// update, within its limits, signed by its author for topic. It is total.
func unseal(topic string, data []byte) (Update, error) {
	s := scanner{rest: data}
	u := Update{
		From:    peer.ID(s.bytes(fieldFrom)),
		Seq:     s.varint(fieldSeq, math.MaxUint64),
		Root:    string(s.bytes(fieldRoot)),
		Name:    string(s.bytes(fieldName)),
		Size:    int64(s.varint(fieldSize, math.MaxInt64)),
		Time:    time.UnixMilli(int64(s.varint(fieldTime, maxMillis))).UTC(),
		Expires: time.UnixMilli(int64(s.varint(fieldExpires, maxMillis))).UTC(),
	}
	sig := s.bytes(fieldSig)
	if s.err != nil {
		return Update{}, s.err
	}
	body := u.body()
	switch {
	case len(sig) != sigSize:
		return Update{}, fmt.Errorf("signature of %d bytes", len(sig))
	case string(appendBytes(body, fieldSig, string(sig))) != string(data):
		return Update{}, errors.New("not in canonical form")
	}
	if err := u.fit(); err != nil {
		return Update{}, err
	}
	key, err := authorKey(u.From)
	if err != nil {
		return Update{}, fmt.Errorf("author: %w", err)
	}
	if ok, err := key.Verify(signed(topic, body), sig); err != nil || !ok {
		return Update{}, errors.New("signature does not match")
	}
	return u, nil
}

// authorKey takes the Ed25519 key out of a peer id. A key has exactly one id, so
// that nobody is two authors by writing his key in two ways.
func authorKey(id peer.ID) (crypto.PubKey, error) {
	key, err := id.ExtractPublicKey()
	if err != nil {
		return nil, err
	}
	if key.Type() != pb.KeyType_Ed25519 {
		return nil, fmt.Errorf("key of type %s, want Ed25519", key.Type())
	}
	if again, err := peer.IDFromPublicKey(key); err != nil || again != id {
		return nil, errors.New("not the id of its key")
	}
	return key, nil
}

// scanner reads fields in order and keeps the first error.
type scanner struct {
	rest []byte
	err  error
}

func (s *scanner) tag(want protowire.Number, typ protowire.Type) bool {
	if s.err != nil {
		return false
	}
	num, t, n := protowire.ConsumeTag(s.rest)
	if n < 0 || num != want || t != typ {
		s.err = fmt.Errorf("no field %d where it should be", want)
		return false
	}
	s.rest = s.rest[n:]
	return true
}

func (s *scanner) bytes(num protowire.Number) []byte {
	if !s.tag(num, protowire.BytesType) {
		return nil
	}
	v, n := protowire.ConsumeBytes(s.rest)
	if n < 0 {
		s.err = fmt.Errorf("field %d: %w", num, protowire.ParseError(n))
		return nil
	}
	s.rest = s.rest[n:]
	return v
}

func (s *scanner) varint(num protowire.Number, most uint64) uint64 {
	if !s.tag(num, protowire.VarintType) {
		return 0
	}
	v, n := protowire.ConsumeVarint(s.rest)
	if n < 0 {
		s.err = fmt.Errorf("field %d: %w", num, protowire.ParseError(n))
		return 0
	}
	if v > most {
		s.err = fmt.Errorf("field %d is %d, limit %d", num, v, most)
		return 0
	}
	s.rest = s.rest[n:]
	return v
}
