package link

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Flow is the protocol of a bare stream that is measured:
//
//	length (8 bytes, big endian), that many bytes →
//	← SHA-256 of the SHA-256 of each MiB
//
// It is the most that any protocol could reach which checks what it receives.
const Flow protocol.ID = "/cairn/bench/1.0.0"

// MaxFlow is the longest stream, in bytes.
const MaxFlow = 64 << 30

const (
	flowPiece = 1 << 20          // bytes that are hashed at a time
	flowIdle  = 30 * time.Second // for the next piece
)

// Serve answers flows until stop is called; libp2p owns the goroutines.
func Serve(h host.Host, log *slog.Logger) (stop func()) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h.SetStreamHandler(Flow, func(s network.Stream) {
		if err := receive(s); err != nil {
			log.Debug("flow failed", "peer", s.Conn().RemotePeer(), "err", err)
			_ = s.Reset() // it is over either way
		}
	})
	return func() { h.RemoveStreamHandler(Flow) }
}

func receive(s network.Stream) error {
	within := func() error { return s.SetDeadline(time.Now().Add(flowIdle)) }
	if err := within(); err != nil {
		return fmt.Errorf("link: flow: %w", err)
	}
	var head [8]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return fmt.Errorf("link: flow: %w", err)
	}
	length := binary.BigEndian.Uint64(head[:])
	if length > MaxFlow {
		return fmt.Errorf("link: flow: %d bytes, limit %d", length, int64(MaxFlow))
	}
	all, buf := sha256.New(), make([]byte, flowPiece)
	for left := int64(length); left > 0; {
		part := buf[:min(left, flowPiece)]
		if err := within(); err != nil {
			return fmt.Errorf("link: flow: %w", err)
		}
		if _, err := io.ReadFull(s, part); err != nil {
			return fmt.Errorf("link: flow: %w", err)
		}
		add(all, part)
		left -= int64(len(part))
	}
	if _, err := s.Write(all.Sum(nil)); err != nil {
		return fmt.Errorf("link: flow: %w", err)
	}
	return s.Close()
}

func add(all hash.Hash, piece []byte) {
	sum := sha256.Sum256(piece)
	all.Write(sum[:])
}

// Send sends n bytes to a peer that this host is connected to, over one bare
// stream, and says how long it took until the peer had checked them all.
func Send(ctx context.Context, h host.Host, to peer.ID, n int64) (took time.Duration, err error) {
	if n < 1 || n > MaxFlow {
		return 0, fmt.Errorf("link: flow of %d bytes: want 1 to %d", n, int64(MaxFlow))
	}
	piece := make([]byte, min(n, flowPiece))
	for i := range piece {
		piece[i] = byte(i ^ i>>8)
	}
	want := sha256.New() // before the clock runs: the sender does not hash
	whole := sha256.Sum256(piece)
	left := n
	for ; left >= int64(len(piece)); left -= int64(len(piece)) {
		want.Write(whole[:])
	}
	if left > 0 {
		add(want, piece[:left])
	}
	s, err := h.NewStream(ctx, to, Flow)
	if err != nil {
		return 0, fmt.Errorf("link: flow: %w", err)
	}
	defer func() {
		if err != nil {
			_ = s.Reset() // err says more
		}
	}()
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() }) // its use then fails
	defer stop()
	began := time.Now()
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], uint64(n))
	if _, err := s.Write(head[:]); err != nil {
		return 0, fmt.Errorf("link: flow: %w", err)
	}
	for left := n; left > 0; {
		part := piece[:min(left, int64(len(piece)))]
		if err := s.SetDeadline(time.Now().Add(flowIdle)); err != nil {
			return 0, fmt.Errorf("link: flow: %w", err)
		}
		if _, err := s.Write(part); err != nil {
			return 0, fmt.Errorf("link: flow: %w", err)
		}
		left -= int64(len(part))
	}
	got := make([]byte, sha256.Size)
	if _, err := io.ReadFull(s, got); err != nil {
		return 0, fmt.Errorf("link: flow: %w", err)
	}
	took = time.Since(began)
	if string(got) != string(want.Sum(nil)) {
		return 0, errors.New("link: flow: the other end received something else")
	}
	return took, s.Close()
}
