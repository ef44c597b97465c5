package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/node"
)

func TestEachPartLogsAtItsLevel(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		p := &program{err: &out}
		log, end, err := p.logger(node.LogConfig{Level: "warn,dht=debug,wire=error", Format: format})
		if err != nil {
			t.Fatal(err)
		}
		defer end()
		for part, wants := range map[string]string{"": "warn error", "dht": "debug info warn error", "wire": "error", "libp2p": "error", "disk": "warn error"} {
			out.Reset()
			l := log
			if part != "" {
				l = log.With("part", part).With("other", 1)
			}
			l.Debug("a debug line")
			l.Info("a info line")
			l.Warn("a warn line")
			l.WithGroup("g").Error("a error line")
			for _, level := range []string{"debug", "info", "warn", "error"} {
				want := strings.Contains(wants, level)
				if got := strings.Contains(out.String(), "a "+level+" line"); got != want {
					t.Errorf("%s of part %q: logged %t, want %t", level, part, got, want)
				}
			}
		}
	}
}
