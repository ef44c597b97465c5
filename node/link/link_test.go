package link_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/node/link"
)

// bubble runs f in virtual time, with two ends of a connection: what is written to
// near passes the line, and far is bare.
func bubble(t *testing.T, s link.Shape, f func(t *testing.T, line *link.Line, near, far net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		line := link.New(rand.New(rand.NewPCG(1, 2)))
		if err := line.Set(s); err != nil {
			t.Fatal(err)
		}
		a, far := net.Pipe()
		near := line.Conn(a)
		defer func() {
			_, _ = near.Close(), far.Close() // the test may have done so; a goroutine that stays fails the bubble
		}()
		f(t, line, near, far)
	})
}

// pour writes n bytes and closes c.
func pour(t *testing.T, c net.Conn, n int, closes bool) {
	if _, err := c.Write(make([]byte, n)); err != nil {
		t.Error(err)
	}
	if closes {
		_ = c.Close() // its reader says what is wrong
	}
}

func within5(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got < want*95/100 || got > want*105/100 {
		t.Errorf("%s took %s, want %s within 5 %%", what, got, want)
	}
}

func TestRateHoldsInBothDirections(t *testing.T) {
	for _, rate := range []int64{20 << 20, 100_000} {
		n := int(rate * 3) // three seconds
		bubble(t, link.Shape{Rate: rate}, func(t *testing.T, line *link.Line, near, far net.Conn) {
			began := time.Now()
			go pour(t, near, n, true)
			got, err := io.Copy(io.Discard, far)
			if err != nil || got != int64(n) {
				t.Fatal(got, err)
			}
			within5(t, "sending", time.Since(began), 3*time.Second)
			if _, out := line.Traffic(); out != int64(n) {
				t.Errorf("counted %d bytes out, want %d", out, n)
			}
		})
		bubble(t, link.Shape{Rate: rate}, func(t *testing.T, line *link.Line, near, far net.Conn) {
			began := time.Now()
			go pour(t, far, n, true)
			if got, err := io.Copy(io.Discard, near); err != nil || got != int64(n) {
				t.Fatal(got, err)
			}
			within5(t, "receiving", time.Since(began), 3*time.Second)
			if in, _ := line.Traffic(); in != int64(n) {
				t.Errorf("counted %d bytes in, want %d", in, n)
			}
		})
	}
}

// Four connections share what one of them would have.
func TestRateIsOneForAllConnections(t *testing.T) {
	bubble(t, link.Shape{Rate: 4 << 20}, func(t *testing.T, line *link.Line, _, _ net.Conn) {
		began := time.Now()
		var wait sync.WaitGroup
		for range 4 {
			a, far := net.Pipe()
			near := line.Conn(a)
			wait.Go(func() { pour(t, near, 4<<20, true) })
			wait.Go(func() { _, _ = io.Copy(io.Discard, far) })
		}
		wait.Wait()
		within5(t, "all", time.Since(began), 4*time.Second)
	})
}

func TestLatencyIsExactAndRateDoesNotAddToIt(t *testing.T) {
	for _, s := range []link.Shape{{Latency: 200 * time.Millisecond}, {Latency: 200 * time.Millisecond, Rate: 1 << 30}} {
		bubble(t, s, func(t *testing.T, _ *link.Line, near, far net.Conn) {
			for range 3 {
				began := time.Now()
				if n, err := near.Write([]byte("ping")); n != 4 || err != nil {
					t.Fatal(n, err)
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("Write took %s, want none: it has left", took)
				}
				buf := make([]byte, 4)
				if _, err := io.ReadFull(far, buf); err != nil || string(buf) != "ping" {
					t.Fatalf("%q, %v", buf, err)
				}
				if took := time.Since(began); took != s.Latency {
					t.Errorf("arrived after %s, want %s", took, s.Latency)
				}
				go pour(t, far, 4, false)
				if _, err := io.ReadFull(near, buf); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != s.Latency {
					t.Errorf("answered after %s, want %s: latency is of what is sent", took, s.Latency)
				}
			}
		})
	}
}

func TestJitterKeepsTheOrderAndStaysWithinItsBounds(t *testing.T) {
	s := link.Shape{Latency: 100 * time.Millisecond, Jitter: 100 * time.Millisecond}
	bubble(t, s, func(t *testing.T, _ *link.Line, near, far net.Conn) {
		const n = 200
		var left [n]time.Time
		go func() {
			for i := range n {
				left[i] = time.Now()
				if _, err := near.Write([]byte{byte(i)}); err != nil {
					t.Error(err)
				}
				time.Sleep(7 * time.Millisecond)
			}
		}()
		var least, most = time.Hour, time.Duration(0)
		for i := range n {
			var b [1]byte
			if _, err := io.ReadFull(far, b[:]); err != nil || b[0] != byte(i) {
				t.Fatalf("byte %d is %d, %v", i, b[0], err)
			}
			took := time.Since(left[i])
			least, most = min(least, took), max(most, took)
		}
		if most > 200*time.Millisecond || most < 150*time.Millisecond || least == most {
			t.Errorf("took %s to %s, want some spread, at most 200 ms", least, most)
		}
	})
}

func TestOffRestoresTheLineForOpenConnections(t *testing.T) {
	bubble(t, link.Shape{Rate: 1000, Latency: 50 * time.Millisecond}, func(t *testing.T, line *link.Line, near, far net.Conn) {
		began := time.Now()
		go pour(t, near, 100_000, true) // 100 s at that rate
		go func() {
			time.Sleep(2 * time.Second)
			if err := line.Set(link.Shape{}); err != nil {
				t.Error(err)
			}
		}()
		if n, err := io.Copy(io.Discard, far); n != 100_000 || err != nil {
			t.Fatal(n, err)
		}
		if took := time.Since(began); took > 2050*time.Millisecond {
			t.Errorf("took %s, want to end soon after the line was restored at 2 s", took)
		}
		if line.Shape() != (link.Shape{}) {
			t.Errorf("%+v is set", line.Shape())
		}
	})
}

// The control of all the others: nothing set takes no time, and no goroutine.
func TestNothingSetTakesNoTime(t *testing.T) {
	bubble(t, link.Shape{}, func(t *testing.T, line *link.Line, near, far net.Conn) {
		began := time.Now()
		go pour(t, near, 10<<20, true)
		if n, err := io.Copy(io.Discard, far); n != 10<<20 || err != nil {
			t.Fatal(n, err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("took %s", took)
		}
	})
}

func TestCloseLetsArriveWhatIsInFlightAndEndsTheRest(t *testing.T) {
	s := link.Shape{Latency: time.Second}
	bubble(t, s, func(t *testing.T, _ *link.Line, near, far net.Conn) {
		data := bytes.Repeat([]byte("cairn"), 50_000)
		began := time.Now()
		if _, err := near.Write(data); err != nil {
			t.Fatal(err)
		}
		read := make(chan error, 1)
		go func() { _, err := near.Read(make([]byte, 1)); read <- err }()
		synctest.Wait()
		if err := near.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-read; !errors.Is(err, net.ErrClosed) || time.Since(began) != 0 {
			t.Errorf("Read ended with %v after %s, want closed at once", err, time.Since(began))
		}
		if _, err := near.Write(data); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write after Close: %v", err)
		}
		if err := near.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
		got, err := io.ReadAll(far)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes arrived, %v, want %d", len(got), err, len(data))
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("the other end saw the end after %s, want 1 s", took)
		}
	})
}

// Nobody reads at the other end: the goroutine ends all the same, or the bubble fails.
func TestCloseDoesNotWaitForAReaderForEver(t *testing.T) {
	bubble(t, link.Shape{Latency: time.Second}, func(t *testing.T, _ *link.Line, near, _ net.Conn) {
		if _, err := near.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if err := near.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
	})
}

func TestDeadlinesBoundTheWaitForTheRate(t *testing.T) {
	bubble(t, link.Shape{Rate: 1000}, func(t *testing.T, _ *link.Line, near, far net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, far) }()
		began := time.Now()
		if err := near.SetWriteDeadline(began.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := near.Write(make([]byte, 10_000))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %s, want the deadline after 1 s", err, time.Since(began))
		}
		if n < 900 || n > 1100 {
			t.Errorf("%d bytes were sent, want about 1000", n)
		}
		if err := near.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		if n, err := near.Write(make([]byte, 100)); n != 100 || err != nil {
			t.Errorf("without a deadline: %d, %v", n, err)
		}
	})
	bubble(t, link.Shape{Rate: 1000}, func(t *testing.T, _ *link.Line, near, far net.Conn) {
		go func() { _, _ = far.Write(make([]byte, 10_000)) }() // until the test ends it
		began := time.Now()
		if err := near.SetReadDeadline(began.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, near)
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second || n < 900 || n > 1100 {
			t.Errorf("%d bytes, %v after %s, want about 1000 and the deadline after 1 s", n, err, time.Since(began))
		}
	})
}

// A Close ends those who wait for the rate.
func TestCloseEndsTheWaitForTheRate(t *testing.T) {
	bubble(t, link.Shape{Rate: 1}, func(t *testing.T, _ *link.Line, near, far net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, far) }()
		began := time.Now()
		ended := make(chan error, 1)
		go func() { _, err := near.Write(make([]byte, 1000)); ended <- err }()
		time.Sleep(time.Second)
		if err := near.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) || time.Since(began) != time.Second {
			t.Errorf("%v after %s, want closed after 1 s", err, time.Since(began))
		}
	})
}

// The queue is bounded: a writer that is ahead of the reader waits.
func TestWhatIsInFlightIsBounded(t *testing.T) {
	bubble(t, link.Shape{Latency: time.Second}, func(t *testing.T, _ *link.Line, near, far net.Conn) {
		if err := near.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := near.Write(make([]byte, 64<<20)) // nobody reads
		if !errors.Is(err, os.ErrDeadlineExceeded) || n > 17<<20 || n < 15<<20 {
			t.Errorf("%d bytes left, %v, want about 16 MiB and the deadline", n, err)
		}
		_ = far.Close() // ends what is in flight
	})
}

func TestBadShapesAreRefused(t *testing.T) {
	line := link.New(nil)
	for _, s := range []link.Shape{{Latency: -1}, {Latency: time.Hour}, {Jitter: -1}, {Jitter: time.Minute}, {Rate: -1}, {Rate: link.MaxRate + 1}} {
		if err := line.Set(s); err == nil || line.Shape() != (link.Shape{}) {
			t.Errorf("%+v: %v", s, err)
		}
	}
}
