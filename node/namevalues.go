package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/names"
	"github.com/ipfs/boxo/ipns"
	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/routing"
)

// NameRecords are the records of names in the words of libp2p: what boxo's name system and
// the gateway read. They may be a few seconds old.
func (n *Node) NameRecords() routing.ValueStore { return nameValues{n} }

type nameValues struct{ n *Node }

var _ routing.ValueStore = nameValues{}

// PutValue keeps and spreads a record of somebody's.
func (v nameValues) PutValue(ctx context.Context, key string, value []byte, _ ...routing.Option) error {
	name, err := ipns.NameFromRoutingKey([]byte(key))
	if err != nil {
		return fmt.Errorf("node: names: %w", err)
	}
	_, err = v.n.ImportName(ctx, name.String(), value)
	return err
}

// GetValue gives the best record of the name whose routing key is key.
func (v nameValues) GetValue(ctx context.Context, key string, _ ...routing.Option) ([]byte, error) {
	name, err := ipns.NameFromRoutingKey([]byte(key))
	if err != nil {
		return nil, routing.ErrNotFound
	}
	if f, ok := v.n.names.fresh.Get(name); ok && time.Since(f.at) < min(nameFresh, f.found.ttl) && time.Now().Before(f.found.expires) {
		return f.found.record, nil
	}
	found, err := v.n.lookName(ctx, name)
	if blocks.IsNotFound(err) {
		return nil, errors.Join(routing.ErrNotFound, err)
	}
	return found.record, err
}

// NameValue gives the best record of a name, whose key is /ipns/NAME in text.
func (n *Node) NameValue(ctx context.Context, key string) ([]byte, error) {
	name, err := ipns.NameFromString(key)
	if err != nil {
		return nil, &blocks.PathError{Path: key, Reason: "no name of a key: want /ipns/k51..."}
	}
	return nameValues{n}.GetValue(ctx, string(name.RoutingKey()))
}

// PutNameValue keeps and spreads a record of the name whose key is /ipns/NAME in text.
func (n *Node) PutNameValue(ctx context.Context, key string, value []byte) error {
	name, err := ipns.NameFromString(key)
	if err != nil {
		return &blocks.PathError{Path: key, Reason: "no name of a key: want /ipns/k51..."}
	}
	_, err = n.ImportName(ctx, name.String(), value)
	return err
}

// SearchValue gives what GetValue gives.
func (v nameValues) SearchValue(ctx context.Context, key string, opts ...routing.Option) (<-chan []byte, error) {
	value, err := v.GetValue(ctx, key, opts...)
	if err != nil {
		return nil, err
	}
	out := make(chan []byte, 1)
	out <- value
	close(out)
	return out, nil
}

// nameJudges judge what the DHT keeps for strangers: the same as is kept as a record.
func nameJudges() map[string]record.Validator {
	return map[string]record.Validator{"ipns": nameJudge{}}
}

type nameJudge struct{ ipns.Validator }

// Validate is stricter than boxo's: the value must be a path.
func (nameJudge) Validate(key string, value []byte) error {
	name, err := ipns.NameFromRoutingKey([]byte(key))
	if err != nil {
		return fmt.Errorf("node: names: %w", err)
	}
	rec := names.Pack(name, value)
	_, _, err = names.Valid(rec.Key, rec.Value)
	return err
}
