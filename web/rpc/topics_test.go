package rpc_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/rpc"
)

// chatty is a peer with topics, alone in its network.
type chatty struct {
	*peer
	mu   sync.Mutex
	ears map[string][]chan rpc.Message // guarded by mu
}

func (p *chatty) Say(_ context.Context, topic string, data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ear := range p.ears[topic] {
		ear <- rpc.Message{From: "12D3KooWANvpXrs8GtBqQLQDbSB9uWnC6m5o5pbZk6h2joEniFza", Seq: []byte{1, 2}, Data: data, Topics: []string{topic}}
	}
	return nil
}

func (p *chatty) Hear(ctx context.Context, topic string) (iter.Seq2[rpc.Message, error], error) {
	if topic == "ours" {
		return nil, errors.New("no topic for applications")
	}
	ear := make(chan rpc.Message, 10)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ears[topic] = append(p.ears[topic], ear)
	return func(yield func(rpc.Message, error) bool) {
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.ears[topic] = slices.DeleteFunc(p.ears[topic], func(c chan rpc.Message) bool { return c == ear })
			if len(p.ears[topic]) == 0 {
				delete(p.ears, topic)
			}
		}()
		for {
			select {
			case m := <-ear:
				if !yield(m, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}, nil
}

func (p *chatty) Heard() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for topic := range p.ears {
		all = append(all, topic)
	}
	return all
}

func (p *chatty) Listeners(topic string) []string { return []string{"who listens to " + topic} }

func TestATopicIsHeardAsLongAsItsRequestLasts(t *testing.T) {
	p := &chatty{peer: newPeer(), ears: map[string][]chan rpc.Message{}}
	s := rpc.New(p, rpc.Config{Idle: time.Second}) // silence is no fault of a topic
	srv := httptest.NewServer(api.New(p, api.Config{Token: token, Mounts: []api.Mount{{Prefix: rpc.Prefix, Serve: s.RPC(),
		Fail: func(w http.ResponseWriter, status int, _, d string) { rpc.Fail(w, status, d) }}}}))
	t.Cleanup(srv.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)

	const name = "u" + "Y2hhdC_w" // chat/ and a byte that is no text
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "POST", srv.URL+"/api/v0/pubsub/sub?arg="+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r) // answers when it listens, though nothing was said
	if err != nil || res.StatusCode != 200 {
		t.Fatal(err, res)
	}
	defer res.Body.Close()
	time.Sleep(2500 * time.Millisecond)
	if res, body := ask(t, srv, "pubsub/ls"); res.StatusCode != 200 || body != `{"Strings":["`+name+`"]}`+"\n" {
		t.Errorf("ls: %d %s", res.StatusCode, body)
	}
	if res, body := ask(t, srv, "pubsub/pub?arg="+name, part{body: "said\x00"}); res.StatusCode != 200 {
		t.Errorf("pub: %d %s", res.StatusCode, body)
	}
	line, err := bufio.NewReader(res.Body).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		From, Data, Seqno string
		TopicIDs          []string
	}
	if err := json.Unmarshal(line, &got); err != nil || got.Data != "uc2FpZAA" || got.Seqno != "uAQI" || !slices.Equal(got.TopicIDs, []string{name}) || !strings.HasPrefix(got.From, "12D3") {
		t.Errorf("%s: %v", line, err)
	}
	if _, body := ask(t, srv, "pubsub/peers?arg="+name); !strings.Contains(body, "who listens to chat/") {
		t.Errorf("peers: %s", body)
	}
	cancel()
	for end := time.Now().Add(20 * time.Second); len(p.Heard()) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it listens though the client has left")
		}
	}
	for path, status := range map[string]int{"pubsub/sub": 400, "pubsub/sub?arg=plain": 400, "pubsub/pub?arg=" + name: 400,
		"pubsub/sub?arg=ub3Vycw": 500, "pubsub/pub?arg=" + url.QueryEscape("?"): 400} {
		if res, body := ask(t, srv, path); res.StatusCode != status || !strings.Contains(body, `"Type":"error"`) {
			t.Errorf("%s: %d %s, want %d", path, res.StatusCode, body, status)
		}
	}
}
