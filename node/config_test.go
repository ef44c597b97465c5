package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/node"
)

func configFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConfigSaysWhatIsWrongAndWhere(t *testing.T) {
	const id = "12D3KooWGRUfFzbmdAdVXyv3FvAzgXAiWQ3P1XuE8cSLgKGCBGA1"
	for _, c := range []struct{ name, text, want string }{
		{"a misspelt key", "[network]\nname = \"x\"\n\n[replica]\nr = 3\n\nrepiar = true\n", "line 7: unknown key replica.repiar; did you mean replica.repair?"},
		{"a misspelt section", "[gatway]\nenabled = true\n", "line 1: unknown key gatway; did you mean gateway?"},
		{"a key without its section", "repair = true\n", "line 1: unknown key repair; did you mean replica.repair?"},
		{"a key like no other", "[store]\nzzzzzzzzzzzzz = 1\n", "line 2: unknown key store.zzzzzzzzzzzzz"},
		{"text for a number", "[replica]\nr = \"five\"\n", "line 2: replica.r: "},
		{"a number for text", "[api]\n\nlisten = 5101\n", "line 3: api.listen: "},
		{"a number for a list", "[network]\nlisten = 4101\n", "line 2: network.listen: "},
		{"text for a section", "replica = \"x\"\n", "line 1: replica: "},
		{"a fraction", "[replica]\nr = 2.5\n", "line 2: replica.r: "},
		{"no copies", "[replica]\nr = 0\n", "line 2: replica.r: 0: want 1 to 20"},
		{"too many copies", "[replica]\n\nr = 21", "line 3: replica.r: 21: want 1 to 20"},
		{"a number out of range", "[replica]\nr = 99999999999999999999\n", "line 2: "},
		{"a bad time", "[replica]\nexpires = \"soon\"\n", "line 2: replica.expires: \"soon\": want a time"},
		{"a time too long", "[replica]\nexpires = \"401d\"\n", "line 2: replica.expires: 401d: want 1m to 400d"},
		{"a bad size", "[store]\nquota = \"10 apples\"\n", "line 2: store.quota: \"10 apples\": want a size"},
		{"a negative size", "[store]\nquota = \"-1GiB\"\n", "line 2: store.quota: "},
		{"a size without quotes", "[store]\nquota = 5\n", ""},
		{"a bad profile", "[network]\nprofile = \"moon\"\n", "line 2: network.profile: \"moon\": want one of public, lan, private, testnet"},
		{"a bad name", "[network]\nname = \"a/b\"\n", "line 2: network.name: "},
		{"a bad address", "[network]\nlisten = [\"localhost:4101\"]\n", "line 2: network.listen: \"localhost:4101\": "},
		{"a bootstrap peer without an id", "[network]\nbootstrap = [\"/ip4/10.0.0.1/tcp/4101\"]\n", "line 2: network.bootstrap: "},
		{"a port out of range", "[api]\nlisten = \"127.0.0.1:99999\"\n", "line 2: api.listen: "},
		{"no network", "[gateway]\ntrusted_proxies = [\"192.0.2.1\"]\n", "line 2: gateway.trusted_proxies: "},
		{"no port", "[gateway]\nlisten = \"127.0.0.1\"\n", "line 2: gateway.listen: "},
		{"connections upside down", "[network]\nconns_low = 9\nconns_high = 5\n", "line 2: network.conns_low: 9: want 0 to 5"},
		{"a low above the default high", "[network]\n\nconns_low = 161\n", "line 3: network.conns_low: 161: want 0 to 160"},
		{"a negative number of bytes", "[store]\nquota = -5\n", "line 2: store.quota: "},
		{"a negative number of connections", "[network]\nconns_low = -1\n", "line 2: network.conns_low: -1: "},
		{"a bad level", "[log]\nlevel = \"loud\"\n", "line 2: log.level: \"loud\": want one of debug, info, warn, error"},
		{"a bad format", "[log]\n\n  format = \"xml\"\n", "line 3: log.format: "},
		{"no TOML", "[replica\n", "line 1: "},
		{"a key twice", "[replica]\nr = 3\nr = 4\n", "line 3: "},
		{"no UTF-8", "[log]\nfile = \"\xff\xfe\"\n", "line 2: "},
		{"a NUL byte", "[log]\n\nfile = \"a\x00b\"\n", "line 3: a NUL byte: this is no text file"},
		{"ten megabytes", strings.Repeat("# 23456789\n", 1<<20), "config.toml: 11534336 bytes, limit 1048576"},
		{"nothing", "", ""},
		{"a comment", "# r = 0", ""},
		{"CRLF", "[replica]\r\nr = 3\r\n", ""},
		{"all at once", "[network]\nprofile = \"private\"\nbootstrap = [\"/ip4/10.0.0.1/tcp/4101/p2p/" + id + "\"]\n[store]\nquota = \"2 GiB\"", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := configFile(t, c.text)
			_, err := node.LoadConfig(file)
			if c.want == "" {
				if err != nil {
					t.Fatalf("got %v, want no error", err)
				}
				return
			}
			ce, ok := errors.AsType[*node.ConfigError](err)
			if !ok {
				t.Fatalf("got %v (%T), want a *ConfigError", err, err)
			}
			if ce.File != file || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %s\nwant %s … %s", err, file, c.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}

func TestConfigOfNoFileIsTheDefault(t *testing.T) {
	got, err := node.LoadConfig(filepath.Join(t.TempDir(), "none.toml"))
	if want := node.DefaultConfig(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if err := node.DefaultConfig().Validate(); err != nil {
		t.Errorf("the default is not valid: %v", err)
	}
}

func TestConfigIsReadBackAsItWasWritten(t *testing.T) {
	want := node.DefaultConfig()
	want.Network.Listen = []string{"/ip4/127.0.0.1/tcp/20001"}
	want.Network.Profile = node.ProfileTestnet
	want.Replica.Repair = false
	want.Store.Quota = 3 << 30
	want.Replica.Expires = node.Duration(36*time.Hour + 30*time.Minute)
	text, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := node.LoadConfig(configFile(t, string(text)))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v\nfrom\n%s", got, err, want, text)
	}
}

func TestEnvironmentStandsOverTheFile(t *testing.T) {
	file := configFile(t, "[replica]\nr = 3\nrepair = true\n[log]\nlevel = \"warn\"\n")
	for name, value := range map[string]string{
		"CAIRN_REPLICA_R": "7", "CAIRN_REPLICA_REPAIR": "false", "CAIRN_REPLICA_EXPIRES": "2d12h",
		"CAIRN_STORE_QUOTA": "1GiB", "CAIRN_NETWORK_LISTEN": "/ip4/127.0.0.1/tcp/1, /ip4/127.0.0.1/tcp/2",
	} {
		t.Setenv(name, value)
	}
	c, err := node.LoadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	if c.Replica.R != 7 || c.Replica.Repair || time.Duration(c.Replica.Expires) != 60*time.Hour || c.Store.Quota != 1<<30 || len(c.Network.Listen) != 2 {
		t.Errorf("got %+v", c)
	}
	if c.Log.Level != "warn" {
		t.Errorf("the file's level was lost: %q", c.Log.Level)
	}
}

func TestEnvironmentSaysWhatIsWrongAndWhere(t *testing.T) {
	for name, value := range map[string]string{
		"CAIRN_REPLICA_R": "many", "CAIRN_REPLICA_REPAIR": "perhaps", "CAIRN_STORE_QUOTA": "-5",
		"CAIRN_REPLICA_EXPIRES": "", "CAIRN_NETWORK_PROFILE": "moon", "CAIRN_API_LISTEN": "here",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			_, err := node.LoadConfig("")
			ce, ok := errors.AsType[*node.ConfigError](err)
			if !ok || ce.File != name || !strings.HasPrefix(err.Error(), name+": ") {
				t.Errorf("got %v, want a *ConfigError of %s", err, name)
			}
		})
	}
}

func TestProfilePicksTimingAndAddresses(t *testing.T) {
	c := node.DefaultConfig()
	if got := c.Timing(); got.Grace != 30*time.Minute || got.PutIdle != time.Minute || got.DialPublic != 10*time.Second {
		t.Errorf("lan: %+v", got)
	}
	if low, high := c.Conns(); low != 96 || high != 160 || len(c.ListenAddrs()) != 10 {
		t.Errorf("lan: %d to %d connections, %q", low, high, c.ListenAddrs())
	}
	c.Network.Profile = node.ProfileTestnet
	if got := c.Timing(); got.Grace != 10*time.Second || got.PutIdle != 10*time.Second || got.Ping != time.Second {
		t.Errorf("testnet: %+v", got)
	}
	if low, high := c.Conns(); low != 32 || high != 64 || !reflect.DeepEqual(c.ListenAddrs(), []string{"/ip4/127.0.0.1/tcp/0"}) {
		t.Errorf("testnet: %d to %d connections, %q", low, high, c.ListenAddrs())
	}
	for _, profile := range []string{node.ProfileLAN, node.ProfileTestnet} {
		c.Network.Profile = profile
		v := reflect.ValueOf(c.Timing())
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if young := name == "Young" && profile == node.ProfileTestnet; v.Field(i).Int() <= 0 && !young { // there nobody is
				t.Errorf("%s: %s is not set", profile, name)
			}
		}
	}
}

func TestDurationsAndSizesReadWhatTheyWrite(t *testing.T) {
	for _, text := range []string{"0s", "1ms", "10m", "90s", "36h", "1d", "180d", "36h30m"} {
		var d node.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var again node.Duration
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
			t.Errorf("%s: wrote %s, read %s, %v", text, d, again, err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "-5m", "1", "99999999d", "1d-1h", "1d1d", "65535d2562047h"} {
		var d node.Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: read %s, want an error", text, d)
		}
	}
	for text, want := range map[string]node.Size{"0": 0, "1": 1, "10GiB": 10 << 30, "1.5 KiB": 1536, "2KB": 2000} {
		var s node.Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: read %d, %v, want %d", text, s, err, want)
		}
		var again node.Size
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s: wrote %s, read %d, %v", text, s, again, err)
		}
	}
}

func FuzzConfigNeverPanics(f *testing.F) {
	f.Add("[replica]\nr = 3\n")
	f.Add("[[network]]\nlisten = [[[")
	f.Add("replica = { r = 0 }\n\"network\".'profile' = 3")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := node.LoadConfig(configFile(t, text))
		if err == nil && c.Validate() != nil {
			t.Errorf("accepted what is not valid: %q", text)
		}
	})
}
