package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
)

func TestWhereSaysWhatEachAnswered(t *testing.T) {
	status, body := get(t, serve(t, node(""), api.Config{}), "/api/v1/where?path=x")
	var w struct {
		CID, Sentence, Key string
		Answers            []struct{ Peer, Says, Error string }
		Places             []struct{ ID, Key string }
	}
	if err := json.Unmarshal([]byte(body), &w); err != nil || status != 200 {
		t.Fatal(status, body, err)
	}
	if !strings.HasPrefix(w.CID, "bafk") || w.Sentence != "1 of 5 copies proved, 1 did not answer" || len(w.Key) != 64 ||
		len(w.Answers) != 2 || w.Answers[1].Error != "went away" || len(w.Places) != 2 || w.Places[0].ID != w.Answers[0].Peer {
		t.Errorf("%s", body)
	}
}

func TestWhyCarriesTheWorstBlock(t *testing.T) {
	status, body := get(t, serve(t, node(""), api.Config{}), "/api/v1/why?path=x")
	var w struct {
		CID   string
		Whole bool
		Worst struct{ CID, Sentence string }
	}
	if err := json.Unmarshal([]byte(body), &w); err != nil || status != 200 || w.Whole || w.Worst.CID != w.CID || w.Worst.Sentence == "" {
		t.Errorf("%d %s %v", status, body, err)
	}
}

func TestRepairAnswersInLines(t *testing.T) {
	srv := serve(t, node(""), api.Config{})
	for path, want := range map[string]string{"x": `"type":"summary"`, "unleased": `"code":"short"`} {
		body, err := io.ReadAll(ask(t, srv, "POST", "/api/v1/repair?path="+path, nil, nil).Body)
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s %v", path, body, err)
		}
	}
}

// Who watches a health is told of changes, and of nothing else; a look that fails ends nothing.
func TestAWatchedHealthIsToldWhenItChanges(t *testing.T) {
	n, looks := node(""), atomic.Int32{}
	n.health = func(context.Context, string, bool) (blocks.Health, error) {
		switch i := int(looks.Add(1)); {
		case i == 3:
			return blocks.Health{}, errors.New("nobody answers")
		default:
			return blocks.Health{Blocks: 1, Min: i / 3, Proved: time.Now()}, nil
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	srv := serve(t, n, api.Config{Timing: api.Timing{Look: time.Millisecond}})
	res := ask(t, srv, "GET", "/api/v1/health/watch?path=x", nil, func(r *http.Request) { *r = *r.WithContext(ctx) })
	var events []string
	for lines := bufio.NewScanner(res.Body); len(events) < 4 && lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			events = append(events, name)
		}
	}
	if got := strings.Join(events, " "); got != "health error health health" {
		t.Errorf("events %q", got)
	}
	if n := looks.Load(); n < 6 {
		t.Errorf("told after %d looks: of what had not changed", n)
	}
}
