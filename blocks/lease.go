package blocks

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"google.golang.org/protobuf/encoding/protowire"
)

// The limits of a lease.
const (
	MaxReplicas  = 20                   // copies a lease may ask for
	MaxLeaseTime = 400 * 24 * time.Hour // from issue to expiry
	MinLeaseTime = time.Minute          // that may be asked for
	MaxLeaseSize = 1 << 10              // bytes of an encoded lease
	MaxSkew      = time.Hour            // how far a publisher's clock may be ahead of ours
)

// ErrBadLease says that a lease is malformed, forged, not yet valid or expired.
var ErrBadLease = errors.New("blocks: bad lease")

// leaseDomain keeps a lease's signature from being good for anything else.
const leaseDomain = "cairn/lease/1"

// LeaseState says whether a lease stands.
type LeaseState uint8

// The states of a lease.
const (
	LeaseActive  LeaseState = 0
	LeaseRevoked LeaseState = 1
)

// LeaseID names a lease: SHA2-256 of the domain, the publisher and the root, so
// that a renewal has the id of what it renews.
type LeaseID [sha256.Size]byte

// LeaseIDOf is the id of publisher's lease of root.
func LeaseIDOf(publisher peer.ID, root cid.Cid) LeaseID {
	return Lease{Publisher: publisher, Root: root}.ID()
}

// Key is where the record of the lease belongs: the id as a multihash.
func (id LeaseID) Key() mh.Multihash {
	return append(mh.Multihash{mh.SHA2_256, byte(len(id))}, id[:]...)
}

func (id LeaseID) String() string               { return hex.EncodeToString(id[:]) }
func (id LeaseID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *LeaseID) UnmarshalText(text []byte) error {
	if len(text) != 2*len(id) {
		return fmt.Errorf("blocks: lease id of %d digits, want %d", len(text), 2*len(id))
	}
	_, err := hex.Decode(id[:], text)
	return err
}

// Lease is a publisher's signed, expiring right to R copies of the blocks under
// a root, on R peers other than the publisher. It is made by [Grant] and
// [ParseLease] only, both of which leave it signed; who takes one from a stranger
// calls [Lease.Valid].
type Lease struct {
	Publisher peer.ID // an Ed25519 identity: its key is in its id
	Root      cid.Cid
	Seq       uint64 // of two leases with one id the higher stands
	Issued    time.Time
	Expires   time.Time
	Bytes     uint64 // of all blocks under the root
	R         int    // copies, 1 to MaxReplicas
	State     LeaseState

	sig []byte
}

// Grant signs l with the publisher's key and fills in Publisher.
func Grant(key crypto.PrivKey, l Lease) (Lease, error) {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return Lease{}, fmt.Errorf("blocks: lease: %w", err)
	}
	l.Publisher = id
	if l.sig, err = key.Sign(l.signed()); err != nil {
		return Lease{}, fmt.Errorf("blocks: sign lease: %w", err)
	}
	return l, nil
}

// ID names l.
func (l Lease) ID() LeaseID {
	h := sha256.New()
	h.Write([]byte(leaseDomain))
	h.Write([]byte(l.Publisher))
	h.Write(l.Root.Bytes())
	return LeaseID(h.Sum(nil))
}

// Valid answers nil or an [ErrBadLease] that says why l does not stand at now.
func (l Lease) Valid(now time.Time) error {
	if l.State == LeaseRevoked {
		return fmt.Errorf("%w: revoked", ErrBadLease)
	}
	return l.Genuine(now)
}

// Genuine is [Lease.Valid] for who wants to know of a revocation too: l is its
// publisher's word at now, whether that is that it stands or that it does not.
func (l Lease) Genuine(now time.Time) error {
	switch {
	case l.R < 1 || l.R > MaxReplicas:
		return fmt.Errorf("%w: %d copies, limit %d", ErrBadLease, l.R, MaxReplicas)
	case l.State > LeaseRevoked:
		return fmt.Errorf("%w: state %d is not known", ErrBadLease, l.State)
	case !l.Expires.After(now):
		return fmt.Errorf("%w: expired %s", ErrBadLease, l.Expires.UTC().Format(time.RFC3339))
	case l.Issued.After(now.Add(MaxSkew)):
		return fmt.Errorf("%w: issued in the future, %s: one of two clocks is wrong", ErrBadLease, l.Issued.UTC().Format(time.RFC3339))
	case l.Expires.Sub(l.Issued) > MaxLeaseTime:
		return fmt.Errorf("%w: longer than %s", ErrBadLease, MaxLeaseTime)
	}
	key, err := l.Publisher.ExtractPublicKey()
	if err != nil {
		return fmt.Errorf("%w: publisher %s: %w", ErrBadLease, l.Publisher, err)
	}
	if ok, err := key.Verify(l.signed(), l.sig); err != nil || !ok {
		return fmt.Errorf("%w: signature does not match", ErrBadLease)
	}
	return nil
}

// Standing gives those of ls that are active and have not run out at now. It
// does not check signatures again: that was done when they came in.
func Standing(ls []Lease, now time.Time) (out []Lease) {
	for _, l := range ls {
		if l.State == LeaseActive && l.Expires.After(now) {
			out = append(out, l)
		}
	}
	return out
}

// Lapsed reports whether l gives no right to anything any more, also for who has a
// clock that is behind ours by as much as [MaxSkew].
func (l Lease) Lapsed(now time.Time) bool {
	return l.State != LeaseActive || !l.Expires.Add(MaxSkew).After(now)
}

// Governing picks the lease that decides over a block held under several: most
// copies, then the latest expiry, then the lowest id; every peer picks the same.
// It answers false for none.
func Governing(ls []Lease) (Lease, bool) {
	if len(ls) == 0 {
		return Lease{}, false
	}
	return slices.MinFunc(ls, func(a, b Lease) int {
		ia, ib := a.ID(), b.ID()
		return cmp.Or(cmp.Compare(b.R, a.R), b.Expires.Compare(a.Expires), slices.Compare(ia[:], ib[:]))
	}), true
}

// The fields of an encoded lease, protobuf wire format in this order.
const (
	fieldPublisher = iota + 1
	fieldRoot
	fieldSeq
	fieldIssued  // Unix seconds
	fieldExpires // Unix seconds
	fieldBytes
	fieldR
	fieldState
	fieldSig = 15
)

func (l Lease) body() []byte {
	b := make([]byte, 0, 192)
	b = protowire.AppendTag(b, fieldPublisher, protowire.BytesType)
	b = protowire.AppendBytes(b, []byte(l.Publisher))
	b = protowire.AppendTag(b, fieldRoot, protowire.BytesType)
	b = protowire.AppendBytes(b, l.Root.Bytes())
	for i, v := range []uint64{l.Seq, uint64(l.Issued.Unix()), uint64(l.Expires.Unix()), l.Bytes, uint64(l.R), uint64(l.State)} {
		b = protowire.AppendTag(b, protowire.Number(fieldSeq+i), protowire.VarintType)
		b = protowire.AppendVarint(b, v)
	}
	return b
}

func (l Lease) signed() []byte { return append([]byte(leaseDomain), l.body()...) }

// Marshal encodes l with its signature.
func (l Lease) Marshal() []byte {
	b := protowire.AppendTag(l.body(), fieldSig, protowire.BytesType)
	return protowire.AppendBytes(b, l.sig)
}

// ParseLease decodes what [Lease.Marshal] wrote, and only that: any other
// encoding of the same lease is an [ErrBadLease]. It does not call Valid.
func ParseLease(data []byte) (Lease, error) {
	l, err := parseLease(data)
	if err != nil {
		return Lease{}, fmt.Errorf("%w: %w", ErrBadLease, err)
	}
	if string(l.Marshal()) != string(data) {
		return Lease{}, fmt.Errorf("%w: not in canonical form", ErrBadLease)
	}
	return l, nil
}

func parseLease(data []byte) (l Lease, err error) {
	if len(data) > MaxLeaseSize {
		return l, fmt.Errorf("%d bytes, limit %d", len(data), MaxLeaseSize)
	}
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return l, protowire.ParseError(n)
		}
		data = data[n:]
		switch typ {
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(data)
			if n < 0 {
				return l, protowire.ParseError(n)
			}
			data = data[n:]
			switch num {
			case fieldPublisher:
				l.Publisher, err = peer.IDFromBytes(v)
			case fieldRoot:
				l.Root, err = cid.Cast(v)
			case fieldSig:
				l.sig = slices.Clone(v)
			default:
				err = fmt.Errorf("unknown field %d", num)
			}
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(data)
			if n < 0 {
				return l, protowire.ParseError(n)
			}
			data = data[n:]
			err = l.setVarint(num, v)
		default:
			err = fmt.Errorf("field %d has wire type %d", num, typ)
		}
		if err != nil {
			return l, err
		}
	}
	if l.Publisher == "" || !l.Root.Defined() {
		return l, errors.New("no publisher or no root")
	}
	return l, nil
}

func (l *Lease) setVarint(num protowire.Number, v uint64) error {
	const farFuture = 1 << 40 // seconds: beyond any date a time.Time prints
	switch num {
	case fieldSeq:
		l.Seq = v
	case fieldIssued, fieldExpires:
		if v > farFuture {
			return fmt.Errorf("field %d is no date", num)
		}
		if num == fieldIssued {
			l.Issued = time.Unix(int64(v), 0)
		} else {
			l.Expires = time.Unix(int64(v), 0)
		}
	case fieldBytes:
		l.Bytes = v
	case fieldR:
		l.R = int(min(v, MaxReplicas+1))
	case fieldState:
		l.State = LeaseState(min(v, 255))
	default:
		return fmt.Errorf("unknown field %d", num)
	}
	return nil
}
