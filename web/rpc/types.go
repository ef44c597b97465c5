package rpc

import (
	"context"
	"io"
	"iter"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/go-cid"
)

// Node is the part of a peer that this package shows: what web/api shows, and
// single blocks.
type Node interface {
	api.Node
	// Resolve gives the CID that path names, through the directories on the way.
	Resolve(ctx context.Context, path string) (cid.Cid, error)
	// BlockService reads blocks from here and from their holders, each of them checked.
	BlockService() blockservice.BlockService
}

// Importer is a [Node] that takes blocks that others made.
type Importer interface {
	// Import keeps the blocks of a CAR and pins its roots, if pin is set; blocks is how many there
	// were. After an error nothing is left that was not there before.
	Import(ctx context.Context, r io.Reader, pin bool) (roots []cid.Cid, blocks, bytes int64, err error)
	// KeepBlock keeps one block, which was checked, and pins it, if pin is set.
	KeepBlock(ctx context.Context, b blocks.Block, pin bool) error
}

// Key is a key that names are signed with.
type Key struct {
	Name string
	ID   string // as in /ipns/ID
}

// Namer is a [Node] that has keys and publishes names.
type Namer interface {
	Keys(ctx context.Context) ([]Key, error)
	NewKey(ctx context.Context, name, kind string) (Key, error) // kind "" is ed25519
	RemoveKey(ctx context.Context, name string) (Key, error)
	ExportKey(ctx context.Context, name string) ([]byte, error) // protobuf, as libp2p has it
	ImportKey(ctx context.Context, name string, key []byte) (Key, error)
	// Publish makes the name of a key lead to path; it gives the name.
	Publish(ctx context.Context, key, path string, o NameOptions) (name string, err error)
	// ResolveName gives the path that /ipns/name leads to.
	ResolveName(ctx context.Context, name string) (path string, err error)
}

// NameOptions is how long a name is good for; empty is the peer's default.
type NameOptions struct {
	Lifetime string // a duration
	TTL      string // a duration
}

// Topics is a [Node] that passes on messages of topics of others.
type Topics interface {
	// Say publishes data, signed by this peer.
	Say(ctx context.Context, topic string, data []byte) error
	// Hear yields messages as they come, until ctx is done.
	Hear(ctx context.Context, topic string) iter.Seq2[Message, error]
	// Heard are the topics that are listened to here.
	Heard() []string
	// Listeners are the connected peers that listen to topic; "" is any.
	Listeners(topic string) []string
}

// Message is what somebody said on a topic.
type Message struct {
	From   string // peer id
	Seq    []byte
	Data   []byte
	Topics []string
}
