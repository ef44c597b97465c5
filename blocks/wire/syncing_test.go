package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
)

// echo is both sides of a comparison: it wants its messages back, and each may have most bytes.
type echo struct {
	most  int
	says  [][]byte // the asker's
	heard [][]byte
}

func (e *echo) First() []byte { return e.says[0] }

func (e *echo) Step(msg []byte) ([]byte, error) {
	if bytes.HasPrefix(msg, []byte("bad")) {
		return nil, errors.New("bad")
	}
	e.heard = append(e.heard, msg)
	if e.says == nil { // the answerer
		if bytes.HasPrefix(msg, []byte("end")) {
			return nil, nil
		}
		return msg, nil
	}
	if len(e.heard) == len(e.says) {
		return nil, nil
	}
	return e.says[len(e.heard)], nil
}

func (e *echo) Room([]byte) int { return e.most }

// echoes answers with echo, and names the first of each question.
type echoes struct {
	most int
	boom bool
}

func (e echoes) Reconcile(context.Context, peer.ID) (Answerer, error) {
	if e.boom {
		panic("boom")
	}
	return &echo{most: e.most}, nil
}

func (e echoes) Names(_ context.Context, _ peer.ID, names []Name) ([]mh.Multihash, error) {
	out := make([]mh.Multihash, len(names))
	h, err := mh.Sum(names[0][:], mh.SHA2_256, -1)
	out[0] = h
	return out, err
}

// Messages of any length go over and come back in turn, and the end says that all agrees.
func TestAComparisonGoesOverInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := pair(t, func(h host.Host) { t.Cleanup(ServeSync(h, echoes{most: 1 << 20}, Config{})) })
		x := &echo{most: 1 << 20, says: [][]byte{[]byte("a"), bytes.Repeat([]byte("b"), partSize),
			bytes.Repeat([]byte("c"), partSize+1), bytes.Repeat([]byte("d"), 500<<10), []byte("end")}}
		if err := c.Sync(t.Context(), p, x); err != nil {
			t.Fatal(err)
		}
		if want := append(slices.Clone(x.says[:4]), nil); !slices.EqualFunc(x.heard, want, bytes.Equal) {
			t.Errorf("heard %d messages", len(x.heard))
		}
		names := []Name{{1}, {2}}
		hs, err := c.Names(t.Context(), p, names)
		if want, _ := mh.Sum(names[0][:], mh.SHA2_256, -1); err != nil || len(hs) != 2 || !bytes.Equal(hs[0], want) || hs[1] != nil {
			t.Errorf("names %v, %v", hs, err)
		}
		if n := streamsOf(c.host, SyncProtocol); n != 0 {
			t.Errorf("%d streams left", n)
		}
	})
}

func streamsOf(h host.Host, on any) (n int) {
	synctest.Wait()
	for _, conn := range h.Network().Conns() {
		for _, s := range conn.GetStreams() {
			if s.Protocol() == on {
				n++
			}
		}
	}
	return n
}

// What an answerer may say that is wrong costs an error, a bounded time and an offence.
func TestHostileAnswerersAreErrorsInTime(t *testing.T) {
	whole := &part{make([]byte, partSize), 1}
	for name, tt := range map[string]struct {
		serve    func(network.Stream)
		offences int
	}{
		"more than there is room for":  {says(frames(&part{make([]byte, 2000), 0})), 1},
		"endless parts":                {says(frames(slices.Repeat([]message{whole}, 100)...)), 1},
		"a small part before the last": {says(frames(&part{[]byte{1}, 1}, &part{[]byte{1}, 0})), 1},
		"a message of nothing":         {says(frames(&part{})), 1},
		"another message":              {says(frames(&miss{idx: 1})), 1},
		"a bad answer":                 {says(frames(&part{[]byte("bad"), 0})), 1},
		"no answer to what is open":    {says(nil), 1},
		"busy":                         {says(frames(&busy{10})), 0},
		"silence":                      {func(network.Stream) {}, 0},
		"reset":                        {func(s network.Stream) { _ = s.Reset() }, 0},
		"a byte a second":              {trickles(frames(&part{make([]byte, 900), 0})[:3]), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := pair(t, func(h host.Host) { h.SetStreamHandler(SyncProtocol, tt.serve) })
				c.cfg.Conduct = NewConduct(nil)
				t0 := time.Now()
				if err := c.Sync(t.Context(), p, &echo{most: 1000, says: [][]byte{{1}, {2}, {3}}}); err == nil {
					t.Error("no error")
				}
				if d := time.Since(t0); d > longest+2*time.Second {
					t.Errorf("took %v", d)
				}
				synctest.Wait()
				if n := offences(c.cfg.Conduct, p); n != tt.offences {
					t.Errorf("%d offences, want %d", n, tt.offences)
				}
				if n := streamsOf(c.host, SyncProtocol); n != 0 {
					t.Errorf("%d streams left", n)
				}
				time.Sleep(longest)
			})
		})
	}
}

// What an asker may do that is wrong is reset and counted; a panic costs it its answer.
func TestHostileComparersAreLetGo(t *testing.T) {
	for name, tt := range map[string]struct {
		says     []byte
		boom     bool
		offences int
	}{
		"too much":        {frames(&part{make([]byte, 2000), 0}), false, 1},
		"endless parts":   {frames(slices.Repeat([]message{&part{make([]byte, partSize), 1}}, 20)...), false, 1},
		"a bad message":   {frames(&part{[]byte("bad"), 0}), false, 1},
		"another message": {frames(&have{}), false, 1},
		"a long frame":    {binary.AppendUvarint(nil, 1<<40), false, 1},
		"silence":         {nil, false, 0},
		"half a message":  {frames(&part{make([]byte, 100), 0})[:50], false, 0},
		"a panic":         {frames(&part{[]byte{1}, 0}), true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conduct, caught := NewConduct(nil), 0
				c, p := pair(t, func(h host.Host) {
					t.Cleanup(ServeSync(h, echoes{most: 1000, boom: tt.boom}, Config{Conduct: conduct, Caught: func(any) { caught++ }}))
				})
				s, err := c.host.NewStream(t.Context(), p, SyncProtocol)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = s.Write(tt.says)
				_ = s.SetReadDeadline(time.Now().Add(2 * timeout))
				if b, err := io.ReadAll(s); err == nil || len(b) > 0 {
					t.Errorf("answered %x, %v", b, err)
				}
				synctest.Wait() // the server counts after it has broken off
				if n := offences(conduct, c.host.ID()); n != tt.offences {
					t.Errorf("%d offences, want %d", n, tt.offences)
				}
				if tt.boom != (caught == 1) {
					t.Errorf("%d panics", caught)
				}
			})
		})
	}
}

// A day of agreeing with a neighbour, a session each 10 minutes with 16 proofs, is at most 10
// bytes a second. The set-up of the two streams is counted as 200 bytes.
func TestAgreeingCostsLittle(t *testing.T) {
	h, err := mh.Sum([]byte("hello"), mh.SHA2_256, -1)
	if err != nil {
		t.Fatal(err)
	}
	first := len(frames(&part{make([]byte, 20), 0})) // rbsr's for 100,000 keys
	var prove []uint32
	for i := range 16 {
		prove = append(prove, uint32(i))
	}
	proofs := len(frames(&have{keys: slices.Repeat([]mh.Multihash{h}, 16), nonce: make([]byte, nonceSize), prove: prove},
		&haveR{here: make([]byte, 2), held: make([]byte, 2), proofs: slices.Repeat([][]byte{make([]byte, proofSize)}, 16)}))
	sum := first + proofs + 200
	t.Logf("comparison=%d B proofs=%d B session=%d B rate=%.1f B/s", first, proofs, sum, float64(sum)/600)
	if first > 28 || float64(sum)/600 > 10 {
		t.Errorf("comparison of %d B, %.1f B/s", first, float64(sum)/600)
	}
}

// Whatever an asker says, the answer to it ends, without a panic.
func FuzzReconcile(f *testing.F) {
	f.Add(frames(&part{[]byte("a"), 0}, &part{[]byte("end"), 0}))
	f.Add(frames(&naming{[][]byte{make([]byte, nameSize)}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var out bytes.Buffer
		err := reconcile(t.Context(), echoes{most: 1 << 20}, "a", scripted(b, &out))
		var fault *panicError
		if errors.As(err, &fault) {
			t.Fatal(fmt.Sprint(fault.v), string(fault.stack))
		}
	})
}

// Whatever an answerer says, the asker's reading of it ends.
func FuzzParts(f *testing.F) {
	f.Add(frames(&part{[]byte("a"), 0}))
	f.Fuzz(func(t *testing.T, b []byte) {
		msg, err := readParts(scripted(b, io.Discard), nil, timeout, func([]byte) int { return 1 << 17 })
		if err == nil && (len(msg) == 0 || len(msg) > 1<<17) {
			t.Fatalf("%d bytes", len(msg))
		}
	})
}

// scripted is a link on which in is said and out is heard.
func scripted(in []byte, out io.Writer) *link {
	return &link{r: bufio.NewReader(bytes.NewReader(in)), w: out, pen: make(chan struct{}, 1), reset: func() {},
		readBy: func(time.Duration) {}, writeBy: func(time.Duration) {}}
}
