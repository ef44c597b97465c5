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

// Namer is a [Node] that has keys and publishes names.
type Namer interface {
	Keys() []blocks.KeyInfo
	MakeKey(name string) (blocks.KeyInfo, error)
	TakeKey(name string, data []byte) (blocks.KeyInfo, error) // as libp2p writes keys
	GiveKey(name string) ([]byte, error)
	RemoveKey(name string) (blocks.KeyInfo, error)
	// PublishName makes the name of a key stand for path, and says who has its record.
	PublishName(ctx context.Context, key, path string, o blocks.NameOptions) (blocks.Published, error)
	// ResolveName says what a name stands for, through names that stand for names if recursive.
	ResolveName(ctx context.Context, name string, recursive bool) (blocks.Resolved, error)
}

// Router is a [Node] that tells others what it has, keeps records of names, and takes leave.
type Router interface {
	// Provide leaves a record that this peer has c.
	Provide(ctx context.Context, c cid.Cid) error
	// Value gives the record under a key such as /ipns/NAME, and PutValue keeps and spreads one.
	Value(ctx context.Context, key string) ([]byte, error)
	PutValue(ctx context.Context, key string, value []byte) error
	// Disconnect ends the connections to the peer at addr, and says which that is.
	Disconnect(ctx context.Context, addr string) (id string, err error)
}

// Topics is a [Node] that passes on messages of topics of others.
type Topics interface {
	// Say publishes data, signed by this peer.
	Say(ctx context.Context, topic string, data []byte) error
	// Hear listens from now on, and yields messages as they come, until ctx is done.
	Hear(ctx context.Context, topic string) (iter.Seq2[Message, error], error)
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
