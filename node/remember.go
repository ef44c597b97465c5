package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2/maybe"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Members that were seen are remembered over a restart, so that a peer finds its
// network again when those that were named in bootstrap are gone.
const (
	rememberEvery = 5 * time.Minute     // between two writes, and one at the end
	rememberMost  = 64                  // peers, the ones seen last
	rememberAddrs = 8                   // addresses of one peer
	rememberFor   = 30 * 24 * time.Hour // after it was seen
	rememberBytes = 1 << 20             // of the file that are read
)

// PeersFile holds the peers that are remembered.
func (h Home) PeersFile() string { return filepath.Join(h.Data, "peers.json") }

// acquaintance is a remembered peer.
type acquaintance struct {
	ID    peer.ID   `json:"id"`
	Addrs []string  `json:"addrs"`
	Seen  time.Time `json:"seen"`
}

// memory is the file of remembered peers.
type memory struct {
	Peers []acquaintance `json:"peers"` // the one seen last comes first
}

// recall reads file; one that is not there remembers nobody.
func recall(file string) (m memory, err error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, fmt.Errorf("node: remembered peers: %w", err)
	}
	if info.Size() > rememberBytes {
		return m, fmt.Errorf("node: remembered peers: %s has %d bytes, limit %d", file, info.Size(), rememberBytes)
	}
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		return memory{}, fmt.Errorf("node: remembered peers: %w", err)
	}
	return m, nil
}

// infos are the remembered peers as they are dialled, without self and what no
// longer parses.
func (m memory) infos(self peer.ID) (infos []peer.AddrInfo) {
	for _, a := range m.Peers[:min(len(m.Peers), rememberMost)] {
		info := peer.AddrInfo{ID: a.ID}
		for _, s := range a.Addrs[:min(len(a.Addrs), rememberAddrs)] {
			if addr, err := ma.NewMultiaddr(s); err == nil {
				info.Addrs = append(info.Addrs, addr)
			}
		}
		if a.ID.Validate() == nil && a.ID != self && len(info.Addrs) > 0 {
			infos = append(infos, info)
		}
	}
	return infos
}

// met is m with those who are there now; who has not been for long is forgotten.
func (m memory) met(now time.Time, there []acquaintance) memory {
	all := slices.Clone(there)
	for _, old := range m.Peers {
		if now.Sub(old.Seen) < rememberFor && !slices.ContainsFunc(there, func(a acquaintance) bool { return a.ID == old.ID }) {
			all = append(all, old)
		}
	}
	slices.SortStableFunc(all, func(a, b acquaintance) int {
		return cmp.Or(b.Seen.Compare(a.Seen), cmp.Compare(a.ID, b.ID))
	})
	return memory{all[:min(len(all), rememberMost)]}
}

// members are those connected now, with the addresses they say they listen on.
func (n *Node) members(now time.Time) (out []acquaintance) {
	for _, p := range n.router.Members() {
		a := acquaintance{ID: p, Seen: now.UTC().Truncate(time.Second)}
		for _, addr := range n.host.Peerstore().Addrs(p) {
			if (n.cfg.private() || manet.IsPublicAddr(addr)) && len(a.Addrs) < rememberAddrs {
				a.Addrs = append(a.Addrs, addr.String())
			}
		}
		if len(a.Addrs) > 0 {
			out = append(out, a)
		}
	}
	return out
}

// remember keeps the file of remembered peers until ctx is done.
func (n *Node) remember(ctx context.Context) error {
	if n.peers == "" {
		return nil
	}
	select {
	case <-n.router.Ready():
	case <-ctx.Done():
		return nil
	}
	every := time.NewTicker(rememberEvery)
	defer every.Stop()
	for {
		n.note(time.Now())
		select {
		case <-every.C:
		case <-ctx.Done():
			n.note(time.Now()) // the host is still there, and so are its connections
			return nil
		}
	}
}

// note adds who is there to the file. To lose it costs a bootstrap, so no more is
// made of a failure than a warning.
func (n *Node) note(now time.Time) {
	there := n.members(now)
	if len(there) == 0 {
		return
	}
	m, err := recall(n.peers)
	if err != nil {
		n.log.Warn("remembered peers are lost", "err", err)
	}
	data, err := json.MarshalIndent(m.met(now, there), "", " ")
	if err == nil {
		err = maybe.WriteFile(n.peers, append(data, '\n'), 0o600)
	}
	if err != nil {
		n.log.Warn("peers not remembered", "err", err)
	}
}
