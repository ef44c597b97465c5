package node

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Where a setting comes from.
const (
	OriginDefault     = "default"
	OriginFile        = "file"
	OriginEnvironment = "environment"
)

// Setting is one key of the configuration, and where its value comes from.
type Setting struct {
	Key    string
	Value  any    // string, bool, int or []string
	TOML   string // the value, as the file has it
	Origin string // one of those above
	Where  string // of the file its name, of the environment its variable
	Line   int    // of the file; 0 when it is not written plainly
}

// String says where the value comes from.
func (s Setting) String() string {
	switch {
	case s.Origin == OriginDefault:
		return s.Origin
	case s.Line > 0:
		return fmt.Sprintf("%s line %d", s.Where, s.Line)
	}
	return s.Where
}

// ConfigKeys are the keys that a configuration has, as section.name.
func ConfigKeys() []string {
	var all []string
	c := DefaultConfig()
	_ = c.keys(func(key string, _ reflect.Value) error { // appending answers no error
		all = append(all, key)
		return nil
	})
	return all
}

// Settings are all keys with the values that [LoadConfig] gives, in the file's order.
func Settings(file string) ([]Setting, error) {
	c, err := LoadConfig(file)
	if err != nil {
		return nil, err
	}
	data, err := readConfig(file)
	if err != nil {
		return nil, err
	}
	var written map[string]any
	if err := toml.Unmarshal(data, &written); err != nil {
		return nil, &ConfigError{File: file, Reason: err.Error()} // it changed just now
	}
	var all []Setting
	err = c.keys(func(key string, v reflect.Value) error {
		text, err := literal(v)
		if err != nil {
			return err
		}
		s := Setting{Key: key, Value: plain(v), TOML: text, Origin: OriginDefault}
		section, name, _ := strings.Cut(key, ".")
		in, _ := written[section].(map[string]any)
		_, inFile := in[name]
		if _, ok := os.LookupEnv(envName(key)); ok {
			s.Origin, s.Where = OriginEnvironment, envName(key)
		} else if inFile {
			s.Origin, s.Where, s.Line = OriginFile, file, lineOf(data, key)
		}
		all = append(all, s)
		return nil
	})
	return all, err
}

// plain is v as JSON has it.
func plain(v reflect.Value) any {
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return s.String()
	}
	return v.Interface()
}

// literal is v as TOML has it.
func literal(v reflect.Value) (string, error) {
	x := v.Interface()
	if m, ok := x.(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			return "", err
		}
		x = string(text)
	}
	line, err := toml.Marshal(map[string]any{"x": x})
	if err != nil {
		return "", fmt.Errorf("node: config: %w", err)
	}
	_, text, _ := strings.Cut(string(line), "=")
	return strings.TrimSpace(text), nil
}

// NewConfigFile is the text of a file that chooses what c does: every key with its
// comment, those with the default's value commented out.
func NewConfigFile(c Config) ([]byte, error) { return c.template() }

// CheckConfigFile answers nil, or a *[ConfigError] when data is no configuration.
func CheckConfigFile(data []byte) error {
	_, err := decodeConfig(data)
	return err
}

// SetInFile gives data with key set to what text says; lists have commas. It
// changes the one line, or adds it: every other line stays, comments too. It
// answers a *[ConfigError] when data or the value is not valid.
func SetInFile(data []byte, key, text string) ([]byte, error) {
	want, err := decodeConfig(data)
	if err != nil {
		return nil, err
	}
	value := ""
	err = want.keys(func(k string, v reflect.Value) error {
		if k != key {
			return nil
		}
		if err := set(v, text); err != nil {
			return &ConfigError{Key: key, Reason: err.Error()}
		}
		var err error
		value, err = literal(v)
		return err
	})
	if err == nil && value == "" {
		return nil, &ConfigError{Key: key, Reason: unknownKey, Nearest: nearest(key)}
	}
	if err := errors.Join(err, want.Validate()); err != nil {
		return nil, err
	}
	lines := strings.Split(string(data), "\n")
	end := ""
	if bytes.Contains(data, []byte("\r\n")) {
		end = "\r"
	}
	_, name, _ := strings.Cut(key, ".")
	fits := func(lines []string) bool {
		got, err := decodeConfig([]byte(strings.Join(lines, "\n")))
		return err == nil && reflect.DeepEqual(got, want)
	}
	if i := lineOf(data, key) - 1; i >= 0 {
		line := indent(lines[i]) + name + " = " + value + remark(lines[i]) + end
		for j := i; j < len(lines); j++ { // a list may go on for some lines
			if next := slices.Replace(slices.Clone(lines), i, j+1, line); fits(next) {
				return []byte(strings.Join(next, "\n")), nil
			}
		}
	}
	if next := insert(lines, key, name+" = "+value+end); fits(next) {
		return []byte(strings.Join(next, "\n")), nil
	}
	return nil, &ConfigError{Key: key, Reason: "is written in a way that only an editor can change"}
}

func indent(line string) string { return line[:len(line)-len(strings.TrimLeft(line, " \t"))] }

// remark is the comment at the end of a line with a value, and the space before it.
func remark(line string) string {
	line = strings.TrimRight(line, "\r")
	for i := range len(line) {
		var v map[string]any
		if line[i] == '#' && toml.Unmarshal([]byte(line[:i]), &v) == nil {
			return line[len(strings.TrimRight(line[:i], " \t")):]
		}
	}
	return ""
}

// insert puts line where the file says key in a comment, else at the head of its
// section, else into a section at the end.
func insert(lines []string, key, line string) []string {
	section, name, _ := strings.Cut(key, ".")
	at, here := -1, ""
	for i, l := range lines {
		l = strings.TrimSpace(l)
		if strings.HasPrefix(l, "[") {
			head, _, _ := strings.Cut(l[1:], "]")
			if here = strings.TrimSpace(head); here == section {
				at = i + 1
			}
			continue
		}
		if rest, ok := strings.CutPrefix(l, "#"); ok && here == section {
			if word, _, ok := strings.Cut(rest, "="); ok && strings.TrimSpace(word) == name {
				return slices.Insert(slices.Clone(lines), i+1, line)
			}
		}
	}
	if at >= 0 {
		return slices.Insert(slices.Clone(lines), at, line)
	}
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	added := slices.Clone(lines)
	if len(added) > 0 {
		added = append(added, "")
	}
	return append(added, "["+section+"]", line, "")
}
