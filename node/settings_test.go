package node_test

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/node"
	"pgregory.net/rapid"
)

func TestSettingsSayWhereTheyComeFrom(t *testing.T) {
	t.Setenv("CAIRN_LOG_LEVEL", "debug")
	file := configFile(t, "# head\n[replica]\nr = 3 # few\n\n[log]\nlevel = \"warn\"\nformat = \"json\"\n[network]\nbootstrap = []\n")
	all, err := node.Settings(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(node.ConfigKeys()) {
		t.Fatalf("got %d settings, want %d", len(all), len(node.ConfigKeys()))
	}
	want := map[string]string{
		"replica.r": file + " line 3", "log.level": "CAIRN_LOG_LEVEL", "log.format": file + " line 7",
		"network.bootstrap": file + " line 9", "replica.repair": "default", "network.name": "default",
	}
	values := map[string]any{"replica.r": 3, "log.level": "debug", "replica.expires": "180d", "store.quota": "0", "network.bootstrap": []string{}}
	for _, s := range all {
		if w, ok := want[s.Key]; ok && s.String() != w {
			t.Errorf("%s: got %s, want %s", s.Key, s, w)
		}
		if w, ok := values[s.Key]; ok && !reflect.DeepEqual(s.Value, w) {
			t.Errorf("%s: got %#v, want %#v", s.Key, s.Value, w)
		}
	}
	inline := configFile(t, "log = { level = \"warn\" }\nreplica.r = 4\n")
	all, err = node.Settings(inline)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Key == "replica.r" && s.String() != inline+" line 2" || s.Key == "network.name" && s.Origin != node.OriginDefault {
			t.Errorf("%s: %s", s.Key, s)
		}
	}
}

func TestSetChangesOneLine(t *testing.T) {
	for _, c := range []struct{ name, before, key, text, after string }{
		{"an empty file", "", "replica.r", "3", "[replica]\nr = 3\n"},
		{"its line", "# a\n[replica]\nr = 5 # few\nrepair = false\n", "replica.r", "3", "# a\n[replica]\nr = 3 # few\nrepair = false\n"},
		{"a # in the value", "[log]\nfile = \"a#b\"  # here\n", "log.file", "c#d", "[log]\nfile = 'c#d'  # here\n"},
		{"a comment that shows the default", "[replica]\n# Copies.\n# r = 5\n# repair = true\n", "replica.r", "3", "[replica]\n# Copies.\n# r = 5\nr = 3\n# repair = true\n"},
		{"a section without it", "[log]\nlevel = 'warn'\n", "log.format", "json", "[log]\nformat = 'json'\nlevel = 'warn'\n"},
		{"no section", "[log]\nlevel = 'warn'\n\n", "replica.r", "3", "[log]\nlevel = 'warn'\n\n[replica]\nr = 3\n"},
		{"a list of lines", "[api]\nhosts = [\n  \"a\", # one\n  \"b\",\n]\nlisten = \"127.0.0.1:1\"\n", "api.hosts", "c,d", "[api]\nhosts = ['c', 'd']\nlisten = \"127.0.0.1:1\"\n"},
		{"CRLF", "[replica]\r\nr = 5\r\n", "replica.r", "3", "[replica]\r\nr = 3\r\n"},
		{"no end of line", "[replica]\nr = 5", "replica.r", "3", "[replica]\nr = 3"},
		{"the name in another section", "[api]\nlisten = \"127.0.0.1:1\"\n[gateway]\n  listen = \"127.0.0.1:2\"\n", "gateway.listen", "127.0.0.1:3", "[api]\nlisten = \"127.0.0.1:1\"\n[gateway]\n  listen = '127.0.0.1:3'\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := node.SetInFile([]byte(c.before), c.key, c.text)
			if err != nil || string(got) != c.after {
				t.Errorf("got %q, %v\nwant %q", got, err, c.after)
			}
		})
	}
}

func TestSetRefusesWhatIsNotValid(t *testing.T) {
	for _, c := range []struct{ before, key, text, want string }{
		{"", "replica.r", "99", "want 1 to 20"},
		{"", "replica.r", "many", "want a whole number"},
		{"", "replica.repiar", "true", "did you mean replica.repair?"},
		{"", "replica", "3", "unknown key"},
		{"", "network.profile", "moon", "want one of"},
		{"[replica]\nr = 99\n", "replica.repair", "true", "want 1 to 20"},
		{"log = { level = \"warn\" }\n", "log.format", "json", "only an editor can change"},
	} {
		_, err := node.SetInFile([]byte(c.before), c.key, c.text)
		if _, ok := errors.AsType[*node.ConfigError](err); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %s %s: got %v, want %q", c.before, c.key, c.text, err, c.want)
		}
	}
}

// Whatever was set before, in whatever order: the last value of each key counts,
// and no line of the first file is lost.
func TestSetLeavesEveryOtherLine(t *testing.T) {
	first, err := node.NewConfigFile(node.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]string{
		"replica.r": {"1", "2", "20"}, "replica.repair": {"true", "false"}, "log.level": {"debug", "warn"},
		"network.name": {"a", "b"}, "store.quota": {"1GiB", "5"}, "api.hosts": {"", "a", "a,b"}, "replica.expires": {"1h", "36h"},
	}
	var keys []string
	for k := range values {
		keys = append(keys, k)
	}
	rapid.Check(t, func(t *rapid.T) {
		data, last := first, map[string]string{}
		for range rapid.IntRange(1, 12).Draw(t, "sets") {
			key := rapid.SampledFrom(keys).Draw(t, "key")
			last[key] = rapid.SampledFrom(values[key]).Draw(t, "value")
			if data, err = node.SetInFile(data, key, last[key]); err != nil {
				t.Fatal(err)
			}
		}
		again := data
		for key, text := range last {
			if again, err = node.SetInFile(again, key, text); err != nil {
				t.Fatal(err)
			}
		}
		if string(again) != string(data) {
			t.Errorf("set to what it is, the file changed:\n%s\n%s", data, again)
		}
		rest := strings.Split(string(data), "\n")
		for line := range strings.SplitSeq(string(first), "\n") {
			i := 0
			for i < len(rest) && rest[i] != line {
				i++
			}
			if i == len(rest) {
				t.Fatalf("lost %q in\n%s", line, data)
			}
			rest = rest[i+1:]
		}
	})
}

func FuzzSetInFile(f *testing.F) {
	f.Add("[replica]\nr = 5 # few\n", "replica.r", "3")
	f.Add("replica.r = 4\n[log]\n", "log.level", "warn")
	f.Fuzz(func(t *testing.T, before, key, text string) {
		after, err := node.SetInFile([]byte(before), key, text)
		if err != nil {
			return
		}
		if err := node.CheckConfigFile(after); err != nil {
			t.Errorf("%q: %v", after, err)
		}
	})
}

func TestSettingsOfABadFileNameTheLine(t *testing.T) {
	file := configFile(t, "[replica]\nr = 99\n")
	if _, err := node.Settings(file); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if all, err := node.Settings(file); err != nil || all[0].Origin != node.OriginDefault {
		t.Errorf("without a file: got %v", err)
	}
}
