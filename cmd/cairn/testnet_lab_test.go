//go:build !windows

package main

import (
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
)

func TestPausedProcessIsAliveAndSaysSo(t *testing.T) {
	c := sleeper(t)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	id, err := identify(c.Process.Pid)
	if err != nil || id.paused() {
		t.Fatal(id, err, "paused from the beginning")
	}
	for _, pause := range []bool{true, true, false, false, true} { // again is no error
		if err := id.hold(pause); err != nil || id.paused() != pause || !id.alive() {
			t.Errorf("pause %t: %v, paused %t, alive %t", pause, err, id.paused(), id.alive())
		}
	}
	stranger := process{id.PID, id.Start + 1}
	if stranger.paused() || stranger.hold(false) == nil && !id.paused() {
		t.Error("another process with this id was let go on")
	}
	began := time.Now()
	if err := (member{process: id}).stop(t.Context()); err != nil || id.alive() || time.Since(began) > 5*time.Second {
		t.Errorf("stop of a paused process: %v, alive %t, after %s", err, id.alive(), time.Since(began))
	}
}

func TestSlowReadsWhatALineShouldBe(t *testing.T) {
	ms := func(n int) blocks.Seconds { return blocks.Seconds(time.Duration(n) * time.Millisecond) }
	for _, c := range []struct {
		o     slowFlags
		want  api.Link
		words string
	}{
		{slowFlags{rate: "20MiB/s"}, api.Link{Rate: 20 << 20}, "20 MiB/s"},
		{slowFlags{rate: "1MB"}, api.Link{Rate: 1_000_000}, "1.0 MB/s"},
		{slowFlags{latency: 200 * time.Millisecond, jitter: 50 * time.Millisecond}, api.Link{Latency: ms(200), Jitter: ms(50)}, "200ms±50ms"},
		{slowFlags{latency: time.Second, rate: "1KiB/s"}, api.Link{Latency: ms(1000), Rate: 1024}, "1s, 1.0 KiB/s"},
		{slowFlags{off: true}, api.Link{}, "as it is"},
	} {
		if got, err := c.o.parse(); err != nil || got != c.want || lineWords(got) != c.words {
			t.Errorf("%+v: %+v, %v, %q, want %+v, %q", c.o, got, err, lineWords(got), c.want, c.words)
		}
	}
	for _, o := range []slowFlags{{}, {off: true, rate: "1MiB/s"}, {rate: "0"}, {rate: "fast"}, {rate: "2GiB/s"}, {latency: -1}, {latency: time.Hour}, {jitter: time.Minute}} {
		if got, err := o.parse(); err == nil {
			t.Errorf("%+v: %+v", o, got)
		}
	}
}
