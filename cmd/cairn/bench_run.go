package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/cairn-network/cairn/web/api/client"
)

// benchTime bounds one step of a run.
const benchTime = 10 * time.Minute

// benchNetwork is a testnet that a run has for itself.
type benchNetwork struct {
	ids   []string
	peers []*client.Client
}

// onPeers starts n daemons for f and ends them afterwards, whatever happened.
func onPeers(ctx context.Context, n, replicas int, f func(*benchNetwork) error) error {
	return tempDir(func(dir string) (err error) {
		w := network{dir: dir, name: "bench"}
		if w.bin, err = os.Executable(); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		where := []string{"--base-dir", dir, "--name", w.name}
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			_, e := w.run(ctx, nil, append([]string{"testnet", "down", "--purge"}, where...)...)
			err = errors.Join(err, e)
		}()
		up := []string{"testnet", "up", "-n", fmt.Sprint(n), "--replicas", fmt.Sprint(replicas)}
		if _, err := w.run(ctx, nil, append(up, where...)...); err != nil {
			return err
		}
		t, err := loadTestnet(dir, w.name)
		if err != nil {
			return err
		}
		var b benchNetwork
		for _, m := range t.Peers {
			c, err := clientOf(node.HomeAt(m.Home), m.API)
			if err != nil {
				return err
			}
			defer c.Close()
			b.ids, b.peers = append(b.ids, m.ID), append(b.peers, c)
		}
		return f(&b)
	})
}

func mbs(bytes int64, took time.Duration) float64 { return float64(bytes) / 1e6 / took.Seconds() }

// flow is one bare stream of n bytes from p0 to p1, in MB/s.
func (b *benchNetwork) flow(ctx context.Context, n int64) (float64, error) {
	f, err := b.peers[0].Flow(ctx, b.ids[1], n)
	if err != nil {
		return 0, fmt.Errorf("ceiling: %w", err)
	}
	return mbs(f.Bytes, max(time.Duration(f.Seconds), time.Millisecond)), nil
}

// warmUp is how many bytes pass before the first that count: the window of a
// connection grows with what it has carried.
const warmUp = 32 << 20

// under measures f, in MB/s, between two flows whose mean is its ceiling: what else
// the machine does meanwhile is then in both.
func (b *benchNetwork) under(ctx context.Context, o benchFlags, f func() (float64, error)) (s sample, err error) {
	if _, err := b.flow(ctx, warmUp); err != nil {
		return s, err
	}
	before, err := b.flow(ctx, o.bytes)
	if err != nil {
		return s, err
	}
	if s.Figure, err = f(); err != nil {
		return s, err
	}
	after, err := b.flow(ctx, o.bytes)
	s.Ceiling = (before + after) / 2
	return s, err
}

func benchNet(ctx context.Context, b *benchNetwork, o benchFlags, _ int) (sample, error) {
	return b.under(ctx, o, func() (float64, error) { return b.flow(ctx, o.bytes) })
}

// benchGet puts at p0, for itself alone, and gets through p1.
func benchGet(ctx context.Context, b *benchNetwork, o benchFlags, i int) (s sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, benchTime)
	defer cancel()
	rc, err := b.peers[0].Put(ctx, newStamped(o.bytes, i), blocks.PutOptions{Wait: blocks.WaitLocal, NoPlace: true}, nil)
	if err != nil {
		return s, err
	}
	return b.under(ctx, o, func() (float64, error) {
		began := time.Now()
		r, _, err := b.peers[1].Get(ctx, rc.Root.String(), 0, 0)
		if err != nil {
			return 0, err
		}
		defer r.Close()
		var n counted
		if _, err := io.CopyBuffer(&n, r, make([]byte, 1<<20)); err != nil {
			return 0, err
		}
		if int64(n) != o.bytes {
			return 0, fmt.Errorf("get gave %d bytes of %d: %w", n, o.bytes, io.ErrUnexpectedEOF)
		}
		return mbs(o.bytes, time.Since(began)), nil
	})
}

// benchLocal puts at p0, for itself alone.
func benchLocal(ctx context.Context, b *benchNetwork, o benchFlags, i int) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, benchTime)
	defer cancel()
	return b.under(ctx, o, func() (float64, error) {
		began := time.Now()
		_, err := b.peers[0].Put(ctx, newStamped(o.bytes, i), blocks.PutOptions{Wait: blocks.WaitLocal, NoPlace: true}, nil)
		return mbs(o.bytes, time.Since(began)), err
	})
}

// benchPut puts through p0 and waits for all copies.
func benchPut(ctx context.Context, b *benchNetwork, o benchFlags, i int) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, benchTime)
	defer cancel()
	var sent int64
	s, err := b.under(ctx, o, func() (float64, error) {
		before, err := b.sent(ctx)
		if err != nil {
			return 0, err
		}
		began := time.Now()
		want := blocks.PutOptions{Wait: blocks.WaitFull, Replicas: o.replicas, Fanout: o.fanout}
		if _, err := b.peers[0].Put(ctx, newStamped(o.bytes, i), want, nil); err != nil {
			return 0, err
		}
		took := time.Since(began)
		after, err := b.sent(ctx)
		sent = after - before
		return mbs(o.bytes, took), err
	})
	s.Sent = sent
	return s, err
}

// sent is how many bytes all peers have sent to each other.
func (b *benchNetwork) sent(ctx context.Context) (all int64, err error) {
	for _, c := range b.peers {
		l, err := c.Link(ctx)
		if err != nil {
			return 0, err
		}
		all += l.Sent
	}
	return all, nil
}

// counted counts what is written to it, and keeps nothing.
type counted int64

func (c *counted) Write(b []byte) (int, error) {
	*c += counted(len(b))
	return len(b), nil
}

// newStamped gives n bytes that do not compress, each MiB of which is like no other
// of any run: making them costs next to nothing of a run.
func newStamped(n int64, run int) io.Reader {
	s := &stamped{piece: make([]byte, 1<<20), run: uint64(run)}
	rng := rand.NewChaCha8([32]byte{byte(run)})
	_, _ = rng.Read(s.piece) // never fails
	return io.LimitReader(s, n)
}

type stamped struct {
	piece   []byte
	run, at uint64 // at is the number of the piece
	rest    []byte
}

func (s *stamped) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		binary.BigEndian.PutUint64(s.piece, s.run)
		binary.BigEndian.PutUint64(s.piece[8:], s.at)
		s.rest = s.piece
		s.at++
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
