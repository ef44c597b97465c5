package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/ipfs/go-cid"
)

// line reads one line of an answer.
func line(t *testing.T, r *bufio.Reader) map[string]any {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("no line: %v", err)
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

func TestPutNamesTheJobFirstThenTellsThenSumsUp(t *testing.T) {
	srv := serve(t, node(""), api.Config{})
	pr, pw := io.Pipe()
	res := ask(t, srv, "POST", "/api/v1/put?name=a.txt&wait=full&replicas=5&expires=48h&announce=true", pr, nil)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatal(res.StatusCode, res.Header)
	}
	lines := bufio.NewReader(res.Body)
	if first := line(t, lines); first["type"] != "job" || first["id"] == "" { // nothing of the body was sent yet
		t.Fatalf("first line %v", first)
	}
	if _, err := io.WriteString(pw, "hello"); err != nil {
		t.Fatal(err)
	}
	pw.Close()
	var last map[string]any
	for last = line(t, lines); last["type"] == "status"; last = line(t, lines) {
		if last["copies"] == nil {
			t.Errorf("status %v", last)
		}
	}
	want := blocks.New(cid.Raw, []byte("hello")).Cid().String()
	if last["type"] != "summary" || last["cid"] != want || last["size"] != 5.0 || last["safe"] != 1.0 || last["name"] != "a.txt" {
		t.Errorf("last line %v, want the summary of %s", last, want)
	}
	if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
		t.Errorf("after the last line: %q %v", rest, err)
	}
}

func TestPutPassesItsOptionsOn(t *testing.T) {
	n, got := node(""), make(chan blocks.PutOptions, 1)
	n.put = func(_ context.Context, _ io.Reader, o blocks.PutOptions, _ func(blocks.Progress)) (blocks.Receipt, error) {
		got <- o
		return blocks.Receipt{}, nil
	}
	ask(t, serve(t, n, api.Config{}), "POST", "/api/v1/put?name=n&wait=local&replicas=7&expires=1h&announce=1&place=false&profile=unixfs-v0-2015", nil, nil)
	want := blocks.PutOptions{Name: "n", Wait: blocks.WaitLocal, Replicas: 7, Expires: time.Hour, Announce: true, NoPlace: true, Profile: "unixfs-v0-2015"}
	if o := <-got; o != want {
		t.Errorf("got %+v, want %+v", o, want)
	}
}

func TestPutRefusesBadParametersBeforeAnything(t *testing.T) {
	srv := serve(t, untouchable(t), api.Config{})
	for _, q := range []string{
		"wait=some", "replicas=0", "replicas=21", "replicas=x", "expires=1", "expires=-1h", "expires=99999h", "announce=maybe",
		"place=no", "profile=x", "nme=x", "name=a%00b", "name=" + strings.Repeat("a", 256), "name=%ff",
	} {
		p := problem(t, ask(t, srv, "POST", "/api/v1/put?"+q, strings.NewReader("data"), nil))
		if p.Status != 400 || p.Code != api.CodeUsage || !strings.Contains(p.Detail, strings.SplitN(q, "=", 2)[0]) {
			t.Errorf("%s: %+v", q, p)
		}
	}
	for _, kind := range []string{"multipart/mixed; boundary=x", "multipart/form-data"} {
		res := ask(t, srv, "POST", "/api/v1/put", strings.NewReader("data"), func(r *http.Request) { r.Header.Set("Content-Type", kind) })
		if p := problem(t, res); p.Status != 415 {
			t.Errorf("%s: %+v", kind, p)
		}
	}
}

func TestShortPutGivesTheReceiptWithTheError(t *testing.T) {
	n := node("")
	n.put = func(_ context.Context, r io.Reader, _ blocks.PutOptions, _ func(blocks.Progress)) (blocks.Receipt, error) {
		data, err := io.ReadAll(r)
		root := blocks.New(cid.Raw, data).Cid()
		return blocks.Receipt{Root: root, Size: int64(len(data))}, errors.Join(err, fmt.Errorf("put: %w", &blocks.ShortError{Root: root}))
	}
	last := lastLine(t, ask(t, serve(t, n, api.Config{}), "POST", "/api/v1/put", strings.NewReader("hello"), nil))
	receipt, _ := last["receipt"].(map[string]any)
	if last["type"] != "error" || last["code"] != "short" || !strings.Contains(fmt.Sprint(last["message"]), "kept here only") ||
		receipt["size"] != 5.0 || last["hint"] == "" {
		t.Errorf("last line %v", last)
	}
}

func TestFullDiskIsToldAtTheEndOfThePut(t *testing.T) {
	n := node("")
	n.put = func(context.Context, io.Reader, blocks.PutOptions, func(blocks.Progress)) (blocks.Receipt, error) {
		return blocks.Receipt{}, fmt.Errorf("put: %w", blocks.ErrFull)
	}
	last := lastLine(t, ask(t, serve(t, n, api.Config{}), "POST", "/api/v1/put", strings.NewReader(strings.Repeat("x", 1<<20)), nil))
	if last["type"] != "error" || last["code"] != "full" || last["receipt"] != nil {
		t.Errorf("last line %v", last)
	}
}

func lastLine(t *testing.T, res *http.Response) (last map[string]any) {
	t.Helper()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		last = nil
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

// raw opens a connection and sends the head of a put and some of its body.
func raw(t *testing.T, url, headers, body string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := fmt.Fprintf(c, "POST /api/v1/put HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n%s", token, headers, body); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBodyCutShortIsNeverAFile(t *testing.T) {
	for name, sent := range map[string][2]string{
		"length":  {"Content-Length: 10", "hello"},
		"chunked": {"Transfer-Encoding: chunked", "5\r\nhello\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			n, end := node(""), make(chan error, 1)
			n.put = func(ctx context.Context, r io.Reader, _ blocks.PutOptions, _ func(blocks.Progress)) (blocks.Receipt, error) {
				_, err := io.ReadAll(r)
				end <- err
				return blocks.Receipt{}, nil // a node that does not look at errors
			}
			c := raw(t, serve(t, n, api.Config{}).URL, sent[0], sent[1])
			if err := c.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if err := <-end; err == nil {
				t.Error("the node read a clean end")
			}
			answer, _ := io.ReadAll(c)
			if s := string(answer); strings.Contains(s, "summary") || !strings.Contains(s, "cut short") {
				t.Errorf("answer %s", s)
			}
		})
	}
}

func TestClientThatLeavesEarlyCancelsThePut(t *testing.T) {
	n, end := node(""), make(chan error, 1)
	n.put = func(ctx context.Context, r io.Reader, _ blocks.PutOptions, _ func(blocks.Progress)) (blocks.Receipt, error) {
		_, err := io.ReadAll(r)
		end <- err
		return blocks.Receipt{}, err
	}
	c := raw(t, serve(t, n, api.Config{}).URL, "Content-Length: 10", "hello")
	c.Close()
	if err := <-end; err == nil {
		t.Error("the put read a clean end")
	}
}

func TestPutGoesOnWhenTheClientLeavesAfterTheBody(t *testing.T) {
	n, read, end := node(""), make(chan struct{}), make(chan error, 1)
	n.put = func(ctx context.Context, r io.Reader, _ blocks.PutOptions, _ func(blocks.Progress)) (blocks.Receipt, error) {
		_, err := io.ReadAll(r)
		close(read)
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
		end <- err
		return blocks.Receipt{}, err
	}
	c := raw(t, serve(t, n, api.Config{}).URL, "Content-Length: 5", "hello")
	<-read
	c.Close()
	if err := <-end; err != nil {
		t.Errorf("the put was stopped: %v", err)
	}
}

func TestPutEndsWithThePeer(t *testing.T) {
	n, done := node(""), make(chan struct{})
	n.put = func(ctx context.Context, r io.Reader, _ blocks.PutOptions, _ func(blocks.Progress)) (blocks.Receipt, error) {
		_, _ = io.ReadAll(r)
		close(done)
		<-ctx.Done()
		return blocks.Receipt{}, fmt.Errorf("put: %w", ctx.Err())
	}
	last := lastLine(t, ask(t, serve(t, n, api.Config{Done: done}), "POST", "/api/v1/put", strings.NewReader("x"), nil))
	if last["code"] != "unavailable" || !strings.Contains(fmt.Sprint(last["message"]), "stopping") {
		t.Errorf("last line %v", last)
	}
}

func TestSilentClientDoesNotHoldAPutForEver(t *testing.T) {
	srv := serve(t, node(""), api.Config{Timing: api.Timing{PutIdle: 50 * time.Millisecond}})
	answer, _ := io.ReadAll(raw(t, srv.URL, "Content-Length: 10", "hello"))
	if s := string(answer); !strings.Contains(s, `"code":"timeout"`) {
		t.Errorf("answer %s", s)
	}
}

func TestPutGivesSignsOfLife(t *testing.T) {
	n := node("")
	n.put = func(_ context.Context, r io.Reader, _ blocks.PutOptions, _ func(blocks.Progress)) (blocks.Receipt, error) {
		time.Sleep(200 * time.Millisecond)
		return blocks.Receipt{}, nil
	}
	srv := serve(t, n, api.Config{Timing: api.Timing{Status: 5 * time.Millisecond, Heartbeat: 20 * time.Millisecond}})
	began := time.Now()
	data, err := io.ReadAll(ask(t, srv, "POST", "/api/v1/put", strings.NewReader(""), nil).Body)
	most := int(time.Since(began)/(20*time.Millisecond)) + 2
	if got := strings.Count(string(data), `"status"`); err != nil || got < 2 || got > most {
		t.Errorf("%d status lines: %v", got, err)
	}
}

func TestStatusLinesAreFew(t *testing.T) {
	n := node("")
	n.put = func(_ context.Context, _ io.Reader, _ blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error) {
		for i := range 10_000 {
			tell(blocks.Progress{Safe: i})
		}
		return blocks.Receipt{}, nil
	}
	srv := serve(t, n, api.Config{Timing: api.Timing{Status: 20 * time.Millisecond}})
	data, err := io.ReadAll(ask(t, srv, "POST", "/api/v1/put", strings.NewReader(""), nil).Body)
	if got := strings.Count(string(data), `"status"`); err != nil || got < 1 || got > 100 {
		t.Errorf("%d status lines: %v", got, err)
	}
	if !strings.Contains(string(data), `"safe":9999`) {
		t.Error("the last progress was held back")
	}
}

// A full disk is a status of its own, and the body is not asked for.
func TestAPutThatHasNoRoomIsRefusedBeforeItIsSent(t *testing.T) {
	n := node("")
	n.full = fmt.Errorf("repo: %w", blocks.ErrFull)
	c := raw(t, serve(t, n, api.Config{}).URL, "Content-Length: 5\r\nExpect: 100-continue", "")
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.Contains(answer, "507 Insufficient Storage") {
		t.Errorf("%q %v", answer, err)
	}
}

func TestExpectingClientIsToldToGoOn(t *testing.T) {
	c := raw(t, serve(t, node(""), api.Config{}).URL, "Content-Length: 5\r\nExpect: 100-continue", "")
	r := bufio.NewReader(c)
	if text, err := r.ReadString('\n'); err != nil || !strings.Contains(text, "100 Continue") {
		t.Fatalf("%q %v", text, err)
	}
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(r); err != nil || !strings.Contains(string(rest), "summary") {
		t.Errorf("%s %v", rest, err)
	}
}

func TestRestOfAnUnreadBodyIsNoRequest(t *testing.T) {
	n := node("")
	n.put = func(context.Context, io.Reader, blocks.PutOptions, func(blocks.Progress)) (blocks.Receipt, error) {
		return blocks.Receipt{}, errors.New("no")
	}
	c := raw(t, serve(t, n, api.Config{}).URL, "Content-Length: 200", "")
	time.Sleep(50 * time.Millisecond)
	_, _ = fmt.Fprintf(c, "GET /api/v1/id HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", token)
	if answer, _ := io.ReadAll(c); strings.Count(string(answer), "HTTP/1.1 ") != 1 {
		t.Errorf("answers %s", answer)
	}
}

// A client that says nothing does not hold up the end of the peer.
func TestSilentClientDoesNotHoldUpTheEnd(t *testing.T) {
	done := make(chan struct{})
	n := node("")
	n.put = func(ctx context.Context, r io.Reader, _ blocks.PutOptions, _ func(blocks.Progress)) (blocks.Receipt, error) {
		buf := make([]byte, 5)
		if _, err := io.ReadFull(r, buf); err != nil {
			return blocks.Receipt{}, err
		}
		close(done)
		_, err := io.ReadAll(r) // the rest never comes
		return blocks.Receipt{}, err
	}
	c := raw(t, serve(t, n, api.Config{Done: done}).URL, "Content-Length: 10", "hello")
	t0 := time.Now()
	answer, _ := io.ReadAll(c)
	if s := string(answer); !strings.Contains(s, "stopping") {
		t.Errorf("answer %s", s)
	}
	if d := time.Since(t0); d > 5*time.Second {
		t.Errorf("held up for %v", d)
	}
}
