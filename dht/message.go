package dht

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/encoding/protowire"
)

// ViewProtocol is what members tell each other about the network: who they are, who
// is near a key, and whether somebody answers. A stream carries any number of
// exchanges, one request and one answer each. A frame is an unsigned varint length
// and a protobuf message of at most 64 KiB with exactly one of these fields:
//
//	Hello  = 1 { uint32 ver = 1; fixed64 net_id = 2; uint32 flags = 4; uint64 free_bytes = 5; fixed64 incarnation = 6 }
//	Near   = 2 { bytes key = 1; uint32 max = 2 }
//	NearR  = 3 { repeated Member m = 1; uint32 bits = 2; uint32 fresh_ms = 3 }
//	Probe  = 4 { bytes peer = 1 }
//	ProbeR = 5 { uint32 alive = 1 }
//	Member     { bytes id = 1; repeated bytes addrs = 2 }
//
// Hello is answered by Hello: it is a ping too. NearR lists up to max members by
// nearness to key, each with at most 8 addresses in 512 bytes; with fresh_ms it says
// that it leaves out none of those that share the first bits of key, and for how
// long that is known. Probe asks whether a member that both know answers. Both
// sides match exactly: an unknown field is malformed, and ends the stream.
const ViewProtocol protocol.ID = "/cairn/view/1.0.0"

const (
	helloVersion = 1
	maxFrame     = 64 << 10
	maxRequest   = 256 // bytes of a frame that asks
	maxNear      = 64  // members in one answer
	maxAddrs     = 8
	maxMember    = 512 // bytes of one in an answer
	maxID        = 64
)

// Flags are what a peer says of itself.
type Flags uint32

// The flags of a Hello.
const (
	Full     Flags = 1 << iota // it takes no blocks of others
	Draining                   // it is about to stop, and comes back
	Young                      // it has not been up for long
	Leaving                    // it is about to stop for good
)

// Hello is what a peer says of itself when it meets another, and in every ping.
type Hello struct {
	Net         uint64 // of the network's name
	Flags       Flags
	Free        uint64 // bytes it would take; 0 is also "not said"
	Incarnation uint64 // another one after each start
}

// hint is a peer as somebody else names it.
type hint struct {
	id    peer.ID
	addrs []ma.Multiaddr
}

type (
	nearReq struct {
		key keyspace.Key
		max int
	}
	nearAns struct {
		hints []hint
		bits  int
		fresh uint32 // ms; 0: nothing is said of what is left out
	}
	probeReq struct{ peer peer.ID }
	probeAns struct{ alive bool }
)

// message is one of Hello, nearReq, nearAns, probeReq and probeAns.
type message any

const (
	fieldHello = 1 + iota
	fieldNear
	fieldNearAns
	fieldProbe
	fieldProbeAns
)

var errForm = errors.New("dht: malformed message")

// appendMessage appends the frame of m.
func appendMessage(b []byte, m message) []byte {
	var body []byte
	num := protowire.Number(0)
	uint32s := func(b []byte, n protowire.Number, v uint64) []byte {
		if v == 0 {
			return b
		}
		return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
	}
	fixed := func(b []byte, n protowire.Number, v uint64) []byte {
		return protowire.AppendFixed64(protowire.AppendTag(b, n, protowire.Fixed64Type), v)
	}
	bytes := func(b []byte, n protowire.Number, v []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
	}
	switch m := m.(type) {
	case Hello:
		num = fieldHello
		body = fixed(uint32s(body, 1, helloVersion), 2, m.Net)
		body = fixed(uint32s(uint32s(body, 4, uint64(m.Flags)), 5, m.Free), 6, m.Incarnation)
	case nearReq:
		num = fieldNear
		body = uint32s(bytes(body, 1, m.key[:]), 2, uint64(m.max))
	case nearAns:
		num = fieldNearAns
		for _, h := range m.hints {
			one := bytes(nil, 1, []byte(h.id))
			for i, a := range h.addrs {
				if i < maxAddrs && len(one)+len(a.Bytes())+3 <= maxMember {
					one = bytes(one, 2, a.Bytes())
				}
			}
			body = bytes(body, 1, one)
		}
		body = uint32s(uint32s(body, 2, uint64(m.bits)), 3, uint64(m.fresh))
	case probeReq:
		num = fieldProbe
		body = bytes(body, 1, []byte(m.peer))
	case probeAns:
		num = fieldProbeAns
		if m.alive {
			body = uint32s(body, 1, 1)
		}
	}
	body = bytes(nil, num, body)
	return append(binary.AppendUvarint(b, uint64(len(body))), body...)
}

// readMessage reads a frame of at most limit bytes; memory grows only with what comes.
func readMessage(r *bufio.Reader, limit int) (message, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, fmt.Errorf("dht: length: %w", err)
	}
	if n > uint64(limit) {
		return nil, fmt.Errorf("%w: length %d, limit %d", errForm, n, limit)
	}
	data, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && uint64(len(data)) < n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("dht: message: %w", err)
	}
	m, err := parseMessage(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errForm, err)
	}
	return m, nil
}

func parseMessage(data []byte) (m message, err error) {
	count := 0
	err = fields(data, "bbbbb", func(n protowire.Number, f field) (err error) {
		if count++; count > 1 {
			return errors.New("two messages in one")
		}
		switch n {
		case fieldHello:
			m, err = parseHello(f.bytes)
		case fieldNear:
			m, err = parseNear(f.bytes)
		case fieldNearAns:
			m, err = parseNearAns(f.bytes)
		case fieldProbe:
			var q probeReq
			err = fields(f.bytes, "b", func(_ protowire.Number, f field) (err error) {
				q.peer, err = parseID(f.bytes)
				return err
			})
			if err == nil && q.peer == "" {
				err = errors.New("a probe of nobody")
			}
			m = q
		case fieldProbeAns:
			var a probeAns
			err = fields(f.bytes, "v", func(_ protowire.Number, f field) error {
				if f.num > 1 {
					return errField
				}
				a.alive = f.num == 1
				return nil
			})
			m = a
		}
		return err
	})
	if err == nil && m == nil {
		err = errors.New("empty")
	}
	return m, err
}

func parseHello(data []byte) (h Hello, err error) {
	version := uint64(0)
	err = fields(data, "vf-vvf", func(n protowire.Number, f field) error {
		switch n {
		case 1:
			version = f.num
		case 2:
			h.Net = f.num
		case 4:
			if f.num > 1<<32-1 {
				return errField
			}
			h.Flags = Flags(f.num)
		case 5:
			h.Free = f.num
		case 6:
			h.Incarnation = f.num
		}
		return nil
	})
	if err == nil && version != helloVersion {
		err = fmt.Errorf("version %d", version)
	}
	return h, err
}

func parseNear(data []byte) (q nearReq, err error) {
	there := false
	err = fields(data, "bv", func(n protowire.Number, f field) error {
		switch {
		case n == 1 && len(f.bytes) == len(q.key):
			copy(q.key[:], f.bytes)
			there = true
		case n == 2 && f.num <= maxNear:
			q.max = int(f.num)
		default:
			return errField
		}
		return nil
	})
	if err == nil && !there {
		err = errors.New("no key")
	}
	return q, err
}

func parseNearAns(data []byte) (a nearAns, err error) {
	err = fields(data, "bvv", func(n protowire.Number, f field) error {
		switch {
		case n == 1:
			if len(a.hints) == maxNear || len(f.bytes) > maxMember {
				return errField
			}
			h, err := parseHint(f.bytes)
			a.hints = append(a.hints, h)
			return err
		case n == 2 && f.num <= 256:
			a.bits = int(f.num)
		case n == 3 && f.num <= 1<<32-1:
			a.fresh = uint32(f.num)
		default:
			return errField
		}
		return nil
	})
	return a, err
}

func parseHint(data []byte) (h hint, err error) {
	err = fields(data, "bb", func(n protowire.Number, f field) error {
		switch {
		case n == 1:
			id, err := parseID(f.bytes)
			h.id = id
			return err
		case n == 2 && len(h.addrs) < maxAddrs:
			a, err := ma.NewMultiaddrBytes(f.bytes)
			h.addrs = append(h.addrs, a)
			return err
		}
		return errField
	})
	if err == nil && h.id == "" {
		err = errors.New("a member without an id")
	}
	return h, err
}

func parseID(b []byte) (peer.ID, error) {
	if len(b) > maxID {
		return "", errField
	}
	return peer.IDFromBytes(b)
}

// field is a field's value: bytes, or a number.
type field struct {
	bytes []byte
	num   uint64
}

var errField = errors.New("a field that does not belong there, or its value")

// fields goes through a message. types says what its fields are, from the first on:
// v varint, f fixed64, b bytes, - none.
func fields(data []byte, types string, each func(protowire.Number, field) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if int(num) > len(types) {
			return errField
		}
		var f field
		switch kind := types[num-1]; {
		case kind == 'v' && typ == protowire.VarintType:
			f.num, n = protowire.ConsumeVarint(data)
		case kind == 'f' && typ == protowire.Fixed64Type:
			f.num, n = protowire.ConsumeFixed64(data)
		case kind == 'b' && typ == protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(data)
		default:
			return errField
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if err := each(num, f); err != nil {
			return err
		}
	}
	return nil
}
