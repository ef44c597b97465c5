package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestBenchReportsMediansAndSpread(t *testing.T) {
	r := report{Name: "put", Size: 100, Replicas: 3, Runs: []sample{
		{Figure: 30, Ceiling: 100, Kubo: 10, Sent: 330},
		{Figure: 10, Ceiling: 100, Kubo: 10, Sent: 300},
		{Figure: 50, Ceiling: 200, Kubo: 10, Sent: 600},
	}}
	r.sum()
	for _, c := range []struct {
		name string
		got  middle
		want middle
	}{
		{"figure", r.Figure, middle{30, 10, 50}},
		{"ceiling", r.Ceiling, middle{100, 100, 200}},
		{"ratio, of the same run each", r.Ratio, middle{0.25, 0.1, 0.3}},
		{"kubo's ratio", r.KuboRatio, middle{3, 1, 5}},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	if e := r.Excess.Median; e < 0.099 || e > 0.101 {
		t.Errorf("excess %v, want 0.1", e)
	}
	var out bytes.Buffer
	if err := r.print(&out); err != nil || !strings.Contains(out.String(), "times kubo") || !strings.Contains(out.String(), "30.0") {
		t.Errorf("%v\n%s", err, &out)
	}
	even := report{Runs: []sample{{Figure: 1, Ceiling: 1}, {Figure: 3, Ceiling: 1}}}
	even.sum()
	if even.Figure.Median != 2 || even.Kubo != (middle{}) || even.Excess != (middle{}) {
		t.Errorf("got %+v", even)
	}
	out.Reset()
	if err := even.print(&out); err != nil || strings.Contains(out.String(), "kubo") || strings.Contains(out.String(), "sent") {
		t.Errorf("what was not measured is told:\n%s", &out)
	}
}

// No run is helped by what another has left behind.
func TestBenchMovesBytesThatNobodyHas(t *testing.T) {
	seen := map[string]bool{}
	const pieces = 3
	for run := range 3 {
		all, err := io.ReadAll(newStamped(pieces<<20+5, run))
		if err != nil || len(all) != pieces<<20+5 {
			t.Fatal(len(all), err)
		}
		again, _ := io.ReadAll(newStamped(pieces<<20+5, run))
		if !bytes.Equal(all, again) {
			t.Error("the same run gives other bytes")
		}
		for i := range pieces {
			seen[string(all[i<<20:(i+1)<<20])] = true
		}
	}
	if len(seen) != 3*pieces {
		t.Errorf("%d different MiB of %d", len(seen), 3*pieces)
	}
}

func TestBadBenchFlagsAreRefused(t *testing.T) {
	good := benchFlags{size: "64MiB", runs: 3, replicas: 3}
	if err := good.parse(); err != nil || good.bytes != 64<<20 {
		t.Fatal(good, err)
	}
	for _, change := range []func(*benchFlags){
		func(o *benchFlags) { o.size = "1KiB" },
		func(o *benchFlags) { o.size = "2GiB" },
		func(o *benchFlags) { o.size = "large" },
		func(o *benchFlags) { o.runs = 0 },
		func(o *benchFlags) { o.replicas = 21 },
		func(o *benchFlags) { o.kubo = "/nothing/here" },
	} {
		o := good
		change(&o)
		if err := o.parse(); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

// What Kubo is told is what its API takes: a form with one file, the same chunks as
// cairn's, and an answer that is cut short is no figure.
func TestKuboIsGivenTheSameWork(t *testing.T) {
	const size = 2<<20 + 7
	var got []byte
	missing := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v0/add":
			if q := r.URL.Query(); q.Get("chunker") != "size-1048576" || q.Get("raw-leaves") != "true" {
				t.Errorf("asked with %v", q)
			}
			f, _, err := r.FormFile("file")
			if err != nil {
				t.Error(err)
				return
			}
			if got, err = io.ReadAll(f); err != nil {
				t.Error(err)
			}
			fmt.Fprintln(w, `{"Name":"x","Hash":"bafy"}`)
		case "/api/v0/cat":
			_, _ = w.Write(got[missing:])
		case "/api/v0/pin/add":
			if r.URL.Query().Get("arg") != "bafy" {
				http.Error(w, "no such thing", http.StatusInternalServerError)
			}
		default:
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	k := kuboPair{kuboDaemon{srv.URL}, kuboDaemon{srv.URL}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	o := benchFlags{bytes: size}
	want, _ := io.ReadAll(newStamped(size, 4))
	if figure, err := kuboPut(ctx, &k, o, 4); err != nil || figure <= 0 || !bytes.Equal(got, want) {
		t.Errorf("put: %v, %v, %d bytes", figure, err, len(got))
	}
	got = nil
	if figure, err := kuboLocal(ctx, &k, o, 4); err != nil || figure <= 0 || !bytes.Equal(got, want) {
		t.Errorf("local: %v, %v, %d bytes", figure, err, len(got))
	}
	if figure, err := kuboGet(ctx, &k, o, 4); err != nil || figure <= 0 {
		t.Errorf("get: %v, %v", figure, err)
	}
	missing = 1
	if _, err := kuboGet(ctx, &k, o, 4); err == nil {
		t.Error("a file that was cut short gives a figure")
	}
	if err := k.a.call(ctx, "nothing", nil, nil, nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
}
