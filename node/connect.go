package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// connectTime is how long a dial that the owner asks for may take.
const connectTime = 15 * time.Second

// AddrError says what is wrong with the address of a peer.
type AddrError struct {
	Addr   string
	Reason string
}

func (e *AddrError) Error() string { return fmt.Sprintf("address %q: %s", e.Addr, e.Reason) }

// ParseAddr reads a full multiaddress, with /p2p/ and the peer's id.
func ParseAddr(s string) (peer.AddrInfo, error) {
	a, err := ma.NewMultiaddr(s)
	if err != nil {
		return peer.AddrInfo{}, &AddrError{s, err.Error()}
	}
	info, err := peer.AddrInfoFromP2pAddr(a)
	if err != nil {
		return peer.AddrInfo{}, &AddrError{s, "want a multiaddress that ends in /p2p/ and the peer's id"}
	}
	if len(info.Addrs) == 0 {
		return peer.AddrInfo{}, &AddrError{s, "names a peer but not where it is"}
	}
	return *info, nil
}

// Connect dials the peer at addr, and says who was reached. A *[AddrError] says
// that addr is no such address, a *[UnreachableError] that nobody answered there.
func (n *Node) Connect(ctx context.Context, addr string) (peer.ID, error) {
	info, err := ParseAddr(addr)
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	if info.ID == n.host.ID() {
		return "", fmt.Errorf("connect: %w", &AddrError{addr, "is this peer itself"})
	}
	ctx, cancel := context.WithTimeoutCause(ctx, connectTime, fmt.Errorf("no answer within %s", connectTime))
	defer cancel()
	if err := n.host.Connect(ctx, info); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		if errors.Is(err, context.Canceled) {
			return "", fmt.Errorf("connect: %w", err)
		}
		return "", fmt.Errorf("connect: %w", &UnreachableError{info.ID, err})
	}
	return info.ID, nil
}

// Disconnect ends the connections to the peer that addr names, an id alone too. Those of our
// network that need each other meet again.
func (n *Node) Disconnect(_ context.Context, addr string) (peer.ID, error) {
	_, text, found := strings.Cut(addr, "/p2p/")
	if !found {
		text = addr
	}
	id, err := peer.Decode(text)
	if err != nil {
		return "", fmt.Errorf("disconnect: %w", &AddrError{addr, "want an address that ends in /p2p/ and the peer's id"})
	}
	if !n.connected(id) {
		return "", fmt.Errorf("disconnect: not connected to %s", id)
	}
	if err := n.host.Network().ClosePeer(id); err != nil {
		return "", fmt.Errorf("disconnect: %w", err)
	}
	return id, nil
}

// UnreachableError says that a peer could not be reached.
type UnreachableError struct {
	Peer peer.ID
	Err  error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("peer %s was not reached: %s", e.Peer, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// connected reports whether there is a connection to p.
func (n *Node) connected(p peer.ID) bool {
	return n.host.Network().Connectedness(p) == network.Connected
}
