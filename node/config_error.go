package node

import (
	"fmt"
	"reflect"
	"strings"
)

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
