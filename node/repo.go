package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// Disk is what a store on a disk can do beside keeping blocks; [*disk.Store] is one.
type Disk interface {
	Stat(ctx context.Context) (disk.Stat, error)
	Verify(ctx context.Context, tell func(done, total int64)) (disk.Report, error)
	Compact(ctx context.Context, tell func(done, total int64)) (disk.Reclaimed, error)
	Run(ctx context.Context) error // keeps it in order until ctx is done
	Free() (int64, error)          // bytes of the disk that may be written

	// Resting gives what is called after each piece of work that can wait.
	Resting() func(context.Context)

	// Used tells when a block was last asked for: the lower the longer ago.
	Used(ctx context.Context, h mh.Multihash) (uint64, error)
}

var _ Disk = (*disk.Store)(nil)

// errNoDisk says that a peer keeps its blocks in memory, as those of simulations do.
var errNoDisk = errors.New("node: this peer has no disk")

// leastRoom is how many bytes have to be free for a put of unknown size to begin.
const leastRoom = 4 << 20

// Room answers [blocks.ErrFull] when there is no room for size more bytes, so that who
// asks before a put need not send them; size 0 is not known. What it says may be wrong
// a moment later.
func (n *Node) Room(_ context.Context, size int64) error {
	if n.disk == nil {
		return nil
	}
	free, err := n.disk.Free()
	if err != nil {
		return fmt.Errorf("repo: %w", err)
	}
	if free < max(size, leastRoom) {
		return fmt.Errorf("repo: %w: %d bytes are free", blocks.ErrFull, free)
	}
	return nil
}

// RepoStat says what is kept here, and what that takes.
func (n *Node) RepoStat(ctx context.Context) (blocks.RepoStat, error) {
	if n.disk == nil {
		return blocks.RepoStat{}, errNoDisk
	}
	out, err := repoStat(ctx, n.disk)
	out.Others, out.Quota = n.set.Space()
	return out, err
}

func repoStat(ctx context.Context, d Disk) (blocks.RepoStat, error) {
	s, err := d.Stat(ctx)
	if err != nil {
		return blocks.RepoStat{}, fmt.Errorf("repo: %w", err)
	}
	return blocks.RepoStat{
		Version: s.Version, Blocks: s.Blocks, Bytes: s.Bytes, Held: s.Held, Pins: int64(s.Pins), Quarantined: s.Quarantined,
		Segments: int64(s.Segments), Disk: s.Disk, Dead: s.Dead, Free: s.Free,
	}, nil
}

// RepoVerify hashes every block. One whose bytes are wrong is got anew from a holder;
// until then nobody is given it. tell hears of the bytes that were read.
func (n *Node) RepoVerify(ctx context.Context, tell func(blocks.Done)) (blocks.Verified, error) {
	if n.disk == nil {
		return blocks.Verified{}, errNoDisk
	}
	out, err := verify(ctx, n.disk, tell)
	if err != nil {
		return out, err
	}
	for _, s := range out.Bad {
		c, err := cid.Decode(s)
		if err != nil {
			return out, fmt.Errorf("repo: verify: %w", err) // we wrote it just now
		}
		b, err := n.fetch.Get(ctx, c)
		if err == nil {
			err = n.store.Put(ctx, b)
		}
		if err != nil {
			if ctx.Err() != nil {
				return out, fmt.Errorf("repo: verify: %w", ctx.Err())
			}
			n.log.Warn("corrupt block not healed", "cid", c, "err", err)
			continue
		}
		out.Healed = append(out.Healed, s)
	}
	return out, nil
}

func verify(ctx context.Context, d Disk, tell func(blocks.Done)) (out blocks.Verified, err error) {
	r, err := d.Verify(ctx, done(tell))
	out.Blocks, out.Bytes = r.Checked, r.Bytes
	for _, h := range r.Bad {
		out.Bad = append(out.Bad, cid.NewCidV1(cid.Raw, h).String())
	}
	if err != nil {
		return out, fmt.Errorf("repo: verify: %w", err)
	}
	return out, nil
}

// RepoCompact gives the disk the space back that forgotten blocks take.
func (n *Node) RepoCompact(ctx context.Context, tell func(blocks.Done)) (blocks.Compacted, error) {
	if n.disk == nil {
		return blocks.Compacted{}, errNoDisk
	}
	r, err := n.disk.Compact(ctx, done(tell))
	if err != nil {
		return blocks.Compacted{}, fmt.Errorf("repo: compact: %w", err)
	}
	return blocks.Compacted{Segments: int64(r.Segments), Bytes: r.Bytes}, nil
}

func done(tell func(blocks.Done)) func(done, total int64) {
	if tell == nil {
		return nil
	}
	return func(done, total int64) { tell(blocks.Done{Done: done, Total: total}) }
}

// Idle opens the store of a home that no daemon has, for as long as f takes. Nothing
// is written to it.
func (h Home) Idle(f func(Disk) error) (err error) {
	if err := h.Check(); err != nil {
		return err
	}
	st, err := disk.Open(h.Blocks(), disk.Config{ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return &HomeError{h.Data, "has no blocks yet: no daemon has run in it"}
	}
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return f(st)
}

// IdleStat is [Node.RepoStat] without a daemon.
func (h Home) IdleStat(ctx context.Context) (out blocks.RepoStat, err error) {
	err = h.Idle(func(d Disk) (err error) { out, err = repoStat(ctx, d); return err })
	return out, err
}

// IdleVerify is [Node.RepoVerify] without a daemon, so without anybody to heal from.
func (h Home) IdleVerify(ctx context.Context, tell func(blocks.Done)) (out blocks.Verified, err error) {
	err = h.Idle(func(d Disk) (err error) { out, err = verify(ctx, d, tell); return err })
	return out, err
}
