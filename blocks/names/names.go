// Package names says what the record of a name is: an IPNS record, as the whole IPFS
// world signs and checks it, in the form in which its keepers hold it.
//
//	name, record → Pack → blocks.Record → Valid (on every peer) → Open → name, record
//
// The key of the record is the SHA2-256 of "/ipns/" and the bytes of the name, so that it
// lies anywhere in the keyspace. The value is
//
//	uvarint  bytes of the name
//	bytes    the name: the peer id of its key
//	bytes    the IPNS record, in protobuf
//
// because the record of an Ed25519 name does not hold the key it is signed by: the name
// does. [Valid] answers for a value that the name's key has signed and that has not
// expired; it never panics, whatever the bytes. Nothing here asks anybody or keeps
// anything, and no goroutine is started.
package names

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/ipns"
	mh "github.com/multiformats/go-multihash"
)

// maxName is the limit of a name in bytes: a key that is inlined, or its hash.
const maxName = 64

// Key is where the record of a name is kept.
func Key(n ipns.Name) mh.Multihash {
	h, err := mh.Sum(n.RoutingKey(), mh.SHA2_256, -1)
	if err != nil {
		panic(err) // the function is known
	}
	return h
}

// Pack makes what is kept of record, whose bytes it does not judge.
func Pack(n ipns.Name, record []byte) blocks.Record {
	name := bytes.TrimPrefix(n.RoutingKey(), []byte(ipns.NamespacePrefix))
	value := binary.AppendUvarint(make([]byte, 0, len(name)+len(record)+1), uint64(len(name)))
	value = append(append(value, name...), record...)
	return blocks.Record{Kind: blocks.NameRecord, Key: Key(n), Value: value}
}

// Open takes a value apart. It judges its form only.
func Open(value []byte) (n ipns.Name, rec *ipns.Record, record []byte, err error) {
	size, used := binary.Uvarint(value)
	if len(value) > blocks.MaxRecord || used != 1 || size == 0 || size > maxName || int(size) > len(value)-used {
		return n, nil, nil, errors.New("names: no record of a name")
	}
	name, record := value[used:used+int(size)], value[used+int(size):]
	if n, err = ipns.NameFromRoutingKey(append([]byte(ipns.NamespacePrefix), name...)); err != nil {
		return n, nil, nil, fmt.Errorf("names: name: %w", err)
	}
	if rec, err = ipns.UnmarshalRecord(record); err != nil {
		return n, nil, nil, fmt.Errorf("names: %s: %w", n, err)
	}
	return n, rec, record, nil
}

// Valid is the replica.Validator of names.
func Valid(key mh.Multihash, value []byte) (seq uint64, expires time.Time, err error) {
	n, rec, _, err := Open(value)
	if err != nil {
		return 0, time.Time{}, err
	}
	if !bytes.Equal(Key(n), key) {
		return 0, time.Time{}, fmt.Errorf("names: a record of %s under another key", n)
	}
	if err := ipns.ValidateWithName(rec, n); err != nil {
		return 0, time.Time{}, fmt.Errorf("names: %s: %w", n, err)
	}
	if _, err := rec.Value(); err != nil {
		return 0, time.Time{}, fmt.Errorf("names: %s: %w", n, err)
	}
	if seq, err = rec.Sequence(); err == nil {
		expires, err = rec.Validity()
	}
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("names: %s: %w", n, err)
	}
	return seq, expires, nil
}
