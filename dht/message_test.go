package dht

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/dht/keyspace"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func someone(n byte) peer.ID {
	id, err := peer.IDFromBytes(append([]byte{0, 36, 8, 1, 18, 32}, bytes.Repeat([]byte{n}, 32)...))
	if err != nil {
		panic(err)
	}
	return id
}

// samples are one of each message.
func samples() []message {
	return []message{
		Hello{Net: Config{}.netID(), Flags: Full | Leaving, Free: 1 << 40, Incarnation: 7},
		Hello{},
		nearReq{key: keyspace.OfPeer(someone(1)), max: 64},
		nearAns{hints: []hint{{someone(1), []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/4001")}}, {id: someone(2)}}, bits: 3, fresh: 9000},
		nearAns{},
		probeReq{someone(3)},
		probeAns{true},
		probeAns{},
	}
}

// The messages are these bytes, and read as what was written.
func TestMessagesAreTheirGoldenBytes(t *testing.T) {
	const file = "testdata/view.hex"
	var got strings.Builder
	for _, m := range samples() {
		frame := appendMessage(nil, m)
		fmt.Fprintf(&got, "%T %x\n", m, frame)
		back, err := readMessage(bufio.NewReader(bytes.NewReader(frame)), maxFrame)
		if err != nil || !reflect.DeepEqual(back, m) {
			t.Errorf("%+v was read as %+v, %v", m, back, err)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got.String() {
		t.Errorf("golden file %v; got\n%s", err, got.String())
	}
}

// A message that is longer than it may be, cut short, or not one, is refused, and
// nothing is allocated for what only was announced.
func TestMalformedMessagesAreRefused(t *testing.T) {
	long := make([]ma.Multiaddr, 0, 40)
	for i := range 40 {
		long = append(long, ma.StringCast(fmt.Sprintf("/dns4/%s%d.example/tcp/4001", strings.Repeat("a", 50), i)))
	}
	var many nearAns
	for range maxNear + 1 {
		many.hints = append(many.hints, hint{id: someone(1)})
	}
	hello := appendMessage(nil, Hello{Incarnation: 1})
	for name, frame := range map[string][]byte{
		"nothing":       {0},
		"too long":      {0x81, 0x80, 0x04},
		"an endless":    bytes.Repeat([]byte{0xff}, 20),
		"cut":           hello[:len(hello)-1],
		"two in one":    append([]byte{byte(2 * (len(hello) - 1))}, append(hello[1:len(hello):len(hello)], hello[1:]...)...),
		"unknown":       {2, 0x7a, 0},
		"wrong type":    {2, 0x08, 0},
		"version":       {4, 0x0a, 2, 0x08, 2},
		"no key":        {2, 0x12, 0},
		"probe of none": {2, 0x22, 0},
		"too many":      appendMessage(nil, many),
	} {
		if m, err := readMessage(bufio.NewReader(bytes.NewReader(frame)), maxFrame); err == nil {
			t.Errorf("%s was read as %+v", name, m)
		} else if !errors.Is(err, errForm) && !errors.Is(err, io.ErrUnexpectedEOF) && name != "an endless" {
			t.Errorf("%s: %v", name, err)
		}
	}
	frame := appendMessage(nil, nearAns{hints: []hint{{someone(1), long}}})
	m, err := readMessage(bufio.NewReader(bytes.NewReader(frame)), maxFrame)
	if a, ok := m.(nearAns); err != nil || !ok || len(a.hints[0].addrs) == 0 || len(a.hints[0].addrs) > maxAddrs || len(frame) > maxMember+10 {
		t.Errorf("a member with many addresses: %d bytes, %+v, %v", len(frame), m, err)
	}
	announced := []byte{0x80, 0x80, 0x04} // 64 KiB, of which none come
	if n := testing.AllocsPerRun(10, func() {
		_, _ = readMessage(bufio.NewReaderSize(bytes.NewReader(announced), 16), maxFrame)
	}); n > 20 {
		t.Errorf("%v allocations for nothing", n)
	}
}

// pipe is a stranger's side of a conversation: what it says, and what it is told.
type pipe struct {
	io.Reader
	bytes.Buffer
}

func (p *pipe) Read(b []byte) (int, error)  { return p.Reader.Read(b) }
func (p *pipe) Write(b []byte) (int, error) { return p.Buffer.Write(b) }

// Whatever a stranger says is answered by whole messages, one each, or ends the
// conversation; it never brings a peer down.
func FuzzConversation(f *testing.F) {
	var all []byte
	for _, m := range samples() {
		f.Add(appendMessage(nil, m))
		all = appendMessage(all, m)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, said []byte) {
		asked := 0
		d := desk{
			hello: func(Hello) Hello { asked++; return Hello{Incarnation: 1} },
			near: func(q nearReq) nearAns {
				asked++
				if q.max > maxNear {
					t.Errorf("%d asked for", q.max)
				}
				return nearAns{hints: []hint{{id: someone(1)}}}
			},
			probe: func(p peer.ID) bool { asked++; return p != "" },
		}
		p := &pipe{Reader: bytes.NewReader(said)}
		_ = d.converse(p, func() {})
		in := bufio.NewReader(&p.Buffer)
		for range asked {
			if _, err := readMessage(in, maxFrame); err != nil {
				t.Fatalf("answer: %v", err)
			}
		}
		if _, err := in.Peek(1); err != io.EOF {
			t.Errorf("an answer to nothing")
		}
	})
}

// Whatever a stranger answers is a message that reads the same when written again, or an error.
func FuzzMessage(f *testing.F) {
	for _, m := range samples() {
		f.Add(appendMessage(nil, m))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		m, err := readMessage(bufio.NewReader(bytes.NewReader(said)), maxFrame)
		if err != nil {
			return
		}
		again, err := readMessage(bufio.NewReader(bytes.NewReader(appendMessage(nil, m))), maxFrame)
		if err != nil || !bytes.Equal(appendMessage(nil, again), appendMessage(nil, m)) {
			t.Errorf("%s: %+v, %+v, %v", hex.EncodeToString(said), m, again, err)
		}
	})
}
