package rpc

import (
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// kubo is the version of Kubo whose RPC this is the subset of; clients ask for one.
const kubo = "0.40.1"

func (s *Server) version(c *call) error {
	return c.reply(struct{ Version, Commit, Repo, System, Golang, Agent string }{
		kubo, "", "", runtime.GOARCH + "/" + runtime.GOOS, runtime.Version(), s.n.ID().Agent,
	})
}

func (s *Server) id(c *call) error {
	me := s.n.ID()
	id, addrs, agent := me.ID, me.Addresses, me.Agent
	if len(c.args) > 0 && c.args[0] != "" && c.args[0] != me.ID {
		id, addrs = c.args[0], nil
		for _, p := range s.n.Peers() {
			if p.ID == id {
				agent = p.Agent
				addrs = full(p.Addresses, p.ID)
			}
		}
		if addrs == nil {
			return fmt.Errorf("rpc: id: not connected to peer %s", id)
		}
	}
	return c.reply(struct {
		ID, PublicKey string
		Addresses     []string
		AgentVersion  string
		Protocols     []string
	}{id, publicKey(id), addrs, agent, []string{}})
}

// publicKey is the key that stands in an id, as base64; "" if it is not in there.
func publicKey(id string) string {
	p, err := peer.Decode(id)
	if err != nil {
		return ""
	}
	key, err := p.ExtractPublicKey()
	if err != nil {
		return ""
	}
	data, err := crypto.MarshalPublicKey(key)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(data)
}

// full gives addresses with the peer's id at their end.
func full(addrs []string, id string) []string {
	out := []string{}
	for _, a := range addrs {
		if !strings.Contains(a, "/p2p/"+id) {
			a += "/p2p/" + id
		}
		out = append(out, a)
	}
	return out
}

func bare(addr, id string) string { return strings.TrimSuffix(addr, "/p2p/"+id) }

func (s *Server) swarmPeers(c *call) error {
	type one struct {
		Addr      string
		Peer      string
		Latency   string `json:",omitempty"`
		Direction int
		Streams   []string
		Identify  struct{ ID, AgentVersion string }
	}
	out := struct{ Peers []one }{[]one{}}
	for _, p := range s.n.Peers() {
		o := one{Peer: p.ID}
		if len(p.Addresses) > 0 {
			o.Addr = bare(p.Addresses[0], p.ID)
		}
		if p.Latency > 0 {
			o.Latency = time.Duration(p.Latency).String()
		}
		o.Identify.ID, o.Identify.AgentVersion = p.ID, p.Agent
		out.Peers = append(out.Peers, o)
	}
	return c.reply(out)
}

func (s *Server) swarmAddrs(c *call) error {
	out := struct{ Addrs map[string][]string }{map[string][]string{}}
	for _, p := range s.n.Peers() {
		addrs := []string{}
		for _, a := range p.Addresses {
			addrs = append(addrs, bare(a, p.ID))
		}
		out.Addrs[p.ID] = addrs
	}
	return c.reply(out)
}

func (s *Server) swarmLocal(c *call) error {
	me := s.n.ID()
	out := struct{ Strings []string }{[]string{}}
	for _, a := range me.Addresses {
		if id, err := c.flag("id", false); err != nil {
			return err
		} else if !id {
			a = bare(a, me.ID)
		}
		out.Strings = append(out.Strings, a)
	}
	return c.reply(out)
}

func (s *Server) swarmConnect(c *call) error {
	args, err := c.some("an address")
	if err != nil {
		return err
	}
	out := struct{ Strings []string }{[]string{}}
	for _, a := range args {
		id, err := s.n.Connect(c, a)
		if err != nil {
			return err
		}
		out.Strings = append(out.Strings, "connect "+id+" success")
	}
	return c.reply(out)
}

// Found is an event of a search in Kubo's DHT.
type Found struct {
	ID        string
	Type      int // 2 is a peer, 4 a provider
	Responses []Responded
	Extra     string
}

// Responded is a peer that was found.
type Responded struct {
	ID    string
	Addrs []string
}

// findProvs tells who proves now to have a block.
func (s *Server) findProvs(c *call) error {
	arg, err := c.arg("a CID")
	if err != nil {
		return err
	}
	most, err := c.number("num-providers", 20, 1)
	if err != nil {
		return err
	}
	where, err := s.n.Where(c, arg)
	if err != nil {
		return err
	}
	addrs := map[string][]string{}
	for _, p := range s.n.Peers() {
		addrs[p.ID] = p.Addresses
	}
	for _, a := range where.Answers {
		if a.Says != blocks.SaysProved || most == 0 {
			continue
		}
		most--
		id := a.Peer.String()
		var at []string
		for _, addr := range addrs[id] {
			at = append(at, bare(addr, id))
		}
		if err := c.line(Found{Type: 4, Responses: []Responded{{id, at}}}); err != nil {
			return err
		}
	}
	c.head(false)
	return nil
}

// findPeer tells the addresses of a peer that is connected.
func (s *Server) findPeer(c *call) error {
	arg, err := c.arg("a peer's id")
	if err != nil {
		return err
	}
	for _, p := range s.n.Peers() {
		if p.ID != arg {
			continue
		}
		var at []string
		for _, addr := range p.Addresses {
			at = append(at, bare(addr, p.ID))
		}
		return c.line(Found{Type: eventPeer, Responses: []Responded{{p.ID, at}}})
	}
	return fmt.Errorf("rpc: findpeer: not connected to peer %s", arg)
}

// sys says on what this peer runs.
func (s *Server) sys(c *call) error {
	me := s.n.ID()
	var out struct {
		IPFSVersion string            `json:"ipfs_version"`
		Agent       string            `json:"agent"`
		Runtime     map[string]any    `json:"runtime"`
		Net         map[string]any    `json:"net"`
		Environment map[string]string `json:"environment"`
	}
	out.IPFSVersion, out.Agent, out.Environment = kubo, me.Agent, map[string]string{}
	out.Runtime = map[string]any{"os": runtime.GOOS, "arch": runtime.GOARCH, "version": runtime.Version(), "numcpu": runtime.NumCPU(), "numgoroutines": runtime.NumGoroutine()}
	out.Net = map[string]any{"online": true}
	return c.reply(out)
}

// config shows what is no secret.
func (s *Server) config(c *call) error {
	me := s.n.ID()
	return c.reply(map[string]any{
		"Identity":  map[string]string{"PeerID": me.ID},
		"Addresses": map[string]any{"Announce": me.Addresses, "API": me.API, "Gateway": me.Gateway},
	})
}

// list gives the commands as a tree.
func (s *Server) list(c *call) error {
	type node struct {
		Name        string
		Subcommands []*node
		Options     []string
	}
	root := &node{Name: "ipfs", Subcommands: []*node{}, Options: []string{}}
	for _, name := range s.names() {
		at := root
		for part := range strings.SplitSeq(name, "/") {
			var next *node
			for _, sub := range at.Subcommands {
				if sub.Name == part {
					next = sub
				}
			}
			if next == nil {
				next = &node{Name: part, Subcommands: []*node{}, Options: []string{}}
				at.Subcommands = append(at.Subcommands, next)
			}
			at = next
		}
	}
	return c.reply(root)
}
