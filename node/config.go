package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// maxConfig is the largest configuration file that is read, in bytes.
const maxConfig = 1 << 20

// The network profiles. A profile picks timing, addresses and limits together.
const (
	ProfilePublic  = "public"  // strangers over the internet
	ProfileLAN     = "lan"     // one site; peers find each other by mDNS
	ProfilePrivate = "private" // peers that are named in bootstrap
	ProfileTestnet = "testnet" // many peers on one machine, in a hurry
)

// Config is what the owner of a peer may choose: the TOML file, decoded over
// [DefaultConfig], with the environment over it. Every field says what its zero
// value means, and when to turn it.
type Config struct {
	Network NetworkConfig `toml:"network" comment:"Which network this peer is in, and how it is reached."`
	Store   StoreConfig   `toml:"store" comment:"What is kept on disk."`
	Replica ReplicaConfig `toml:"replica" comment:"Copies on other peers."`
	Routing RoutingConfig `toml:"routing" comment:"Networks of others, in which roots are told of and looked for besides our own."`
	API     APIConfig     `toml:"api" comment:"The API that the command line and programs use. Keep it on loopback."`
	Gateway GatewayConfig `toml:"gateway" comment:"Files by CID over plain HTTP, for browsers. Its own port, so that a page it serves cannot call the API."`
	Log     LogConfig     `toml:"log" comment:"What is told, and where."`
}

// NetworkConfig says which network a peer is in, and how it is reached.
type NetworkConfig struct {
	Name      string   `toml:"name" comment:"Peers with different names never meet."`
	Profile   string   `toml:"profile" comment:"public, lan, private or testnet."`
	Listen    []string `toml:"listen" comment:"Multiaddresses to listen on; none is the profile's choice, port 4101 but in a testnet."`
	Bootstrap []string `toml:"bootstrap" comment:"Full multiaddresses, with /p2p/ and the peer's id, of peers to meet first."`
	PerIP     int      `toml:"per_ip" comment:"Connections from one IPv4 address; 0 is the profile's choice, -1 no limit. Raise it where many peers share an address."`
	ConnsLow  int      `toml:"conns_low" comment:"Connections above conns_high are trimmed to conns_low; 0 is the profile's choice."`
	ConnsHigh int      `toml:"conns_high"`
	Bitswap   bool     `toml:"bitswap" comment:"Whether blocks go to and come from IPFS peers that are connected, such as Kubo and Helia."`
}

// StoreConfig says what is kept on disk.
type StoreConfig struct {
	Quota Size `toml:"quota" comment:"Space for the blocks of others, such as \"10GiB\"; 0 is 10 GiB or 10 % of the free disk, whichever is less."`
	Cache Size `toml:"cache" comment:"Space for blocks that were merely read; the same if it is 0. What was read longest ago is forgotten."`
}

// ReplicaConfig says how files are kept on other peers.
type ReplicaConfig struct {
	R          int      `toml:"r" comment:"Copies on other peers that a put asks for, 1 to 20."`
	Repair     bool     `toml:"repair" comment:"Whether lost copies are made again. false is for experiments."`
	RepairRate Size     `toml:"repair_rate" comment:"Bytes a second for copies that are not urgent, such as \"8MiB\", which it is if this is 0; a testnet then has no limit."`
	Expires    Duration `toml:"expires" comment:"How long a put asks others to keep it, such as \"180d\"; at most 400d."`
}

// RoutingConfig says which networks of others are asked and told.
type RoutingConfig struct {
	Public    bool     `toml:"public" comment:"Whether this peer is a client of the public IPFS DHT: strangers then learn which roots it keeps, and are asked for what our network lacks."`
	Bootstrap []string `toml:"public_bootstrap" comment:"Full multiaddresses of peers of it to meet first; none are those of libp2p."`
}

// APIConfig says where the API is served.
type APIConfig struct {
	Listen      string   `toml:"listen"`
	Hosts       []string `toml:"hosts" comment:"Host names besides loopback under which it may be called."`
	OpenMetrics bool     `toml:"open_metrics" comment:"Whether /metrics may be read without the token."`
	Kubo        bool     `toml:"kubo" comment:"Whether programs written for Kubo are answered: its RPC at /api/v0, and the Pinning Service API at /psa."`
	KuboOpen    bool     `toml:"kubo_open" comment:"Whether programs of this machine may use /api/v0 without the token, as they do with Kubo. Everybody who has an account on it then can."`
}

// GatewayConfig says where files are served to browsers.
type GatewayConfig struct {
	Enabled bool     `toml:"enabled"`
	Listen  string   `toml:"listen"`
	Hosts   []string `toml:"hosts" comment:"Host names besides loopback under which it may be called."`

	Subdomains []string `toml:"subdomains" comment:"Names at which each CID has an origin of its own, as CID.ipfs.NAME; DNS must lead all of them here."`
	Sites      []string `toml:"sites" comment:"Names, or *.NAME, that are served by their DNSLink."`
	Denylist   []string `toml:"denylist" comment:"Files of rules, in the compact denylist format, that say what this peer gives out and keeps for nobody. They are read anew when they change."`
	Proxies    []string `toml:"trusted_proxies" comment:"Networks, such as 192.0.2.0/24, whose X-Forwarded-Host and X-Forwarded-Proto count."`
}

// TrustedProxies are the networks of Proxies; those that are none are left out,
// as [Config.Validate] has refused them.
func (c GatewayConfig) TrustedProxies() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range c.Proxies {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// LogConfig says what is told, and where.
type LogConfig struct {
	Level  string `toml:"level" comment:"debug, info, warn or error; and of a part, as in \"info,dht=debug\". The parts: api, dht, disk, libp2p, pubsub, replica, web, wire."`
	Format string `toml:"format" comment:"text or json."`
	File   string `toml:"file" comment:"A file to append to; empty is standard error."`
}

// DefaultConfig is the configuration of a peer whose owner chose nothing.
func DefaultConfig() Config {
	return Config{
		Network: NetworkConfig{Name: "main", Profile: ProfileLAN, Listen: []string{}, Bootstrap: []string{}, Bitswap: true},
		Replica: ReplicaConfig{R: 5, Repair: true, Expires: Duration(180 * 24 * time.Hour)},
		Routing: RoutingConfig{Bootstrap: []string{}},
		API:     APIConfig{Listen: "127.0.0.1:5101", Hosts: []string{}, Kubo: true},
		Gateway: GatewayConfig{Enabled: true, Listen: "127.0.0.1:8180", Hosts: []string{}, Subdomains: []string{}, Sites: []string{}, Denylist: []string{}, Proxies: []string{}},
		Log:     LogConfig{Level: "info", Format: "text"},
	}
}

// ListenAddrs are the multiaddresses to listen on: the owner's, or the profile's.
func (c Config) ListenAddrs() []string {
	switch {
	case len(c.Network.Listen) > 0:
		return slices.Clone(c.Network.Listen)
	case c.Network.Profile == ProfileTestnet:
		return []string{"/ip4/127.0.0.1/tcp/0"}
	}
	return ListenOn(4101)
}

// ListenOn are the multiaddresses of every way to call this machine at port: plain TCP and
// QUIC for peers, and WebSocket, WebRTC and WebTransport for browsers.
func ListenOn(port int) (all []string) {
	for _, ip := range []string{"/ip4/0.0.0.0", "/ip6/::"} {
		tcp, udp := fmt.Sprintf("%s/tcp/%d", ip, port), fmt.Sprintf("%s/udp/%d", ip, port)
		all = append(all, tcp, udp+"/quic-v1", tcp+"/ws", udp+"/webrtc-direct", udp+"/quic-v1/webtransport")
	}
	return all
}

// Conns are the numbers of connections between which the unprotected ones are
// kept: above high they are trimmed to low.
func (c Config) Conns() (low, high int) {
	low, high = 96, 160
	if c.Network.Profile == ProfileTestnet {
		low, high = 32, 64
	}
	if c.Network.ConnsHigh > 0 {
		high = c.Network.ConnsHigh
	}
	if c.Network.ConnsLow > 0 {
		low = c.Network.ConnsLow
	}
	return min(low, high), high
}

// LoadConfig reads file, where there is one, over [DefaultConfig], and the
// environment over that: CAIRN_REPLICA_R for replica.r, lists with commas. What
// is wrong with either is a *[ConfigError].
func LoadConfig(file string) (Config, error) {
	data, err := readConfig(file)
	if err != nil {
		return Config{}, err
	}
	c, err := decodeConfig(data)
	if ce, ok := errors.AsType[*ConfigError](err); ok {
		ce.File = file
		return Config{}, ce
	}
	if err := c.overlay(os.LookupEnv); err != nil {
		return Config{}, err
	}
	err = c.Validate()
	if ce, ok := errors.AsType[*ConfigError](err); ok { // the file alone was valid
		ce.File = envName(ce.Key)
		return Config{}, ce
	}
	return c, nil
}

func readConfig(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("node: config: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, &ConfigError{File: file, Reason: "not a file"}
	}
	if info.Size() > maxConfig {
		return nil, &ConfigError{File: file, Reason: fmt.Sprintf("%d bytes, limit %d", info.Size(), maxConfig)}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("node: config: %w", err)
	}
	return data, nil
}

// decodeConfig decodes and validates; its error is a *ConfigError.
func decodeConfig(data []byte) (Config, error) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return Config{}, &ConfigError{Line: 1 + bytes.Count(data[:i], []byte("\n")), Reason: "a NUL byte: this is no text file"}
	}
	c := DefaultConfig()
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&c)
	if missing, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(missing.Errors) > 0 {
		first := &missing.Errors[0]
		line, _ := first.Position()
		key := strings.Join(first.Key(), ".")
		return Config{}, &ConfigError{Line: line, Key: key, Reason: unknownKey, Nearest: nearest(key)}
	}
	if bad, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := bad.Position()
		return Config{}, &ConfigError{Line: line, Key: strings.Join(bad.Key(), "."), Reason: strings.TrimPrefix(bad.Error(), "toml: ")}
	}
	if err != nil {
		return Config{}, &ConfigError{Reason: strings.TrimPrefix(err.Error(), "toml: ")}
	}
	err = c.Validate()
	if ce, ok := errors.AsType[*ConfigError](err); ok {
		ce.Line = lineOf(data, ce.Key)
		return Config{}, ce
	}
	return c, nil
}

// Encode writes c as TOML with a comment at each key.
func (c Config) Encode() ([]byte, error) {
	data, err := toml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("node: config: %w", err)
	}
	return data, nil
}

// template is what a new home's file holds: every key, those with the default's
// value commented out, so that a later default reaches who chose nothing.
func (c Config) template() ([]byte, error) {
	data, err := c.Encode()
	if err != nil {
		return nil, err
	}
	usual, err := DefaultConfig().Encode()
	if err != nil {
		return nil, err
	}
	lines, plain := strings.Split(string(data), "\n"), strings.Split(string(usual), "\n")
	for i, line := range lines {
		if line == plain[i] && line != "" && line[0] != '[' && line[0] != '#' {
			lines[i] = "# " + line
		}
	}
	const head = "# cairn: a line without its leading # counts; an unknown key is an error.\n\n"
	return []byte(head + strings.Join(lines, "\n")), nil
}
