package node

import (
	"bytes"
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/dustin/go-humanize"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
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
}

// StoreConfig says what is kept on disk.
type StoreConfig struct {
	Quota Size `toml:"quota" comment:"Space for the blocks of others, such as \"10GiB\"; 0 is 10 GiB or 10 % of the free disk, whichever is less."`
}

// ReplicaConfig says how files are kept on other peers.
type ReplicaConfig struct {
	R       int      `toml:"r" comment:"Copies on other peers that a put asks for, 1 to 20."`
	Repair  bool     `toml:"repair" comment:"Whether lost copies are made again. false is for experiments."`
	Expires Duration `toml:"expires" comment:"How long a put asks others to keep it, such as \"180d\"; at most 400d."`
}

// APIConfig says where the API is served.
type APIConfig struct {
	Listen      string   `toml:"listen"`
	Hosts       []string `toml:"hosts" comment:"Host names besides loopback under which it may be called."`
	OpenMetrics bool     `toml:"open_metrics" comment:"Whether /metrics may be read without the token."`
}

// GatewayConfig says where files are served to browsers.
type GatewayConfig struct {
	Enabled bool     `toml:"enabled"`
	Listen  string   `toml:"listen"`
	Hosts   []string `toml:"hosts" comment:"Host names besides loopback under which it may be called."`
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
		Network: NetworkConfig{Name: "main", Profile: ProfileLAN, Listen: []string{}, Bootstrap: []string{}},
		Replica: ReplicaConfig{R: 5, Repair: true, Expires: Duration(180 * 24 * time.Hour)},
		API:     APIConfig{Listen: "127.0.0.1:5101", Hosts: []string{}},
		Gateway: GatewayConfig{Enabled: true, Listen: "127.0.0.1:8180", Hosts: []string{}},
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
	return []string{
		"/ip4/0.0.0.0/tcp/4101", "/ip4/0.0.0.0/udp/4101/quic-v1",
		"/ip6/::/tcp/4101", "/ip6/::/udp/4101/quic-v1",
	}
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

// Timing is how long a peer waits for what. [Config.Timing] chooses it.
type Timing struct {
	Ping        time.Duration // between two pings of a neighbour
	Misses      int           // unanswered pings until a neighbour is suspect
	Young       time.Duration // for which a peer calls itself young after its start; 0 is not at all
	Grace       time.Duration // from suspect to departed: its copies no longer count
	BackupWait  time.Duration // times its rank, before a holder does what the closest one should have
	Reconcile   time.Duration // between two comparisons with a neighbour, ± 50 %
	AfterChange time.Duration // from a change among the neighbours to a comparison
	Coverage    time.Duration // for which knowledge of who is close to a key holds
	OwnZone     time.Duration // the same, of keys close to this peer
	PutIdle     time.Duration // after which a put without a new acknowledgement gives up
	Brake       time.Duration // for which repair waits when it is likely this peer that is cut off
	Surplus     time.Duration // for which copies are kept that others hold now
	LeaseCheck  time.Duration // between two looks for a newer lease
	Dial        time.Duration // to connect to a private address
	DialPublic  time.Duration // to connect to a public address
}

// Timing is the timing of c's profile.
func (c Config) Timing() Timing {
	if c.Network.Profile == ProfileTestnet {
		return Timing{
			Ping: time.Second, Misses: 3, Grace: 10 * time.Second, BackupWait: 2 * time.Second,
			Reconcile: 10 * time.Second, AfterChange: time.Second,
			Coverage: 10 * time.Second, OwnZone: 2 * time.Second, PutIdle: 10 * time.Second,
			Brake: 10 * time.Second, Surplus: 10 * time.Minute, LeaseCheck: time.Minute,
			Dial: time.Second, DialPublic: time.Second,
		}
	}
	return Timing{
		Ping: 30 * time.Second, Misses: 3, Young: 10 * time.Minute, Grace: 30 * time.Minute, BackupWait: time.Minute,
		Reconcile: 10 * time.Minute, AfterChange: time.Minute,
		Coverage: 10 * time.Minute, OwnZone: time.Minute, PutIdle: time.Minute,
		Brake: 30 * time.Minute, Surplus: 30 * 24 * time.Hour, LeaseCheck: 7 * 24 * time.Hour,
		Dial: time.Second, DialPublic: 10 * time.Second,
	}
}

// ConfigError says what is wrong with a configuration, and where.
type ConfigError struct {
	File    string // or the name of an environment variable; "" when neither is known
	Line    int    // 1 is the first; 0 when it is not known
	Key     string // such as replica.r; may be ""
	Reason  string
	Nearest string // the key that was probably meant, for an unknown one
}

func (e *ConfigError) Error() string {
	s := e.Reason
	if e.Key != "" && e.Reason == unknownKey {
		s += " " + e.Key
	} else if e.Key != "" {
		s = e.Key + ": " + s
	}
	if e.Nearest != "" {
		s += "; did you mean " + e.Nearest + "?"
	}
	switch {
	case e.File != "" && e.Line > 0:
		return fmt.Sprintf("%s line %d: %s", e.File, e.Line, s)
	case e.File != "":
		return e.File + ": " + s
	}
	return s
}

const unknownKey = "unknown key"

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

// Validate answers nil or a *[ConfigError] that names the first bad key.
func (c Config) Validate() error {
	oneOf := func(key, got string, allowed ...string) error {
		if slices.Contains(allowed, got) {
			return nil
		}
		return &ConfigError{Key: key, Reason: fmt.Sprintf("%q: want one of %s", got, strings.Join(allowed, ", "))}
	}
	within := func(key string, got, low, high int) error {
		if low <= got && got <= high {
			return nil
		}
		return &ConfigError{Key: key, Reason: fmt.Sprintf("%d: want %d to %d", got, low, high)}
	}
	_, high := c.Conns()
	return cmp.Or(
		nameError(c.Network.Name),
		oneOf("network.profile", c.Network.Profile, ProfilePublic, ProfileLAN, ProfilePrivate, ProfileTestnet),
		addrsError("network.listen", c.Network.Listen, false),
		addrsError("network.bootstrap", c.Network.Bootstrap, true),
		within("network.per_ip", c.Network.PerIP, -1, math.MaxInt32),
		within("network.conns_high", c.Network.ConnsHigh, 0, math.MaxInt32),
		within("network.conns_low", c.Network.ConnsLow, 0, high),
		within("store.quota", int(c.Store.Quota), 0, math.MaxInt),
		within("replica.r", c.Replica.R, 1, blocks.MaxReplicas),
		expiresError(c.Replica.Expires),
		hostPortError("api.listen", c.API.Listen),
		hostPortError("gateway.listen", c.Gateway.Listen),
		levelError(c.Log),
		oneOf("log.format", c.Log.Format, "text", "json"),
	)
}

func nameError(name string) error {
	bad := strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.")
	if name == "" || len(name) > 64 || bad != "" {
		return &ConfigError{Key: "network.name", Reason: fmt.Sprintf("%q: want 1 to 64 of a-z, 0-9, -, _ and .", name)}
	}
	return nil
}

func addrsError(key string, addrs []string, full bool) error {
	for _, s := range addrs {
		a, err := ma.NewMultiaddr(s)
		if err == nil && full {
			_, err = peer.AddrInfoFromP2pAddr(a)
		}
		if err != nil {
			return &ConfigError{Key: key, Reason: fmt.Sprintf("%q: %s", s, err)}
		}
	}
	return nil
}

func expiresError(d Duration) error {
	if d < Duration(time.Minute) || time.Duration(d) > blocks.MaxLeaseTime {
		return &ConfigError{Key: "replica.expires", Reason: fmt.Sprintf("%s: want 1m to %s", d, Duration(blocks.MaxLeaseTime))}
	}
	return nil
}

func hostPortError(key, s string) error {
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return &ConfigError{Key: key, Reason: fmt.Sprintf("%q: want an address and a port, such as 127.0.0.1:5101", s)}
	}
	return nil
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

// keys calls f with each key of c and its value, until f answers an error.
func (c *Config) keys(f func(key string, v reflect.Value) error) error {
	top := reflect.ValueOf(c).Elem()
	for i := range top.NumField() {
		section := top.Type().Field(i).Tag.Get("toml")
		for j := range top.Field(i).NumField() {
			key := section + "." + top.Field(i).Type().Field(j).Tag.Get("toml")
			if err := f(key, top.Field(i).Field(j)); err != nil {
				return err
			}
		}
	}
	return nil
}

func envName(key string) string {
	return "CAIRN_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// overlay sets the keys for which the environment has a variable.
func (c *Config) overlay(lookup func(string) (string, bool)) error {
	return c.keys(func(key string, v reflect.Value) error {
		text, ok := lookup(envName(key))
		if !ok {
			return nil
		}
		if err := set(v, text); err != nil {
			return &ConfigError{File: envName(key), Reason: err.Error()}
		}
		return nil
	})
}

// set gives v the value that text says, by v's type.
func set(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q: want true or false", text)
		}
		v.SetBool(b)
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 0)
		if err != nil {
			return fmt.Errorf("%q: want a whole number", text)
		}
		v.SetInt(n)
	case reflect.Slice: // of strings
		list := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
		v.Set(reflect.ValueOf(list))
	default:
		panic("node: a config key of kind " + v.Kind().String())
	}
	return nil
}

// nearest is the known key closest to an unknown one, or "" when none is close.
// A key without its section is near the key of that name in any section.
func nearest(key string) string {
	best, least := "", 1+max(2, len(key)/3)
	consider := func(written, meant string) {
		if d := distance(key, written); d < least {
			best, least = meant, d
		}
	}
	c := DefaultConfig()
	_ = c.keys(func(known string, _ reflect.Value) error { // consider answers no error
		section, name, _ := strings.Cut(known, ".")
		consider(known, known)
		if !strings.Contains(key, ".") {
			consider(section, section)
			consider(name, known)
		}
		return nil
	})
	return best
}

// distance is the number of letters to insert, delete or change between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(diagonal+1, row[j]+1, change)
		}
	}
	return row[len(b)]
}

// lineOf finds the line on which key was set: the value was decoded already, so
// that the line is there, unless it is written in a way that nobody writes.
func lineOf(data []byte, key string) int {
	section := ""
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			name, _, _ := strings.Cut(line[1:], "]")
			section = strings.TrimSpace(name) + "."
			continue
		}
		if name, _, ok := strings.Cut(line, "="); ok && section+strings.TrimSpace(name) == key {
			return i + 1
		}
	}
	return 0
}

// Duration is a time.Duration that is written "10m", "36h" or "180d".
type Duration time.Duration

const day = 24 * time.Hour

func (d Duration) String() string {
	v := time.Duration(d)
	if v > 0 && v%day == 0 {
		return strconv.FormatInt(int64(v/day), 10) + "d"
	}
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration does, and days before it.
func (d *Duration) UnmarshalText(text []byte) error {
	bad := fmt.Errorf("%q: want a time such as \"10m\", \"36h\" or \"180d\"", text)
	rest, total := string(text), time.Duration(0)
	if days, after, ok := strings.Cut(rest, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return bad
		}
		total, rest = time.Duration(n)*day, after
	}
	if rest != "" || total == 0 && len(text) == 0 {
		v, err := time.ParseDuration(rest)
		if err != nil || v < 0 || total+v < total {
			return bad
		}
		total += v
	}
	*d = Duration(total)
	return nil
}

// Size is a number of bytes that is written "10GiB".
type Size int64

func (s Size) String() string {
	const units = "KMGTP"
	v, unit := int64(s), ""
	for i := 0; i < len(units) && v >= 1024 && v%1024 == 0; i++ {
		v, unit = v/1024, units[i:i+1]+"iB"
	}
	return strconv.FormatInt(v, 10) + unit
}

// MarshalText writes what UnmarshalText reads.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a number of bytes, with or without a unit.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > math.MaxInt64 {
		return fmt.Errorf("%q: want a size such as \"10GiB\"", text)
	}
	*s = Size(n)
	return nil
}
